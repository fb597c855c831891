"""Ports for servers that have to be told one before they start."""

import os
import random
import socket
from contextlib import suppress

# Below those that the system gives to connections, or one of these could have the port before the server does.
_RANGE = range(20_000, 32_000)
_APART = 4
"""Of several processes of a server, each next one listens one port higher."""


def _untaken() -> list[int]:
    """The ports of this test process, in any order. Others have others: what one chose, it may not have bound yet."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(_RANGE[int(worker) * _APART :: workers * _APART])
    random.SystemRandom().shuffle(ports)
    return ports


_ports = _untaken()


def free_port() -> int:
    """A port of this machine on which nobody listens; the same one again only after all others."""
    while True:
        if not _ports:
            _ports.extend(_untaken())
        port = _ports.pop()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
