"""A real cluster of Valkey servers on this machine, whose slots a test may move and whose nodes it may kill."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from server.embedded.folders import valkey_program
from server.processes import ChildProcess
from tests.ports import free_port

SLOTS = 16384
_LIMIT = 60.0


class Node:
    """One server of the cluster.

    Args:
        folder: where it keeps what it knows of the others.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port, self.bus_port = free_port(), free_port()
        self.process = ChildProcess(
            f"valkey {self.port}",
            [
                str(valkey_program()),
                *("--bind", "127.0.0.1"),
                *("--port", str(self.port)),
                *("--cluster-enabled", "yes"),
                *("--cluster-port", str(self.bus_port)),
                # A machine that stands still for some seconds is no failure, nor are others asked in vain then.
                *("--cluster-node-timeout", "5000"),
                *("--cluster-require-full-coverage", "no"),
                *("--dir", str(folder)),
                *("--save", ""),
                *("--appendonly", "no"),
                *("--loglevel", "warning"),
            ],
            output=folder / "valkey.log",
        )
        self.client = redis.Redis(port=self.port, socket_timeout=60, decode_responses=True)

    def start(self) -> None:
        """Start, and return when it answers."""
        self.process.start()
        _until(self.answers)

    def stop(self) -> None:
        """Stop it."""
        self.client.close()
        self.process.stop()

    def answers(self) -> bool:
        """Whether it does."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def ask(self, command: str, *arguments: object) -> Any:
        """Give it a command of those that begin with CLUSTER."""
        return self.client.execute_command(f"CLUSTER {command}", *arguments)  # type: ignore[no-untyped-call]

    @property
    def id(self) -> str:
        """What the cluster calls it."""
        return str(self.ask("MYID"))

    def agrees(self, nodes: int) -> bool:
        """Whether it knows so many, and somebody has each slot."""
        info = self.ask("INFO")
        return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", str(nodes))


class ValkeyCluster:
    """Some primaries that share the slots evenly.

    Args:
        folder: of its own.
        size: how many.
    """

    def __init__(self, folder: Path, size: int = 3) -> None:
        self.nodes = [Node(folder / str(number)) for number in range(size)]

    @property
    def url(self) -> str:
        """As ROWLOCK_REDIS_URL."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """Start, and return when every node knows all of it."""
        for node in self.nodes:
            node.start()
        share = SLOTS // len(self.nodes)
        for number, node in enumerate(self.nodes):
            last = SLOTS - 1 if node is self.nodes[-1] else (number + 1) * share - 1
            node.ask("ADDSLOTSRANGE", number * share, last)
            # Otherwise two nodes that have never met may claim to be the older one.
            node.ask("SET-CONFIG-EPOCH", number + 1)
            for other in self.nodes[:number]:
                node.ask("MEET", "127.0.0.1", other.port, other.bus_port)
        self.settle()

    def settle(self) -> None:
        """Return when every node knows all of it."""
        _until(lambda: all(node.agrees(len(self.nodes)) for node in self.nodes))

    def owner(self, channel: str) -> Node:
        """Who has the slot of a key or channel."""
        slot = key_slot(channel.encode())
        for first, last, primary, *_ in self.nodes[0].ask("SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError("nobody has it")

    def move(self, channel: str) -> Node:
        """Give the slot of a channel, in which no key lies, to another node; answer to which."""
        before, slot = self.owner(channel), key_slot(channel.encode())
        after = next(node for node in self.nodes if node is not before)
        for node in (after, before, *self.nodes):
            node.ask("SETSLOT", slot, "NODE", after.id)
        return after

    def stop(self) -> None:
        """Stop all."""
        for node in self.nodes:
            node.stop()


@contextmanager
def valkey_cluster(folder: Path) -> Iterator[ValkeyCluster]:
    """A cluster within the block."""
    cluster = ValkeyCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not come together"
        time.sleep(0.05)
