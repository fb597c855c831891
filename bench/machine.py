"""What a figure was measured on: without that it says nothing."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from server.embedded import PostgresServer

ROOT = Path(__file__).parent.parent


def describe() -> dict[str, Any]:
    """The machine, the programs and the commit."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": metadata.version("grpcio"),
        "protobuf": metadata.version("protobuf"),
        "sqlalchemy": metadata.version("sqlalchemy"),
        "uvloop": metadata.version("uvloop"),
        "commit": commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe_postgres(server: PostgresServer) -> dict[str, str]:
    """The version, and the settings on which the price of a commit hangs, as the running server says."""
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s) AS name", (list(names),))
        return dict(cursor.fetchall())


def commit() -> str:
    """The commit, with a plus sign if files of the program differ from it; empty outside a repository."""
    try:
        found = _git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if _git("status", "--porcelain", "--", "server", "workers", "gen/python") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
