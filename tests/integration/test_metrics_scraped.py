"""What real processes serve to Prometheus: all that the dashboard and the alerts ask for, and nothing of people."""

import asyncio
import json
import os
import re
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import grpc.aio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rowlock.v1 import booking_pb2, booking_pb2_grpc, seat_feed_pb2
from server.db.engine import Database
from tests.queried_metrics import alert_queries, dashboard_queries, selected
from tests.server_processes import ROOT, Customers
from tests.staging import Staged, stage

LABELS = {
    *("service", "method", "code", "le", "outcome", "dependency", "cause", "source", "reason"),
    *("work", "kind", "provider", "call", "answer"),
    # Those of Prometheus's own library about Python.
    *("generation", "implementation", "major", "minor", "patchlevel", "version"),
}
WORD = re.compile(r"(rowlock\.v1\.)?[A-Za-z][A-Za-z_.]*")


@dataclass
class Scraped:
    """One process, and where it serves its numbers."""

    name: str
    process: asyncio.subprocess.Process
    url: str = ""
    address: str = ""

    async def text(self) -> str:
        def read() -> str:
            with urllib.request.urlopen(self.url, timeout=60) as answer:  # noqa: S310 - our own address
                return str(answer.read().decode())

        return await asyncio.to_thread(read)

    async def series(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample, by its name and its labels."""
        families = text_string_to_metric_families(await self.text())
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    async def metrics(self) -> set[str]:
        """The names of all metrics, with those of a histogram's parts, even if nothing was counted yet."""
        names = set()
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", await self.text(), re.MULTILINE):
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
        return names


@asynccontextmanager
async def scraped(command: str, database_url: str, redis_url: str) -> AsyncIterator[Scraped]:
    """A real process with its metrics at any free port."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "ROWLOCK_DATABASE_URL": database_url,
        "ROWLOCK_REDIS_URL": redis_url,
        "ROWLOCK_GRPC_ADDRESS": "127.0.0.1:0",
        "ROWLOCK_ADMIN_ADDRESS": "off",
        "ROWLOCK_METRICS_ADDRESS": "127.0.0.1:0",
        "ROWLOCK_WORKER_METRICS_ADDRESS": "127.0.0.1:0",
        "ROWLOCK_SCHEDULER_METRICS_ADDRESS": "127.0.0.1:0",
        "ROWLOCK_BACKLOG_INTERVAL": "500ms",
        "ROWLOCK_LOG_FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.cli", command), env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    one = Scraped(command, process)
    try:
        async with asyncio.timeout(60):
            while not one.url or (command == "serve" and not one.address):
                said = await process.stdout.readline()
                assert said, f"{command} ended before it served"
                line = json.loads(said)
                one.url = line.get("url") or one.url
                one.address = line.get("address", "") if line.get("event") == "serving" else one.address
        reading = asyncio.create_task(process.stdout.read())
        yield one
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    await reading


async def use(server: Scraped, database: Database, house: Staged, row: str) -> None:
    """Somebody new watches the hall, holds a seat, asks for another's booking, and says nonsense."""
    who = Customers(database).token()
    async with grpc.aio.insecure_channel(server.address) as channel:
        bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(channel)
        parent = f"performances/{house.performance_id}"
        seats = [booking_pb2.SeatClaim(seat=f"Stalls-{row}-{number}") for number in (1, 2)]
        await bookings.CreateBooking(booking_pb2.CreateBookingRequest(parent=parent, seats=seats), metadata=who)
        for name in (f"performances/1/bookings/{uuid4()}", f"nonsense {uuid4()}"):
            with pytest.raises(grpc.aio.AioRpcError):
                await bookings.GetBooking(booking_pb2.GetBookingRequest(name=name), metadata=who)
        watch = channel.unary_stream(
            "/rowlock.v1.EventService/WatchSeats",
            seat_feed_pb2.WatchSeatsRequest.SerializeToString,
            seat_feed_pb2.WatchSeatsResponse.FromString,
        )(seat_feed_pb2.WatchSeatsRequest(performance=parent), metadata=who)
        await watch.read()
        watch.cancel()
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(f"/rowlock.v1.{uuid4()}/Get", None, None)(b"", metadata=who)


@pytest.mark.timeout(240)
async def test_what_is_asked_for_is_served_counts_and_does_not_grow_with_use(
    fresh_database: Database, fresh_valkey_url: str
) -> None:
    database = fresh_database
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(scraped(command, database.url, fresh_valkey_url))
            for command in ("serve", "worker", "scheduler")
        ]
        server, worker, scheduler = processes
        await use(server, database, database.run_transaction(stage), "A")

        served = {name for process in processes for name in await process.metrics()}
        for query in (*alert_queries(), *dashboard_queries()):
            for name, _ in selected(query):
                assert name == "up" or name.startswith("rowlock_gateway_") or name in served, f"{name} in {query}"

        # It counts what happened. That a screen has gone is noticed last.
        watched = {"service": "rowlock.v1.EventService", "method": "WatchSeats", "code": "CANCELLED"}
        await eventually_served(server, ("rowlock_rpc_total", frozenset(watched.items())))
        before = await server.series()
        totals = {name: value for (name, labels), value in before.items() if not labels}
        assert totals["rowlock_ledger_commands_total"] == 1
        assert totals["rowlock_ledger_wait_seconds_count"] == 1
        assert totals["rowlock_ledger_batch_seconds_count"] == 1
        assert totals["rowlock_ledger_batch_size_sum"] == 1
        assert totals["rowlock_database_connections_limit"] > totals["rowlock_database_connections_used"]
        assert totals["process_resident_memory_bytes"] > 1e6
        refused = {"service": "rowlock.v1.BookingService", "method": "GetBooking", "code": "NOT_FOUND"}
        assert before["rowlock_rpc_total", frozenset(refused.items())] == 1

        # What the labels of a query ask for by name is there, too.
        done = ("rowlock_work_runs_total", frozenset({"work": "expire_holds", "outcome": "done"}.items()))
        await eventually_served(worker, done)
        await eventually_served(scheduler, ("rowlock_backlog_rows", frozenset({("kind", "holds_that_ran_out")})))
        told = await scheduler.series()
        kinds = {dict(labels)["kind"] for name, labels in told if name == "rowlock_backlog_overdue_seconds"}
        assert told["rowlock_waiting_room_waiting", frozenset()] == 0
        named = [labels for q in (*alert_queries(), *dashboard_queries()) for _, labels in selected(q)]
        assert {labels["kind"] for labels in named if "kind" in labels} <= kinds
        dependencies = {dict(labels)["dependency"] for name, labels in before if name == "rowlock_dependency_up"}
        assert {labels["dependency"] for labels in named if "dependency" in labels} <= dependencies

        # More customers, performances and nonsense: the same series.
        for row in "BC":
            await use(server, database, database.run_transaction(stage), row)
        new = (await server.series()).keys() - before.keys()
        # On a busy machine something may go another way for the first time: a frame comes late, a batch is made again.
        assert not [one for one in new if not dict(one[1]).keys() & {"cause", "source", "reason"}]
        for process in processes:
            for name, labels in await process.series():
                if name.startswith("python_"):
                    continue
                for label, value in labels:
                    assert label in LABELS, f"{name}: a label {label} that nobody has looked at"
                    assert label == "le" or WORD.fullmatch(value), f"{name}: {label}={value!r} is no word of ours"


async def eventually_served(process: Scraped, series: tuple[str, frozenset[tuple[str, str]]]) -> None:
    """Wait until it is told."""
    async with asyncio.timeout(60):
        while series not in await process.series():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.2)
