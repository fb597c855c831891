"""One trace from the gateway to the servers and SQL, as a collector of OpenTelemetry gets it from both."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from server.config import Settings
from tests.gateway.conftest import Door, bearer
from tests.gateway_process import gateway_process
from tests.receiver import Receiver, answering, receiving
from tests.server_processes import server_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """What an OpenTelemetry collector would have."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.uri = receiver.uri.removesuffix("/rowlock")

    def spans(self) -> list[tuple[str, Span]]:
        """Every span so far, with the service that it is of."""
        found = []
        for arrival in self.receiver.arrivals:
            assert arrival.path == "/v1/traces"
            for part in ExportTraceServiceRequest.FromString(arrival.body).resource_spans:
                names = {one.key: one.value.string_value for one in part.resource.attributes}
                found += [(names["service.name"], span) for scope in part.scope_spans for span in scope.spans]
        return found

    async def span(self, service: str, name: str, trace: str) -> Span:
        """The span of a service with this name, once it has come."""
        while True:
            for of, span in self.spans():
                if (of, span.name, span.trace_id.hex()) == (service, name, trace):
                    return span
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(loop_scope="module")
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with receiving() as receiver:
        receiver.behaviour = answering(200)
        yield Collector(receiver)


def told(span: Span) -> dict[str, object]:
    """The attributes of a span."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_a_trace_leads_from_the_caller_through_the_gateway_and_the_server_to_sql(
    door: Door, settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWLOCK_TRACING_ENDPOINT", collector.uri)
    monkeypatch.setenv("ROWLOCK_TRACING_RATIO", "1")
    traced = (f"-tracing-endpoint={collector.uri}", "-tracing-ratio=1")
    async with (
        server_process(settings.database_url, settings.redis_url) as server,
        gateway_process([server.address], *traced) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        seat = door.hall.hall.places[40].id
        held = await http.post(
            f"/v1/{door.performance}/bookings",
            json={"seats": [{"seat": seat}], "note": "for Grandmother"},
            headers={**bearer(door.anna), "Traceparent": f"00-{TRACE}-{CALLER}-01", "Tracestate": "house=1"},
        )
        assert held.status_code == 200, held.text
        name = "rowlock.v1.BookingService/CreateBooking"
        ours = await collector.span("rowlock-gateway", f"gateway {name}", TRACE)
        theirs = await collector.span("rowlock-server", name, TRACE)
        command = await collector.span("rowlock-server", "ledger Hold", TRACE)
        assert ours.parent_span_id.hex() == CALLER
        assert ours.trace_state == "house=1"
        assert theirs.parent_span_id == ours.span_id
        assert command.parent_span_id == theirs.span_id
        assert told(ours)["http.response.status_code"] == 200
        assert (await gateway.logged(event="http", trace_id=TRACE))["status"] == 200

        # One that begins at the gateway, and ends there with a refusal.
        refused = await http.get("/v1/events?secretName=Ada")
        assert refused.status_code == 400
        line = await gateway.logged(event="http", status=400)
        root = await collector.span("rowlock-gateway", "GET", str(line["trace_id"]))
        assert (root.parent_span_id, told(root)["rowlock.reason"]) == (b"", "INVALID_FIELD")

        # A stream has one, too: when it is over.
        url = f"/v1/{door.performance}:watchSeats"
        async with http.stream("GET", url, headers=bearer(door.anna)) as answer:
            await anext(answer.aiter_lines())
        line = await gateway.logged(event="http", rpc="rowlock.v1.EventService/WatchSeats")
        await collector.span("rowlock-gateway", "gateway rowlock.v1.EventService/WatchSeats", str(line["trace_id"]))
        assert await gateway.stop() == 0
    # Without what is drawn by lot, which might spell anything.
    text = " ".join(f"{span.name} {span.attributes} {span.events} {span.status}" for _, span in collector.spans())
    for secret in ("Grandmother", "Ada", door.anna.access, door.performance, seat):
        assert secret not in text


async def test_no_caller_decides_for_us_which_traces_are_kept(door: Door, collector: Collector) -> None:
    flags = (f"-tracing-endpoint={collector.uri}", "-tracing-ratio=0")
    async with (
        gateway_process([door.address], *flags) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        answer = await http.get("/v1/events", headers={"Traceparent": f"00-{TRACE}-{CALLER}-01"})
        assert answer.status_code == 200
        assert await gateway.logged(event="http", trace_id=TRACE)
        assert await gateway.stop() == 0
    assert not collector.spans()


async def test_a_collector_that_is_away_costs_nothing_but_a_line_of_the_log(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    flags = ("-tracing-endpoint=http://127.0.0.1:1", "-tracing-ratio=1")
    async with (
        gateway_process([door.address], *flags) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        assert (await http.get("/v1/events")).status_code == 200
        assert await gateway.stop() == 0
        await gateway.logged(event="spans were not sent")
