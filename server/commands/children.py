"""Runs commands of this program as child processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from server.config import Settings, variable_name
from server.supervisor import MergedLog, Supervisor, second_signal, stop_signals


def command_line(*arguments: str) -> list[str]:
    """How to run a command of this program with this Python."""
    return [sys.executable, "-m", "server.cli", *arguments]


def child_environment(settings: Settings, **overrides: object) -> dict[str, str]:
    """Our environment, with what the settings were given otherwise, and `overrides` (fields of Settings).

    A child reads its settings from the environment only, so what came from the command line or from an embedded
    server must be put there.
    """
    changed = {
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "smtp_url": settings.smtp_url,
        "data_dir": settings.data_dir.resolve(),
        "grpc_address": settings.grpc_address,
        "processes": 1,
        **overrides,
    }
    environment = {variable_name(name): str(value) for name, value in changed.items()}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **environment}


def run_copies(name: str, command: str, copies: int, settings: Settings) -> int:
    """Run a command several times until stopped; returns the exit status."""
    supervisor = Supervisor(
        MergedLog(plain=settings.log_format == "json"), stop_time=settings.drain_time.total_seconds() + 5
    )
    with stop_signals():
        try:
            for index in range(copies):
                add_copy(supervisor, name, command, index, child_environment(settings, process_index=index))
            while (status := supervisor.watch()) is None:
                pass
        except KeyboardInterrupt:
            status = 0
        with second_signal(supervisor.hurry):
            supervisor.stop()
    return status


def add_copy(supervisor: Supervisor, name: str, command: str, index: int, environment: Mapping[str, str]) -> None:
    """Start one of several alike; the first needs no number in the log."""
    supervisor.add(name if index == 0 else f"{name}-{index}", command_line(command), environment)
