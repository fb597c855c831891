"""What comes over the wire in ways that no library of a client has: half requests, odd bytes, long silences."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest

from rowlock.v1.seat_feed_pb2 import SeatSnapshot, WatchSeatsResponse
from tests.certificates import Authority
from tests.gateway.conftest import Door, bearer
from tests.gateway.test_headers import Recorder
from tests.gateway.test_streams import Lines
from tests.gateway_process import Gateway, gateway_process, reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def said(url: str, text: bytes) -> bytes:
    """Everything that is answered to a text, until the connection ends."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(text)
        return await reader.read()
    finally:
        writer.close()


def get(path: str, *headers: bytes) -> bytes:
    """A request after whose answer the connection ends."""
    lines = [f"GET {path} HTTP/1.1".encode(), b"Host: x", b"Connection: close", *headers, b"", b""]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("token", [b"Bearer \xc3\xa9", b"Bearer a\tb", b"\xff"])
async def test_a_token_that_cannot_be_passed_on_does_not_make_its_caller_nobody(door: Door, token: bytes) -> None:
    answer = await said(door.gateway.url, get("/v1/events", b"Authorization: " + token))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"TOKEN_INVALID"' in answer


async def test_what_else_cannot_be_passed_on_is_left_out_and_the_log_stays_what_it_is(door: Door) -> None:
    odd = (b"Traceparent: " + TRACE.encode(), b"Tracestate: a=\xc3\xa9", b"X-Forwarded-For: \xe2\x80\xae")
    answer = await said(door.gateway.url, get("/v1/events", *odd))
    assert answer.startswith(b"HTTP/1.1 200 ")
    line = await door.gateway.logged(event="http", trace_id=TRACE.split("-")[1])
    assert line["status"] == 200


async def test_a_body_that_is_too_long_by_its_own_word_is_not_waited_for(door: Door) -> None:
    head = b"POST /v1/venues HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262145\r\n"
    for waits in (b"Expect: 100-continue\r\n\r\n", b"\r\n"):
        answer = await said(door.gateway.url, head + waits)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"REQUEST_TOO_LARGE"' in answer


async def test_a_body_that_is_no_body_is_told_from_one_that_is_late(door: Door) -> None:
    head = b"POST /v1/venues HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    broken = await said(door.gateway.url, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    assert broken.startswith(b"HTTP/1.1 400 ")
    assert b'"INVALID_FIELD"' in broken


