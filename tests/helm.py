"""Helm, built from its Go module at a pinned version, and what a chart renders to, held against Kubernetes' own types.

The first run on a machine downloads and builds it, which takes some minutes; it is kept under `.tools/`.
"""

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

VERSION: Final = "v3.22.0"
KUBERNETES: Final = "1.34.0"

_ROOT: Final = Path(__file__).resolve().parent.parent
_FOLDER: Final = _ROOT / ".tools" / f"helm-{VERSION}"
CHART: Final = _ROOT / "deploy" / "helm" / "rowlock"


def binary() -> Path:
    """The program; built first where it is not there yet."""
    program = _FOLDER / "helm"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            go = shutil.which("go") or str(Path(sys.executable).parent / "go")
            environment = {**os.environ, "GOBIN": str(_FOLDER), "GOFLAGS": "-trimpath -ldflags=-s"}
            command = [go, "install", f"helm.sh/helm/v3/cmd/helm@{VERSION}"]
            subprocess.run(command, check=True, env=environment, cwd=_FOLDER)
    return program


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it, without anything that a user may have configured."""
    nowhere = {f"HELM_{kind}_HOME": str(_FOLDER / "home") for kind in ("CONFIG", "CACHE", "DATA")}
    return subprocess.run(
        [binary(), *arguments], check=False, capture_output=True, text=True, env={**os.environ, **nowhere}
    )


def rendered(*values: str) -> list[dict[str, Any]]:
    """The objects of the chart as release `box` with these values, each as `name=value`."""
    settings = [part for value in values for part in ("--set", value)]
    done = helm("template", "box", str(CHART), "--kube-version", KUBERNETES, *settings)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def faults(found: dict[str, Any]) -> list[str]:
    """What in an object Kubernetes does not know, takes another kind of value for, or asks for and misses."""
    group, _, version = found["apiVersion"].rpartition("/")
    # networking.k8s.io/v1 is networking_v1; v1 alone is core_v1.
    module = importlib.import_module(f"lightkube.models.{group.partition('.')[0] or 'core'}_{version}")
    try:
        read = msgspec.convert(found, getattr(module, found["kind"]))
    except msgspec.ValidationError as error:
        return [f"{found['kind']}: {error}"]
    return list(_lost(found, msgspec.to_builtins(read), found["kind"]))


def _lost(given: Any, kept: Any, where: str) -> Iterator[str]:
    """What was not read, because no field has that name."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key in kept:
                yield from _lost(value, kept[key], f"{where}.{key}")
            else:
                yield f"{where}: no field {key}"
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from _lost(value, kept[number], f"{where}[{number}]")
