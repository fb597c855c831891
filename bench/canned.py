"""The yardstick of the seat feed: a bare `grpc.aio` server whose streams send canned messages.

Each stream gets one message at once and then waits. A call of Send, with two numbers in decimal (how many, of how many
bytes), lets every stream write so many messages as fast as it is read. Messages begin with a revision, as those of the
seat feed do, and are made once for all streams.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import uvloop

WATCH = "/bench.Canned/Watch"
SEND = "/bench.Canned/Send"


def message(revision: int, size: int) -> bytes:
    """A message of field 1, the revision, and field 15, padding, of `size` bytes in all (at least 14, about)."""
    head = b"\x08" + _varint(revision) + b"\x7a"
    padding = size - len(head) - len(_varint(size))
    return head + _varint(padding) + b"x" * padding


class Canned:
    """What the streams share.

    Args:
        first: bytes of the first message.
    """

    def __init__(self, first: int) -> None:
        self._first = message(1, first)
        self._messages: list[bytes] = []
        self._begun = asyncio.Event()

    async def watch(self, _request: bytes, _context: Any) -> AsyncIterator[bytes]:
        """Stream, for ever."""
        yield self._first
        while True:
            begun = self._begun
            await begun.wait()
            for one in self._messages:
                yield one

    async def send(self, request: bytes, _context: Any) -> bytes:
        """Let every stream write."""
        count, size = map(int, request.split())
        self._messages = [message(revision, size) for revision in range(1, count + 1)]
        begun, self._begun = self._begun, asyncio.Event()
        begun.set()
        return b""


async def serve(address: str, first: int) -> None:
    """Serve until the process is ended."""
    canned = Canned(first)
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "Watch": grpc.unary_stream_rpc_method_handler(canned.watch),
        "Send": grpc.unary_unary_rpc_method_handler(canned.send),
    }
    server.add_registered_method_handlers("bench.Canned", handlers)  # type: ignore[attr-defined]
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def main() -> None:
    """`python bench/canned.py ADDRESS FIRST`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("first", type=int, help="bytes of the first message")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.address, given.first))


if __name__ == "__main__":
    main()
