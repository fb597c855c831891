"""Approvals that nobody tells us of, and books that say otherwise: found by asking, without any webhook."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain.payment_reads import may_be_paid_late
from server.domain.payments import give_up_abandoned
from server.payments.collecting import Patience
from server.payments.port import PaymentOrder
from server.payments.simulator import Simulator
from server.seats.booking import Booking
from server.seats.commands import Remove
from server.states import BookingState, PaymentState, RefundState, SimulatedOrder, SimulatedOutcome
from tests.approving import ApprovedElsewhere
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

PATIENCE = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), ask=timedelta(minutes=1))


@pytest.fixture
def provider(database: Database) -> ApprovedElsewhere:
    return ApprovedElsewhere(database)


@pytest.fixture
async def desk(database: Database, provider: ApprovedElsewhere) -> AsyncIterator[Desk]:
    async with desk_on(database, patience=PATIENCE, provider=provider) as desk:
        yield desk
        assert_sound(database)
        desk.one("UPDATE payments SET next_attempt_time = NULL, state = 6 WHERE state = 2")


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


async def asked_to_approve(desk: Desk, house: Staged, *places: int) -> tuple[Booking, Payment]:
    booking = await desk.hold(house, *places)
    payment = await desk.pay(booking)
    await desk.carry_on()
    known = desk.payment(payment)
    assert (known.state, known.approval_uri is None) == (PaymentState.REQUIRES_ACTION, False)
    return booking, known


async def the_time_comes(desk: Desk, payment: Payment) -> None:
    """The provider is due to be asked, and is."""
    desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE id = :id", id=payment.id)
    await desk.settle()
    await desk.carry_on()


async def test_an_approval_without_the_customer_coming_back_buys_the_seats(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3)
    await the_time_comes(desk, payment)
    waits = desk.payment(payment)
    assert waits.state is PaymentState.REQUIRES_ACTION
    assert waits.next_attempt_time is not None, "it is asked again"

    provider.approved.add(payment.id)
    await the_time_comes(desk, payment)

    assert desk.booking(booking).state is BookingState.CONFIRMED
    assert desk.payment(payment).state is PaymentState.SUCCEEDED


async def test_it_is_asked_ever_less_often_but_once_more_when_the_hold_ends(desk: Desk, house: Staged) -> None:
    booking, payment = await asked_to_approve(desk, house, 3)
    waits = []
    for _ in range(3):
        await the_time_comes(desk, payment)
        waits.append(
            desk.one(
                "SELECT extract(epoch FROM next_attempt_time - clock_timestamp()) FROM payments WHERE id = :id",
                id=payment.id,
            )
        )
    assert waits == sorted(waits)
    desk.one("UPDATE bookings SET hold_expire_time = clock_timestamp() + interval '20 s' WHERE id = :id", id=booking.id)

    await the_time_comes(desk, payment)

    late = desk.one(
        "SELECT p.next_attempt_time - b.hold_expire_time FROM payments p JOIN bookings b ON b.id = p.booking_id"
        " WHERE p.id = :id",
        id=payment.id,
    )
    assert late == timedelta(seconds=1)


async def test_an_approval_that_is_noticed_after_the_hold_takes_the_places_back(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3, 4)
    provider.approved.add(payment.id)
    desk.let_time_pass(booking)
    await desk.expire(booking)
    assert desk.database.run_transaction(lambda s: give_up_abandoned(s, 10)) == 0, "the provider is asked first"
    assert desk.database.run_transaction(lambda s: may_be_paid_late(s, booking.performance_id, booking.id))

    await the_time_comes(desk, payment)

    paid = desk.payment(payment)
    assert (paid.state, desk.refunds(payment)) == (PaymentState.SUCCEEDED, [])
    assert paid.bought_booking_id == desk.booking(booking).replaced_by is not None
    assert not desk.database.run_transaction(lambda s: may_be_paid_late(s, booking.performance_id, booking.id))


async def test_no_money_is_taken_for_places_that_are_gone(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3, 4)
    provider.approved.add(payment.id)
    desk.let_time_pass(booking)
    await desk.expire(booking)
    await desk.hold(house, 4)

    await the_time_comes(desk, payment)

    ended, order = desk.payment(payment), desk.order(payment)
    assert (ended.state, ended.error_reason) == (PaymentState.CANCELLED, "BOOKING_ENDED")
    assert order is not None
    assert order.state is SimulatedOrder.CANCELLED


@pytest.mark.parametrize("ended", ["run out", "cancelled"])
async def test_what_nobody_approved_is_given_up_with_its_booking(desk: Desk, house: Staged, ended: str) -> None:
    booking, payment = await asked_to_approve(desk, house, 3)
    if ended == "cancelled":
        await desk.cancel(booking)
    else:
        desk.let_time_pass(booking)

    await the_time_comes(desk, payment)

    order = desk.order(payment)
    assert order is not None
    assert (desk.payment(payment).state, order.state) == (PaymentState.CANCELLED, SimulatedOrder.CANCELLED)


async def test_an_approval_of_a_price_that_is_no_longer_asked_takes_nothing(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3, 4)
    fewer = Remove(
        performance_id=house.performance_id, booking_id=booking.id, actor_id=booking.customer_id, places=(4,)
    )
    await desk.ledger.execute(fewer)
    provider.approved.add(payment.id)

    await the_time_comes(desk, payment)

    ended = desk.payment(payment)
    assert (ended.state, ended.error_reason) == (PaymentState.CANCELLED, "BOOKING_CHANGED")
    assert desk.booking(booking).state is BookingState.HELD


async def test_a_capture_before_the_approval_gives_the_move_back_to_the_customer(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3)
    await desk.capture(payment)
    await desk.settle()

    again = desk.payment(payment)
    assert (again.state, desk.booking(booking).payment_id) == (PaymentState.REQUIRES_ACTION, None)

    provider.approved.add(payment.id)
    await desk.capture(payment)
    await desk.settle()
    assert desk.booking(booking).state is BookingState.CONFIRMED


async def test_what_was_declined_and_captured_all_the_same_is_found_by_comparing(
    desk: Desk, house: Staged, provider: ApprovedElsewhere
) -> None:
    booking, payment = await asked_to_approve(desk, house, 3)
    provider.approved.add(payment.id)
    desk.script(payment, SimulatedOutcome.DECLINE)
    await desk.capture(payment)
    await desk.settle()
    assert desk.payment(payment).state is PaymentState.FAILED
    desk.one("UPDATE simulator_orders SET state = 1 WHERE payment_id = :id", id=payment.id)
    desk.script(payment, SimulatedOutcome.APPROVE)
    await Simulator.capture(provider, PaymentOrder(payment.id, 2500, "EUR"))
    desk.let_time_pass(booking)
    await desk.expire(booking)

    await desk.compare()
    await desk.settle()

    assert desk.payment(payment).state is PaymentState.SUCCEEDED
    assert desk.booking(booking).replaced_by is not None
    assert_sound(desk.database)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE simulator_orders SET amount = 2400 WHERE payment_id = :id", "AMOUNT"),
        ("UPDATE simulator_orders SET state = 4 WHERE payment_id = :id", "NOT_CAPTURED"),
        ("UPDATE simulator_orders SET state = 2 WHERE payment_id = :id", None),
    ],
)
async def test_staff_see_what_the_providers_books_say_otherwise(
    database: Database, house: Staged, change: str, found: str | None
) -> None:
    async with desk_on(database) as desk:
        payment = await desk.captured(await desk.hold(house, 3))
        await desk.settle()
        before = desk.one("SELECT row_to_json(o) FROM simulator_orders o WHERE payment_id = :id", id=payment.id)
        desk.one(change, id=payment.id)

        await desk.compare()

        said = desk.payment(payment).discrepancy
        assert (said or "").split(":")[0] == (found or "")
        assert desk.payment(payment).compare_after_time is None
        desk.one(
            "UPDATE simulator_orders SET amount = :amount, state = :state WHERE payment_id = :id",
            id=payment.id,
            amount=before["amount"],
            state=before["state"],
        )


async def test_a_refund_under_way_is_compared_later(database: Database, house: Staged) -> None:
    async with desk_on(database) as desk:
        booking = await desk.hold(house, 3)
        payment = await desk.captured(booking)
        await desk.settle()
        await desk.cancel(booking)

        soon = "SELECT compare_after_time < now() - interval '22 hours' FROM payments WHERE id = :id"
        await desk.compare()
        assert desk.one(soon, id=payment.id), "in an hour, which is a day after that time"
        await desk.settle()
        await desk.compare()

        assert not desk.one(soon, id=payment.id), "in a day, because its refund may fail"
        assert desk.payment(payment).discrepancy is None
        assert [r.state for r in desk.refunds(payment)] == [RefundState.SUCCEEDED]
