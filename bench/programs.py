"""The processes of a benchmark: servers of ours and of the yardsticks, and what they cost."""

import os
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from bench.machine import ROOT
from server.processes import ChildProcess

_START_LIMIT: Final = 60.0


class Program:
    """A process that listens on one port of this machine, or only works.

    Args:
        name: also the name of its log.
        folder: where its log goes.
        arguments: of the Python interpreter; ``{address}`` in one stands for the address to listen on.
        environment: added to ours.
        listens: whether it can be connected to.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        arguments: list[str],
        environment: Mapping[str, str] | None = None,
        *,
        listens: bool = True,
    ) -> None:
        self._listens = listens
        self.address = f"127.0.0.1:{free_port()}"
        self._name = name
        self._log = folder / f"{name}.log"
        filled = {key: value.replace("{address}", self.address) for key, value in (environment or {}).items()}
        self._child = ChildProcess(
            name,
            [sys.executable, *(one.replace("{address}", self.address) for one in arguments)],
            output=self._log,
            environment={**os.environ, **filled},
            folder=ROOT,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def start(self) -> None:
        """Start it; if it listens, return when it does.

        Raises:
            RuntimeError: it ended, or did not listen in time; the text holds the end of its log.
        """
        self._child.start()
        if not self._listens:
            return
        deadline = time.monotonic() + _START_LIMIT
        host, _, port = self.address.rpartition(":")
        while time.monotonic() < deadline and self._child.running():
            try:
                with socket.create_connection((host, int(port)), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        self._child.kill()
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"{self._name} did not come up:\n{end}")

    def stop(self) -> None:
        """End it."""
        self._child.stop()


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """The program, for as long as the block lasts."""
    program.start()
    try:
        yield program
    finally:
        program.stop()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(pid: int) -> int:
    """Bytes of memory that a process has to itself or shares: its resident set."""
    return int(psutil.Process(pid).memory_info().rss)


class ProcessorTime:
    """Processor time that processes use from now on.

    Args:
        pids: processes by name; their children count with them.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = self._now()

    def used(self) -> dict[str, float]:
        """Seconds since the beginning, by name; `loadgen` is what ended children of ours used."""
        return {name: used - self._before[name] for name, used in self._now().items()}

    def _now(self) -> dict[str, float]:
        used = {name: _with_children(pid) for name, pid in self._pids.items()}
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used | {"loadgen": children.ru_utime + children.ru_stime}


def _with_children(pid: int) -> float:
    total = 0.0
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
