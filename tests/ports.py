"""Ports for servers that have to be told one before they start."""

import random
import socket
from contextlib import suppress

# Below those that the system gives to connections, or one of these could have the port before the server does.
_RANGE = range(20_000, 32_000)
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    while True:
        port = _chance.choice(_RANGE)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
