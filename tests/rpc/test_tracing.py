"""One trace from a caller's `traceparent` through the chain to SQL, and the batch that carried its command."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta

import grpc.aio
import pytest
from grpc_status import rpc_status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from rowlock.v1 import auth_pb2, booking_pb2, booking_pb2_grpc
from server import tracing
from server.config import Settings, StartError
from server.db.engine import Database
from tests.eventually import eventually
from tests.rpc.auth.conftest import PASSWORD, QUICK, served
from tests.server_processes import Customers
from tests.staging import stage
from workers.broker import worker

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    end = tracing.begin(SimpleSpanProcessor(exporter), "rowlock-server")
    yield exporter
    end()


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_trace_id(span.context.trace_id)


def named(spans: Sequence[ReadableSpan], *beginnings: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name.startswith(beginnings)]


def linked(span: ReadableSpan, other: ReadableSpan) -> bool:
    assert other.context is not None
    return other.context.span_id in {link.context.span_id for link in span.links}


async def hold_and_sign_up(settings: Settings, database: Database, *metadata: tuple[str, str]) -> None:
    """Hold two seats and open an account, at a server of its own."""
    house = database.run_transaction(stage)
    who = (*Customers(database).token(), *metadata)
    async with served(settings.model_copy(update=QUICK), database) as client:
        bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(client.channel)
        request = booking_pb2.CreateBookingRequest(
            parent=f"performances/{house.performance_id}",
            seats=[booking_pb2.SeatClaim(seat=seat) for seat in ("Stalls-A-1", "Stalls-A-2")],
        )
        booking = await bookings.CreateBooking(request, metadata=who)
        await bookings.GetBooking(booking_pb2.GetBookingRequest(name=booking.name), metadata=who)
        await client.auth.SignUp(
            auth_pb2.SignUpRequest(display_name="Ada", email="ada@example.org", password=PASSWORD), metadata=metadata
        )


async def test_one_trace_leads_from_the_call_to_sql_and_to_the_batch_that_carried_it(
    settings: Settings, database: Database, exporter: InMemorySpanExporter
) -> None:
    await hold_and_sign_up(settings, database, ("traceparent", f"00-{TRACE}-{CALLER}-01"))
    spans = exporter.get_finished_spans()

    (rpc,) = named(spans, "rowlock.v1.BookingService/CreateBooking")
    assert trace_of(rpc) == TRACE
    assert rpc.parent is not None
    assert format_span_id(rpc.parent.span_id) == CALLER
    assert dict(rpc.attributes or {})["rpc.grpc.status"] == "OK"

    (command,) = named(spans, "ledger Hold")
    assert trace_of(command) == TRACE
    assert rpc.context is not None
    assert command.parent is not None
    assert command.parent.span_id == rpc.context.span_id

    (batch,) = [one for one in named(spans, "ledger batch") if linked(one, command)]
    assert trace_of(batch) != TRACE, "a batch serves many callers, so it is nobody's child"
    assert linked(command, batch), "and whoever looks at the command finds it"
    assert batch.context is not None
    within = [one for one in spans if one.parent is not None and one.parent.span_id == batch.context.span_id]
    assert {"COMMIT"} <= {one.name for one in within}
    published = named(spans, "seats publish")
    assert any(linked(one, batch) for one in published)

    (get,) = named(spans, "rowlock.v1.BookingService/GetBooking")
    assert [one for one in named(spans, "combined") if linked(one, get)], "what is read for many names each of them"

    (sign_up,) = named(spans, "rowlock.v1.AuthService/SignUp")
    assert sign_up.context is not None
    transactions = [
        one for one in named(spans, "transaction") if one.parent and one.parent.span_id == sign_up.context.span_id
    ]
    assert {trace_of(one) for one in transactions} == {TRACE}
    ids = {one.context.span_id for one in transactions if one.context}
    statements = [one for one in spans if one.parent and one.parent.span_id in ids]
    assert "INSERT" in {one.name for one in statements}
    assert {trace_of(one) for one in statements} == {TRACE}


async def test_spans_tell_nothing_of_people(
    settings: Settings, database: Database, exporter: InMemorySpanExporter
) -> None:
    async with served(settings.model_copy(update=QUICK), database) as client:
        person = await client.sign_up("ada@example.net", "Ada Lovelace", "correct horse battery")
    told = " ".join(
        f"{span.name} {dict(span.attributes or {})} {[dict(e.attributes or {}) for e in span.events]}"
        for span in exporter.get_finished_spans()
    )
    assert "INSERT INTO users" in told
    for secret in ("ada@example.net", "Lovelace", "correct horse", person.access, person.name.removeprefix("users/")):
        assert secret not in told


async def test_a_refusal_is_no_fault_and_a_trace_that_begins_here_has_the_id_that_the_caller_is_told(
    settings: Settings, database: Database, exporter: InMemorySpanExporter
) -> None:
    async with served(settings.model_copy(update=QUICK), database) as client:
        bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(client.channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await bookings.GetBooking(
                booking_pb2.GetBookingRequest(name="performances/9/bookings/00000000-0000-7000-8000-000000000000"),
                metadata=Customers(database).token(),
            )
    (rpc,) = named(exporter.get_finished_spans(), "rowlock.v1.BookingService/GetBooking")
    assert dict(rpc.attributes or {})["rpc.grpc.status"] == "NOT_FOUND"
    assert rpc.status.is_unset
    told = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert told is not None
    assert any(trace_of(rpc).encode() in detail.value for detail in told.details)


async def test_a_workers_looks_and_rows_have_spans_of_their_own(
    settings: Settings, exporter: InMemorySpanExporter
) -> None:
    running = worker(settings.model_copy(update={"expiry_sweep_interval": timedelta(milliseconds=100)}))
    running.start()
    try:
        await eventually(lambda: bool(named(exporter.get_finished_spans(), "work expire_holds")))
    finally:
        await asyncio.to_thread(running.stop, timeout=60_000)
    look = named(exporter.get_finished_spans(), "work expire_holds")[0]
    assert look.context is not None
    assert any(
        one.name == "read" and one.parent is not None and one.parent.span_id == look.context.span_id
        for one in exporter.get_finished_spans()
    )


def test_only_a_share_is_kept_the_same_by_every_process_and_no_caller_decides_for_us() -> None:
    exporter = InMemorySpanExporter()
    for _ in range(2):
        end = tracing.begin(SimpleSpanProcessor(exporter), "rowlock-server", ratio=0.0)
        with tracing.span("anything", root=True):
            pass
        end()
    assert not exporter.get_finished_spans()


def test_without_traces_the_modules_that_make_spans_are_not_even_imported() -> None:
    code = (
        "import sys, server.app, workers.broker, workers.scheduler\n"
        "from server import tracing\n"
        "with tracing.span('x'): pass\n"
        "assert not [name for name in sys.modules if name.startswith('server.tracing.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(StartError, match=r"rowlock\[tracing\]"):
        tracing.start_tracing(Settings(tracing_endpoint="http://127.0.0.1:4318"), "rowlock-server")
    assert not tracing.is_on()