async def test_who_sends_half_of_something_is_not_waited_for_for_ever(door: Door) -> None:
    body, header = await asyncio.gather(
        said(
            door.gateway.url,
            b"POST /v1/venues HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        ),
        said(door.gateway.url, b"GET /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: "),
    )
    assert body.startswith(b"HTTP/1.1 408 ")
    assert b'"DEADLINE"' in body
    assert header == b"" or header.startswith(b"HTTP/1.1 408 ")


async def test_two_lengths_of_a_body_are_one_too_many(door: Door) -> None:
    head = b"POST /v1/venues HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for lengths in (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"Transfer-Encoding: chunked, identity\r\n"):
        answer = await said(door.gateway.url, head + lengths + b"\r\n{}GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.split(b" ")[1] in {b"400", b"501"}


async def test_answers_are_kept_by_nobody_and_streams_are_held_up_by_nobody(door: Door) -> None:
    assert (await door.http.get("/v1/events")).headers["cache-control"] == "no-store"
    assert "cache-control" not in (await door.http.get("/.well-known/jwks.json")).headers
    stream = door.http.stream("GET", f"/v1/{door.performance}:watchSeats", headers=bearer(door.anna))
    async with stream as answer:
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")


async def test_over_http_2_a_stream_outlives_its_silences(door: Door, tmp_path: Path) -> None:
    authority = Authority()
    async with (
        gateway_process([door.address], *_pair(authority, tmp_path), "-write-timeout=200ms") as gateway,
        httpx.AsyncClient(
            http2=True, verify=ssl.create_default_context(cadata=authority.pem.decode()), timeout=60
        ) as http,
    ):
        url = gateway.url.replace("127.0.0.1", "localhost")
        async with http.stream("GET", f"{url}/v1/{door.performance}:watchSeats", headers=bearer(door.anna)) as answer:
            assert answer.http_version == "HTTP/2"
            lines = Lines(answer)
            await lines.until("snapshot")
            await asyncio.sleep(1)  # the silence
            await door.book(door.staff, 0)
            await lines.until("changes")
        refused = await http.post(f"{url}/v1/venues", content=b"x" * 262_145)
        assert (refused.status_code, reason(refused)) == (413, "REQUEST_TOO_LARGE")
        assert (await http.get(f"{url}/v1/events")).status_code == 200


async def test_each_of_several_servers_shows_a_certificate_with_its_own_name(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("localhost")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    recorders, addresses = [Recorder(), Recorder()], []
    async with AsyncExitStack() as ended:
        for recorder in recorders:
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((recorder,))
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
            await server.start()
            ended.push_async_callback(server.stop, None)
            addresses.append(f"localhost:{port}")
        gateway = await ended.enter_async_context(
            gateway_process(addresses, f"-server-ca-file={tmp_path / 'ca.pem'}"),
        )
        http = await ended.enter_async_context(httpx.AsyncClient(base_url=gateway.url, timeout=60))
        while not all(recorder.seen for recorder in recorders):
            assert (await http.get("/v1/events")).status_code == 200


class Streamer(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Streams a hall as it is told to, to whoever asks, and remembers who went away."""

    def __init__(self, messages: Callable[[], AsyncIterator[bytes]]) -> None:
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self._messages = messages

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if not handler_call_details.method.endswith("/WatchSeats"):
            return None

        async def stream(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
            self.asked.set()
            try:
                async for message in self._messages():
                    yield message
            finally:
                self.left.set()

        return grpc.unary_stream_rpc_method_handler(stream)

    @asynccontextmanager
    async def served(self, *arguments: str) -> AsyncIterator[Gateway]:
        """A gateway before it."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self,))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            async with gateway_process([address], *arguments) as gateway:
                yield gateway
        finally:
            await server.stop(None)


async def nothing() -> AsyncIterator[bytes]:
    """A stream whose first message never comes."""
    await asyncio.Event().wait()
    yield b""


async def everything() -> AsyncIterator[bytes]:
    """A stream that has no end."""
    states = bytes(1 << 20)
    snapshot = WatchSeatsResponse(revision=1, snapshot=SeatSnapshot(states=states)).SerializeToString()
    while True:
        yield snapshot


async def test_a_reader_that_takes_nothing_is_let_go_and_so_is_the_servers_stream() -> None:
    streamer = Streamer(everything)
    async with streamer.served("-write-timeout=200ms") as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(get("/v1/performances/1:watchSeats"))
        await streamer.left.wait()
        line = await gateway.logged(event="http", rpc="rowlock.v1.EventService/WatchSeats")
        writer.close()
    assert line["status"] == 200


async def test_a_stream_that_has_not_begun_when_the_gateway_stops_is_sent_elsewhere() -> None:
    streamer = Streamer(nothing)
    async with streamer.served("-drain-time=60s") as gateway, httpx.AsyncClient(timeout=60) as http:
        asking = asyncio.create_task(http.get(f"{gateway.url}/v1/performances/1:watchSeats"))
        await streamer.asked.wait()
        stopped = asyncio.create_task(gateway.stop())
        answer = await asking
        assert (answer.status_code, reason(answer), answer.headers["retry-after"]) == (503, "DRAINING", "1")
        assert await stopped == 0


async def test_a_caller_who_leaves_before_anything_came_is_noticed() -> None:
    streamer = Streamer(nothing)
    async with streamer.served() as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(get("/v1/performances/1:watchSeats"))
        await streamer.asked.wait()
        writer.close()
        await streamer.left.wait()
        line = await gateway.logged(event="http", rpc="rowlock.v1.EventService/WatchSeats")
    assert (line["status"], line["reason"]) == (499, "CALL_CANCELLED")


def _pair(authority: Authority, folder: Path) -> tuple[str, str]:
    certificate, key = authority.issue("localhost")
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return f"-tls-cert-file={folder / 'cert.pem'}", f"-tls-key-file={folder / 'key.pem'}"
