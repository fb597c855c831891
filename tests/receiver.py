"""A partner's receiver: a real HTTP server on a port, that behaves as it is told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Arrival", asyncio.StreamWriter], Any]
"""Answers one message by writing raw HTTP."""


@dataclass(frozen=True)
class Arrival:
    """One message as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its ``webhook-id``."""
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        """What it says."""
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def position(self) -> int:
        """Of the change."""
        return int(self.message["position"])


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer like this."""

    async def answer(_arrival: Arrival, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


OK = answering(204)


async def hanging_up(_arrival: Arrival, writer: asyncio.StreamWriter) -> None:
    """End the connection without a word."""
    writer.transport.abort()


async def never_ending(_arrival: Arrival, writer: asyncio.StreamWriter) -> None:
    """Answer for as long as anybody reads."""
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    with suppress(ConnectionError):
        while True:
            writer.write(b"more " * 2000)
            await writer.drain()


async def silent(_arrival: Arrival, writer: asyncio.StreamWriter) -> None:
    """Take the message, and say nothing for as long as anybody waits."""
    with suppress(ConnectionError):
        await writer.wait_closed()


@dataclass
class Receiver:
    """Arrivals in order, and how the next ones are answered."""

    behaviour: Behaviour = OK
    arrivals: list[Arrival] = field(default_factory=list)
    uri: str = ""

    def answer(self, behaviour: Behaviour) -> None:
        """Behave like this from now on."""
        self.behaviour = behaviour

    def by_performance(self) -> dict[str, list[Arrival]]:
        """Arrivals of each performance, in order."""
        found: dict[str, list[Arrival]] = {}
        for arrival in self.arrivals:
            found.setdefault(arrival.message.get("performance", ""), []).append(arrival)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            arrival = Arrival(head[0].split()[1], headers, body)
            self.arrivals.append(arrival)
            await self.behaviour(arrival, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(behaviour: Behaviour = OK, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine, within the block."""
    receiver = Receiver(behaviour)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.uri = f"{'https' if tls else 'http'}://127.0.0.1:{port}/rowlock"
    try:
        yield receiver
    finally:
        server.close()
