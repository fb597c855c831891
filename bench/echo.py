"""The yardstick: a bare `grpc.aio` server in one process that answers every call with the same bytes.

Nothing is read from the request and nothing is made for the answer, so no server on this stack answers more calls.
"""

import argparse
import asyncio

import grpc.aio
import uvloop

METHOD = "/bench.Echo/Call"


async def serve(address: str, answer: bytes) -> None:
    """Serve until the process is ended."""

    async def call(_request: bytes, _context: object) -> bytes:
        return answer

    server = grpc.aio.server()
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(call)}
    server.add_registered_method_handlers("bench.Echo", handlers)  # type: ignore[attr-defined]
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """`python bench/echo.py ADDRESS BYTES`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("size", type=int, help="bytes of the answer, 131 to 16386")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # A message with one string, field 1, so that a client may also parse it.
        text = given.size - 3
        runner.run(serve(given.address, bytes([0x0A, text & 0x7F | 0x80, text >> 7]) + b"x" * text))


if __name__ == "__main__":
    main()
