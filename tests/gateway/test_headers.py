"""Which of a caller's headers reach a server, and as what: seen by a server that writes them down."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio

from tests.gateway_process import Gateway, gateway_process, reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OURS = {":authority", "user-agent", "content-type", "grpc-accept-encoding", "grpc-timeout", "te"}


class Recorder(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers every call with an empty message, and remembers what came with the last one."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if not handler_call_details.method.startswith("/rowlock."):
            return None  # a server that tells nothing of its health is taken for well

        async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            self.seen = {}
            for key, value in context.invocation_metadata() or ():
                self.seen.setdefault(key, []).append(str(value))
            await context.send_initial_metadata((("ratelimit", "forged"), ("x-internal", "db-3")))
            context.set_trailing_metadata(
                (
                    ("ratelimit", '"address";r=40;t=3'),
                    ("ratelimit-policy", '"address";q=60;w=9'),
                    ("ratelimit", '"account";r=4;t=30'),
                    ("ratelimit-policy", '"account";q=6;w=90'),
                    ("x-internal", "db-4"),
                )
            )
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@dataclass
class Post:
    """A gateway before a recorder."""

    recorder: Recorder
    address: str
    gateway: Gateway
    http: httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post() -> AsyncIterator[Post]:
    server, recorder = grpc.aio.server(), Recorder()
    server.add_generic_rpc_handlers((recorder,))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        async with gateway_process([address]) as gateway, httpx.AsyncClient(base_url=gateway.url, timeout=60) as http:
            yield Post(recorder, address, gateway, http)
    finally:
        await server.stop(None)


async def test_only_what_is_listed_passes(post: Post) -> None:
    headers = {
        "Authorization": "Bearer abc",
        "Traceparent": TRACE,
        "Tracestate": "a=b",
        "Grpc-Metadata-Authorization": "Bearer forged",
        "Grpc-Metadata-X-Account": "users/1",
        "Grpc-Timeout": "1n",
        "X-Account": "users/1",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "bank.example.org",
        "X-Real-Ip": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "Cookie": "session=1",
        "Rowlock-Idempotency-Key": "forged",
        "Idempotency-Key": "mine",
    }
    answer = await post.http.get("/v1/events", headers=headers)
    assert answer.status_code == 200
    seen = {key: values for key, values in post.recorder.seen.items() if key not in OURS}
    assert seen == {
        "authorization": ["Bearer abc"],
        "traceparent": [TRACE],
        "tracestate": ["a=b"],
        "rowlock-ratelimit": ["1"],
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-host": [httpx.URL(post.gateway.url).netloc.decode()],
    }


async def test_only_limits_come_back(post: Post) -> None:
    answer = await post.http.get("/v1/events")
    assert answer.headers["ratelimit"] == '"address";r=40;t=3, "account";r=4;t=30'
    assert answer.headers["ratelimit-policy"] == '"address";q=60;w=9, "account";q=6;w=90'
    assert set(answer.headers) == {
        *("cache-control", "content-length", "content-type", "date", "vary", "x-content-type-options"),
        *("ratelimit", "ratelimit-policy"),
    }


@pytest.mark.parametrize("given", [None, "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", TRACE + "\tx"])
async def test_a_call_without_a_trace_gets_one_that_the_log_has(post: Post, given: str | None) -> None:
    await post.http.get("/v1/events", headers={"Traceparent": given} if given else {})
    (made,) = post.recorder.seen["traceparent"]
    version, trace, span, flags = made.split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert trace.strip("0")
    line = await post.gateway.logged(event="http", trace_id=trace)
    assert (line["rpc"], line["status"]) == ("rowlock.v1.EventService/ListEvents", 200)


async def test_an_address_is_believed_of_hops_that_are_trusted(post: Post) -> None:
    sent = {"X-Forwarded-For": "203.0.113.9, 10.1.2.3"}
    async with (
        gateway_process([post.address], "-trusted-proxies=127.0.0.0/8,10.0.0.0/8") as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        await http.get("/v1/events", headers=sent)
    assert post.recorder.seen["x-forwarded-for"] == ["203.0.113.9, 10.1.2.3, 127.0.0.1"]


async def test_two_identities_are_both_passed_on_for_the_server_to_refuse(post: Post) -> None:
    await post.http.get("/v1/events", headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
    assert post.recorder.seen["authorization"] == ["Bearer a", "Bearer b"]


async def test_two_keys_for_one_thing_are_refused(post: Post) -> None:
    answer = await post.http.post("/v1/venues", json={}, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (answer.status_code, reason(answer)) == (400, "INVALID_FIELD")


async def test_every_call_has_an_end(post: Post) -> None:
    await post.http.get("/v1/events")
    assert "grpc-timeout" not in post.recorder.seen or post.recorder.seen["grpc-timeout"] != ["1n"]
