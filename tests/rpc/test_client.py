"""The Python client library against a real server: what applications rely on."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.payment_pb2 import Payment, SimulatePaymentRequest
from rowlock_client import Client, MemoryStore, RowlockError, aio, calls
from rowlock_client.errors import FailedPrecondition, InvalidArgument, NotFound, Unauthenticated
from rowlock_client.seat_view import AVAILABLE, HELD
from server.config import Settings
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    work = worker(settings.model_copy(update=QUICK))
    work.start()
    with threaded_server(settings) as running:
        yield running
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    types = ({"display_name": "Adult", "price": 2500}, {"display_name": "Child", "price": 1200})
    return database.run_transaction(lambda session: stage(session, hall_document(), ticket_types=types))


@pytest.fixture
def client(server: ThreadedServer) -> Iterator[Client]:
    """Somebody new, logged in."""
    with Client(server.address) as client:
        email = f"{uuid4().hex}@example.org"
        client.sign_up(email, PASSWORD, "Ada")
        client.log_in(email, PASSWORD)
        yield client


def performance(house: Staged) -> str:
    return f"performances/{house.performance_id}"


@pytest.mark.promise("0.7", "0.10", "3.6", "4.5", "4.6")
def test_a_booking_from_the_seat_map_to_the_tickets(client: Client, house: Staged) -> None:
    drawing = client.seat_map(performance(house))
    assert [seat.index for seat in drawing.seats] == list(range(50))

    booking = client.hold(performance(house), drawing.seats[3].id, drawing.seats[4].id)
    assert booking.state == Booking.HELD
    booking = client.add(booking.name, drawing.seats[5].id)
    booking = client.remove(booking.name, drawing.seats[3].id)
    assert [seat.index for seat in booking.seats] == [4, 5]
    assert client.availability(performance(house)).counts.held == 2

    payment = client.simulate(client.pay(booking.name).name)
    assert client.wait_for_payment(payment.name).state == Payment.SUCCEEDED
    assert client.booking(booking.name).state == Booking.CONFIRMED
    tickets = client.tickets(booking.name).tickets
    assert [ticket.seat for ticket in tickets] == [seat.seat for seat in booking.seats]
    assert [one.name for one in client.bookings().bookings] == [booking.name]
    assert client.cancel(booking.name).state == Booking.CANCELLED


def test_a_declined_payment_leaves_the_booking_held(client: Client, house: Staged) -> None:
    booking = client.hold(performance(house), best=2)

    with pytest.raises(FailedPrecondition) as refused:
        client.simulate(client.pay(booking.name).name, SimulatePaymentRequest.DECLINE)

    assert refused.value.reason == "PAYMENT_FAILED"
    assert client.booking(booking.name).state == Booking.HELD


def test_refusals_come_as_exceptions_with_reason_and_facts(
    client: Client, server: ThreadedServer, house: Staged
) -> None:
    seat = client.seat_map(performance(house)).seats[0].id
    client.hold(performance(house), seat)

    with pytest.raises(FailedPrecondition) as taken:
        client.hold(performance(house), seat)
    assert (taken.value.reason, taken.value.metadata["seats"]) == ("SEAT_TAKEN", seat)
    assert taken.value.request_id
    assert taken.value.trace_id

    with pytest.raises(InvalidArgument) as wrong:
        client.hold("performances/0", seat)
    assert [fault.field for fault in wrong.value.field_violations] == ["parent"]

    with pytest.raises(NotFound):
        client.performance("performances/999999")
    with Client(server.address) as stranger, pytest.raises(Unauthenticated):
        stranger.bookings()


@pytest.mark.promise("3.1", "4.4")
def test_lists_are_read_page_by_page(client: Client, database: Database) -> None:
    first = database.run_transaction(stage)
    for _ in range(2):
        database.run_transaction(stage)

    pages = list(client.pages(calls.performances(page_size=1)))

    names = [page.performances[0].name for page in pages if page.performances]
    assert len(set(names)) == len(names) >= 3
    assert performance(first) in names


def test_a_repeated_request_id_books_once(client: Client, house: Staged) -> None:
    rpc = calls.hold(performance(house), best=1)

    first = client.call(rpc, request_id="just-once")
    again = client.call(rpc, request_id="just-once")

    assert first == again
    assert client.availability(performance(house)).counts.held == 1


def test_a_token_that_is_over_is_renewed_on_the_way(server: ThreadedServer) -> None:
    store = MemoryStore()
    with Client(server.address, store=store) as client:
        client.sign_up(f"{uuid4().hex}@example.org", PASSWORD, "Ada")
        email = f"{uuid4().hex}@example.org"
        client.sign_up(email, PASSWORD, "Bert")
        client.log_in(email, PASSWORD)
        held = store.load()
        assert held is not None
        store.save(replace(held, expire_time=datetime.now(UTC)))

        with ThreadPoolExecutor(8) as pool:
            users = list(pool.map(lambda _: client.me().email, range(8)))

        renewed = store.load()
        assert set(users) == {email}
        assert renewed is not None
        assert renewed.refresh_token != held.refresh_token


def test_a_session_that_was_ended_elsewhere_is_told_as_such(server: ThreadedServer, client: Client) -> None:
    with Client(server.address, store=MemoryStore(client.tokens)) as elsewhere:
        elsewhere.log_out()

    with pytest.raises(Unauthenticated):
        client.me()
    assert client.tokens is None


async def test_a_watcher_sees_what_a_customer_does(client: Client, server: ThreadedServer, house: Staged) -> None:
    async with (
        aio.Client(server.address, store=MemoryStore(client.tokens)) as kiosk,
        kiosk.watch_seats(performance(house)) as watcher,
    ):
        await anext(watcher)
        assert watcher.view.counts.available == 50
        booking = await asyncio.to_thread(client.hold, performance(house), best=2)
        update = await asyncio.wait_for(anext(watcher), 60)

    assert {(change.index, change.before, change.after) for change in update.changes} == {
        (seat.index, AVAILABLE, HELD) for seat in booking.seats
    }
    assert watcher.faults == []


async def test_a_booking_is_watched_until_it_is_over(client: Client, server: ThreadedServer, house: Staged) -> None:
    booking = await asyncio.to_thread(client.hold, performance(house), best=1)
    async with aio.Client(server.address, store=MemoryStore(client.tokens)) as watching:
        states = []
        async with asyncio.timeout(60):
            async for shown in watching.watch_booking(booking.name):
                states.append(shown.state)
                if len(states) == 1:
                    await asyncio.to_thread(client.cancel, booking.name)

    assert states == [Booking.HELD, Booking.CANCELLED]


@pytest.mark.fault
def test_of_several_servers_one_may_stop(settings: Settings, database: Database) -> None:
    house = database.run_transaction(stage)
    with (
        threaded_server(settings) as stays,
        threaded_server(settings) as goes,
        Client([goes.address, stays.address]) as client,
    ):
        for _ in range(10):
            client.availability(performance(house))
        goes.stop()
        for _ in range(10):
            client.availability(performance(house))
        goes.start()


@pytest.mark.fault
def test_a_restart_of_the_server_costs_no_call_and_no_change(settings: Settings, database: Database) -> None:
    house = database.run_transaction(stage)
    with threaded_server(settings) as server, Client(server.address, timeout=60) as client:
        email = f"{uuid4().hex}@example.org"
        client.sign_up(email, PASSWORD, "Ada")
        client.log_in(email, PASSWORD)
        seats = [seat.id for seat in client.seat_map(performance(house)).seats]
        watched = Watching(server.address, performance(house), MemoryStore(client.tokens))
        failures: list[RowlockError] = []
        stop = threading.Event()

        def shop() -> None:
            while not stop.is_set():
                try:
                    client.cancel(client.hold(performance(house), seats[7]).name)
                except RowlockError as error:
                    failures.append(error)

        shopper = threading.Thread(target=shop)
        shopper.start()
        before = watched.wait_for_more()
        server.stop()
        server.start()
        after = watched.wait_for_more()
        stop.set()
        shopper.join()
        revision = client.availability(performance(house)).revision
        watched.wait_for(revision)
        watched.end()

    assert failures == []
    assert after > before
    assert watched.faults == []
    assert watched.connections >= 2
    assert_sound(database)


class Watching:
    """A watcher in a thread of its own."""

    def __init__(self, address: str, performance: str, store: MemoryStore) -> None:
        self.revision = 0
        self.faults: list[str] = []
        self.connections = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(address, performance, store)))
        self._thread.start()

    async def _run(self, address: str, performance: str, store: MemoryStore) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch = asyncio.create_task(self._follow(address, performance, store))
        await asyncio.wait([self._watch])

    async def _follow(self, address: str, performance: str, store: MemoryStore) -> None:
        async with aio.Client(address, store=store) as client, client.watch_seats(performance) as watcher:
            async for update in watcher:
                with self._changed:
                    self.revision, self.connections = update.revision, watcher.connections
                    self.faults = watcher.faults
                    self._changed.notify_all()

    def wait_for(self, revision: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.revision >= revision, 60), self.revision

    def wait_for_more(self) -> int:
        self.wait_for(self.revision + 5)
        return self.revision

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._watch.cancel)
        self._thread.join(60)
        assert not self._thread.is_alive()
