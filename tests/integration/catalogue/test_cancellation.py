"""Cancelled performances are wound up to the last booking, whoever dies on the way and whatever payments do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from server.db.engine import Database
from server.db.ids import new_id
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking as BookingRow
from server.db.models.payments import Payment
from server.domain import cancellation
from server.errors import FailedPrecondition, RowlockError
from server.seats.booking import Booking
from server.seats.commands import Claim, Command, Confirm, Hold
from server.seats.ledger import Ledger
from server.states import BookingState, ConfirmedBy, PaymentState, PerformanceState, Provider
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, lambda _published: None)
    yield ledger
    await ledger.close()
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda session: stage(session, hall_document(rows=20, seats=20)))


async def hold(ledger: Ledger, house: Staged, *places: int) -> Booking:
    customer = uuid4()
    claims = tuple(Claim(place) for place in places)
    return await ledger.execute(
        Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims)
    )


async def sell(ledger: Ledger, booking: Booking) -> None:
    await ledger.execute(
        Confirm(
            performance_id=booking.performance_id,
            booking_id=booking.id,
            actor_id=None,
            staff=True,
            confirmed_by=ConfirmedBy.CASH,
        )
    )


def cancel(database: Database, house: Staged, reason: str = "flood") -> bool:
    return database.run_transaction(lambda session: cancellation.cancel(session, house.performance_id, "", reason))


def states(database: Database, house: Staged) -> dict[UUID, BookingState]:
    query = select(BookingRow.id, BookingRow.state).where(BookingRow.performance_id == house.performance_id)
    return dict(database.run_transaction(lambda session: session.execute(query).all()))


def due(database: Database) -> list[int]:
    return list(database.run_transaction(cancellation.performances_to_wind_up))


def let_time_pass(database: Database, house: Staged) -> None:
    """As if the lease of whoever wound it up had run out."""
    database.run_transaction(
        lambda session: session.execute(
            update(Performance)
            .where(Performance.id == house.performance_id)
            .values(wind_up_time=Performance.wind_up_time - timedelta(minutes=5))
        )
    )


async def test_holds_and_sold_bookings_end_and_all_places_are_free(
    database: Database, ledger: Ledger, house: Staged
) -> None:
    held = [await hold(ledger, house, 2 * n, 2 * n + 1) for n in range(130)]
    for booking in held[:7]:
        await sell(ledger, booking)
    assert cancel(database, house)
    assert await cancellation.wind_up(ledger, database, house.performance_id)
    assert set(states(database, house).values()) == {BookingState.CANCELLED}
    counts = database.run_transaction(
        lambda session: session.execute(
            text("SELECT total, available FROM inventories WHERE performance_id = :id"), {"id": house.performance_id}
        ).one()
    )
    assert counts.total == counts.available
    valid = database.run_transaction(
        lambda session: session.scalar(
            text("SELECT count(*) FROM tickets WHERE performance_id = :id AND state <> 3"), {"id": house.performance_id}
        )
    )
    assert valid == 0
    reasons = database.run_transaction(
        lambda session: session.scalar(select(Performance.wind_up_time).where(Performance.id == house.performance_id))
    )
    assert reasons is None
    let_time_pass(database, house)
    assert house.performance_id not in due(database)


async def test_nothing_can_be_claimed_from_the_moment_of_the_cancellation(
    database: Database, ledger: Ledger, house: Staged
) -> None:
    await hold(ledger, house, 0)
    cancel(database, house)
    with pytest.raises(FailedPrecondition):
        await hold(ledger, house, 1)


async def test_cancelling_twice_changes_nothing(database: Database, ledger: Ledger, house: Staged) -> None:
    assert cancel(database, house)
    assert not cancel(database, house, "another reason")
    performance = database.run_transaction(lambda session: session.get_one(Performance, house.performance_id))
    assert (performance.state, performance.cancel_reason) == (PerformanceState.CANCELLED, "flood")


async def test_a_worker_goes_on_where_a_dead_process_stopped(database: Database, ledger: Ledger, house: Staged) -> None:
    for place in range(5):
        await hold(ledger, house, place)
    cancel(database, house)
    assert house.performance_id not in due(database)  # whoever cancelled has begun it
    let_time_pass(database, house)
    assert house.performance_id in due(database)
    assert house.performance_id not in due(database)  # taken: others leave it alone for a while
    assert await cancellation.wind_up(ledger, database, house.performance_id)
    assert set(states(database, house).values()) == {BookingState.CANCELLED}


async def test_two_that_wind_up_at_once_do_no_harm(database: Database, ledger: Ledger, house: Staged) -> None:
    for place in range(150):
        await hold(ledger, house, place)
    cancel(database, house)
    wind_up = cancellation.wind_up
    assert await asyncio.gather(*(wind_up(ledger, database, house.performance_id) for _ in range(3))) == [True] * 3
    assert set(states(database, house).values()) == {BookingState.CANCELLED}


async def test_a_booking_that_a_fault_of_ours_kept_from_ending_is_tried_again(
    database: Database, ledger: Ledger, house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = await hold(ledger, house, 0)
    await sell(ledger, booking)
    cancel(database, house)

    async def fail(_command: Command) -> Booking:
        raise RowlockError("INTERNAL", "a statement took too long")

    with monkeypatch.context() as faulty:
        faulty.setattr(ledger, "execute", fail)
        assert not await cancellation.wind_up(ledger, database, house.performance_id)
    let_time_pass(database, house)
    assert house.performance_id in due(database)
    assert await cancellation.wind_up(ledger, database, house.performance_id)
    assert states(database, house) == {booking.id: BookingState.CANCELLED}


async def test_a_booking_that_is_being_paid_is_cancelled_after_its_payment(
    database: Database, ledger: Ledger, house: Staged
) -> None:
    paying, other = await hold(ledger, house, 0), await hold(ledger, house, 1)
    payment = new_id()

    def begin(session) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        session.add(
            Payment(
                performance_id=house.performance_id,
                id=payment,
                booking_id=paying.id,
                customer_id=paying.customer_id,
                provider=Provider.SIMULATOR,
                state=PaymentState.PROCESSING,
                amount=paying.total,
                currency=paying.currency,
            )
        )
        session.execute(update(BookingRow).where(BookingRow.id == paying.id).values(payment_id=payment))

    database.run_transaction(begin)
    cancel(database, house)
    assert not await cancellation.wind_up(ledger, database, house.performance_id)
    assert states(database, house) == {paying.id: BookingState.HELD, other.id: BookingState.CANCELLED}
    # The money comes in: the booking is confirmed, then cancelled, and all of it is asked back.
    await ledger.execute(
        Confirm(
            performance_id=house.performance_id,
            booking_id=paying.id,
            actor_id=None,
            staff=True,
            confirmed_by=ConfirmedBy.PROVIDER,
            payment_id=payment,
        )
    )
    let_time_pass(database, house)
    assert house.performance_id in due(database)
    assert await cancellation.wind_up(ledger, database, house.performance_id)
    assert states(database, house)[paying.id] is BookingState.CANCELLED
    refunded = database.run_transaction(
        lambda session: session.execute(
            text("SELECT amount, reason FROM refunds WHERE payment_id = :id"), {"id": payment}
        ).one()
    )
    assert (refunded.amount, refunded.reason) == (paying.total, "flood")


@pytest.mark.race
async def test_holds_that_race_with_a_cancellation_all_end(database: Database, ledger: Ledger, house: Staged) -> None:
    async def buyer(place: int) -> None:
        await asyncio.sleep(0.0005 * place)
        try:
            await hold(ledger, house, place)
        except RowlockError as refusal:
            assert refusal.reason in {"NOT_ON_SALE", "PERFORMANCE_CANCELLED"}  # noqa: PT017

    buyers = [asyncio.create_task(buyer(place)) for place in range(100)]
    await asyncio.sleep(0.02)
    await database.transaction(lambda session: cancellation.cancel(session, house.performance_id, "", ""))
    assert await cancellation.wind_up(ledger, database, house.performance_id)
    await asyncio.gather(*buyers)
    assert set(states(database, house).values()) <= {BookingState.CANCELLED}
