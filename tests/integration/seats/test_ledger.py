"""The ledger on a real database: what each command does, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from server import clock
from server.db.engine import Database
from server.errors import FailedPrecondition, InvalidArgument, NotFound, RowlockError
from server.seats.booking import Booking
from server.seats.commands import (
    Add,
    BestAvailable,
    Block,
    Cancel,
    Claim,
    Confirm,
    Expire,
    Extend,
    GeneralAdmission,
    Hold,
    Remove,
    RequestKey,
    SetAside,
    Unblock,
)
from server.seats.ledger import Ledger
from server.seats.write import Published
from server.states import BookingState, ConfirmedBy, SeatState
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage

ANNA, BERT = uuid4(), uuid4()


@pytest.fixture
async def published() -> list[Published]:
    return []


@pytest.fixture
async def ledger(database: Database, published: list[Published]) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, published.extend)
    yield ledger
    await ledger.close()
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


def hold(house: Staged, *places: int, customer: UUID = ANNA, request: RequestKey | None = None) -> Hold:
    claims = tuple(Claim(place) for place in places)
    return Hold(
        performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims, request=request
    )


def on(booking: Booking, **more: Any) -> dict[str, Any]:
    return {"performance_id": booking.performance_id, "booking_id": booking.id, "actor_id": booking.customer_id} | more


async def refused(ledger: Ledger, command: Any, kind: type[RowlockError] = FailedPrecondition) -> str:
    with pytest.raises(kind) as refusal:
        await ledger.execute(command)
    return refusal.value.reason


def reason(answer: Any) -> str | None:
    return answer.reason if isinstance(answer, RowlockError) else None


def run_out(database: Database, booking: Booking) -> None:
    """Let the hold's time pass."""
    database.run_transaction(
        lambda s: s.execute(
            text("UPDATE bookings SET hold_expire_time = clock_timestamp() - interval '1s' WHERE id = :id"),
            {"id": booking.id},
        )
    )


async def test_a_hold_claims_its_seats_with_the_servers_prices(
    ledger: Ledger, house: Staged, published: list[Published]
) -> None:
    booking = await ledger.execute(hold(house, 3, 4))

    assert booking.state is BookingState.HELD
    assert booking.places == (3, 4)
    assert (booking.total, booking.currency) == (5000, "EUR")
    assert booking.hold_expire_time - booking.hold_start_time == timedelta(minutes=15)
    await asyncio.sleep(0)
    assert [(p.revision, p.changes) for p in published] == [(1, ((3, SeatState.HELD), (4, SeatState.HELD)))]


async def test_a_taken_seat_is_named_and_nothing_of_the_command_happens(ledger: Ledger, house: Staged) -> None:
    await ledger.execute(hold(house, 3))

    with pytest.raises(FailedPrecondition) as refusal:
        await ledger.execute(hold(house, 2, 3, customer=BERT))

    assert refusal.value.reason == "SEAT_TAKEN"
    assert refusal.value.metadata["seats"] == house.hall.places[3].id
    await ledger.execute(hold(house, 2, customer=BERT))


async def test_of_many_who_reach_for_one_seat_in_one_batch_one_gets_it(ledger: Ledger, house: Staged) -> None:
    answers = await asyncio.gather(
        *(ledger.execute(hold(house, 7, customer=uuid4())) for _ in range(50)), return_exceptions=True
    )

    assert sum(isinstance(answer, Booking) for answer in answers) == 1
    assert {reason(answer) for answer in answers} - {None} == {"SEAT_TAKEN"}
    assert ledger.batches < 10


async def test_the_limit_counts_all_bookings_of_a_customer(ledger: Ledger, house: Staged) -> None:
    await ledger.execute(hold(house, 0, 1, 2))

    assert await refused(ledger, hold(house, 3, 4)) == "CUSTOMER_LIMIT_REACHED"
    fourth = await ledger.execute(hold(house, 3))
    assert await refused(ledger, hold(house, 4)) == "CUSTOMER_LIMIT_REACHED"
    await ledger.execute(Cancel(**on(fourth)))
    await ledger.execute(hold(house, 4))


async def test_seats_are_added_and_removed_without_moving_the_clock(ledger: Ledger, house: Staged) -> None:
    booking = await ledger.execute(hold(house, 0))
    more = await ledger.execute(Add(**on(booking), claims=(Claim(1), Claim(2))))
    less = await ledger.execute(Remove(**on(booking), places=(0, 1)))

    assert more.places == (0, 1, 2)
    assert less.places == (2,)
    assert less.total == 2500
    assert less.hold_expire_time == booking.hold_expire_time
    assert await refused(ledger, Remove(**on(booking), places=(0,))) == "SEAT_NOT_IN_BOOKING"
    await ledger.execute(hold(house, 0, 1, customer=BERT))


async def test_the_last_seat_can_be_unselected_and_another_selected(ledger: Ledger, house: Staged) -> None:
    booking = await ledger.execute(hold(house, 0))
    empty = await ledger.execute(Remove(**on(booking), places=(0,)))
    again = await ledger.execute(Add(**on(booking), claims=(Claim(5),)))

    assert (empty.places, again.places) == ((), (5,))


async def test_a_hold_that_ran_out_refuses_nobody_and_all_its_seats_come_back(
    ledger: Ledger, house: Staged, database: Database
) -> None:
    old = await ledger.execute(hold(house, 0, 1, 2))
    run_out(database, old)

    new = await ledger.execute(hold(house, 1, customer=BERT))

    assert new.places == (1,)
    both = await ledger.execute(hold(house, 0, 2))
    assert both.places == (0, 2)
    assert await refused(ledger, Extend(**on(old))) == "HOLD_EXPIRED"


async def test_ones_own_run_out_holds_do_not_count_against_the_limit(
    ledger: Ledger, house: Staged, database: Database
) -> None:
    run_out(database, await ledger.execute(hold(house, 0, 1, 2, 3)))

    assert (await ledger.execute(hold(house, 10, 11, 12, 13))).places == (10, 11, 12, 13)


async def test_a_hold_is_extended_at_most_to_its_longest_time(database: Database, house: Staged) -> None:
    ledger = Ledger(database, lambda _: None, max_hold_time=timedelta(minutes=15, seconds=1))
    booking = await ledger.execute(hold(house, 0))

    extended = await ledger.execute(Extend(**on(booking)))

    assert extended.hold_expire_time - booking.hold_start_time <= timedelta(minutes=15, seconds=1)
    run_out_at = booking.hold_start_time + timedelta(minutes=15, seconds=1)
    await asyncio.sleep(1.1)
    last = await ledger.execute(Extend(**on(booking))) if extended.hold_expire_time < run_out_at else extended
    assert last.hold_expire_time == run_out_at
    assert await refused(ledger, Extend(**on(booking))) == "HOLD_TIME_EXHAUSTED"
    await ledger.close()


async def test_confirmed_places_are_sold_and_have_tickets(
    ledger: Ledger, house: Staged, database: Database, published: list[Published]
) -> None:
    booking = await ledger.execute(hold(house, 0, 1))
    sold = await ledger.execute(Confirm(**on(booking, actor_id=uuid4(), staff=True), confirmed_by=ConfirmedBy.CASH))

    assert sold.state is BookingState.CONFIRMED
    assert published[-1].changes == ((0, SeatState.SOLD), (1, SeatState.SOLD))
    tickets = database.run_transaction(
        lambda s: s.execute(
            text("SELECT place, nonce FROM tickets WHERE booking_id = :id ORDER BY 1"), {"id": sold.id}
        ).all()
    )
    assert [place for place, _ in tickets] == [0, 1]
    assert len({nonce for _, nonce in tickets}) == 2
    assert await refused(ledger, hold(house, 1, customer=BERT)) == "SEAT_TAKEN"
    assert await refused(ledger, Add(**on(booking), claims=(Claim(9),))) == "BOOKING_STATE"


async def test_a_cancelled_booking_frees_its_places_and_stays_cancelled(ledger: Ledger, house: Staged) -> None:
    booking = await ledger.execute(hold(house, 0, 1))
    cancelled = await ledger.execute(Cancel(**on(booking)))

    assert cancelled.state is BookingState.CANCELLED
    assert await refused(ledger, Cancel(**on(booking))) == "BOOKING_STATE"
    confirm = Confirm(**on(booking, staff=True), confirmed_by=ConfirmedBy.COMP)
    assert await refused(ledger, confirm) == "BOOKING_STATE"
    await ledger.execute(hold(house, 0, 1, customer=BERT))


async def test_a_strangers_booking_does_not_exist(ledger: Ledger, house: Staged) -> None:
    booking = await ledger.execute(hold(house, 0))

    for command in (
        Cancel(**on(booking, actor_id=BERT)),
        Extend(**on(booking, actor_id=BERT)),
        Add(**on(booking, actor_id=BERT), claims=(Claim(1),)),
        Cancel(**on(booking, booking_id=uuid4())),
    ):
        assert await refused(ledger, command, NotFound) == "NOT_FOUND"


async def test_expiry_ends_only_what_has_run_out(ledger: Ledger, house: Staged, database: Database) -> None:
    booking = await ledger.execute(hold(house, 0))
    system = on(booking, actor_id=None, staff=True)

    assert (await ledger.execute(Expire(**system))).state is BookingState.HELD
    run_out(database, booking)
    assert (await ledger.execute(Expire(**system))).state is BookingState.EXPIRED
    assert (await ledger.execute(Expire(**system))).state is BookingState.EXPIRED


async def test_blocked_seats_are_not_sold_until_unblocked(ledger: Ledger, house: Staged) -> None:
    block = Block(performance_id=house.performance_id, places=(0, 1), actor_id=ANNA)
    await ledger.execute(block)
    assert await refused(ledger, hold(house, 1)) == "SEAT_TAKEN"
    await ledger.execute(hold(house, 2))
    assert await refused(ledger, Block(performance_id=house.performance_id, places=(2,), actor_id=ANNA)) == "SEAT_TAKEN"
    await ledger.execute(Unblock(performance_id=house.performance_id, places=(0, 1), actor_id=ANNA))
    await ledger.execute(hold(house, 1))


async def test_the_same_request_is_answered_the_same_and_done_once(ledger: Ledger, house: Staged) -> None:
    request = RequestKey("r1", b"body")
    first = await ledger.execute(hold(house, 0, request=request))
    await ledger.execute(Add(**on(first), claims=(Claim(1),)))
    again = await ledger.execute(hold(house, 0, request=request))

    assert again == first
    assert (
        await refused(ledger, hold(house, 5, request=RequestKey("r1", b"other")), InvalidArgument)
        == "REQUEST_ID_REUSED"
    )
    twice = await asyncio.gather(*(ledger.execute(hold(house, 6, request=RequestKey("r2", b"x"))) for _ in range(5)))
    assert len({booking.id for booking in twice}) == 1


async def test_best_available_takes_neighbours_until_nothing_is_left(database: Database) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=2, seats=10)))
    ledger = Ledger(database, lambda _: None)

    def best(quantity: int) -> Hold:
        customer = uuid4()
        return Hold(
            performance_id=house.performance_id,
            customer_id=customer,
            actor_id=customer,
            wants=(BestAvailable(quantity),),
        )

    bookings = await asyncio.gather(*(ledger.execute(best(2)) for _ in range(10)))
    assert sorted(place for booking in bookings for place in booking.places) == list(range(20))
    assert all(booking.places[1] - booking.places[0] == 1 for booking in bookings)
    assert await refused(ledger, best(1)) == "SOLD_OUT"
    run_out(database, bookings[4])
    assert (await ledger.execute(best(2))).places == bookings[4].places
    await ledger.close()
    assert_sound(database)


async def test_a_run_out_hold_of_places_set_aside_leaves_nothing_for_others(database: Database) -> None:
    house = database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=4)))
    ledger = Ledger(database, lambda _: None)
    aside = Block(
        performance_id=house.performance_id,
        places=(0, 1),
        actor_id=None,
        aside=SetAside("The band", "", clock.now() + timedelta(days=1)),
    )
    await ledger.execute(aside)
    of_the_band = await ledger.execute(replace(hold(house, 0, 1), allocation_id=aside.action_id))
    await ledger.execute(hold(house, 2, 3, customer=BERT))
    run_out(database, of_the_band)

    anybody = replace(hold(house, customer=uuid4()), wants=(BestAvailable(1),))
    assert await refused(ledger, anybody) == "SOLD_OUT"
    assert await refused(ledger, hold(house, 0, customer=uuid4())) == "SEAT_TAKEN"
    again = await ledger.execute(replace(hold(house, 0, 1), allocation_id=aside.action_id))
    assert again.places == (0, 1)
    await ledger.close()
    assert_sound(database)


async def test_standing_places_are_sold_up_to_the_capacity_and_no_further(database: Database) -> None:
    types = (
        {"display_name": "Seat", "price": 4000, "zones": ["Stalls"]},
        {"display_name": "Floor", "price": 3000, "zones": ["Floor"]},
    )
    house = database.run_transaction(lambda s: stage(s, hall_document(standing=30), ticket_types=types))
    ledger = Ledger(database, lambda _: None)

    def floor(quantity: int) -> Hold:
        customer = uuid4()
        want = GeneralAdmission(quantity, ticket_type_id=house.ticket_type_ids[1])
        return Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, wants=(want,))

    answers = await asyncio.gather(*(ledger.execute(floor(4)) for _ in range(20)), return_exceptions=True)
    assert sum(len(a.places) for a in answers if isinstance(a, Booking)) == 28
    assert {reason(a) for a in answers} - {None} == {"SOLD_OUT"}
    assert (await ledger.execute(floor(2))).total == 6000
    await ledger.close()
    assert_sound(database)


async def test_a_ticket_type_sells_no_more_than_its_quantity_and_limit(database: Database) -> None:
    types = (
        {"display_name": "Early bird", "price": 1000, "quantity": 5, "customer_limit": 2},
        {"display_name": "Adult", "price": 2500},
    )
    house = database.run_transaction(lambda s: stage(s, ticket_types=types))
    early = house.ticket_type_ids[0]
    ledger = Ledger(database, lambda _: None)

    def early_hold(customer: UUID, *places: int) -> Hold:
        claims = tuple(Claim(place, early) for place in places)
        return Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims)

    assert await refused(ledger, early_hold(ANNA, 0, 1, 2)) == "TICKET_TYPE_LIMIT_REACHED"
    first = await ledger.execute(early_hold(ANNA, 0, 1))
    await ledger.execute(early_hold(BERT, 2, 3))
    assert await refused(ledger, early_hold(uuid4(), 4, 5)) == "TICKET_TYPE_SOLD_OUT"
    await ledger.execute(Cancel(**on(first)))
    await ledger.execute(early_hold(ANNA, 4, 5))
    await ledger.close()
    assert_sound(database)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("sale_start_time = now() + interval '1h', sale_end_time = now() + interval '2h'", "SALE_NOT_STARTED"),
        ("sale_start_time = now() - interval '2h', sale_end_time = now() - interval '1h'", "SALE_ENDED"),
        ("state = 2", "PERFORMANCE_CANCELLED"),
    ],
)
async def test_outside_the_sale_nothing_is_sold_even_by_a_process_that_knew_other_rules(
    ledger: Ledger, house: Staged, database: Database, change: str, reason: str
) -> None:
    booking = await ledger.execute(hold(house, 0))
    database.run_transaction(
        lambda s: (
            s.execute(
                text("UPDATE inventories SET rules_version = rules_version + 1 WHERE performance_id = :id"),
                {"id": house.performance_id},
            ),
            s.execute(text(f"UPDATE performances SET {change} WHERE id = :id"), {"id": house.performance_id}),
        )
    )

    assert await refused(ledger, hold(house, 1, customer=BERT)) == reason
    assert await refused(ledger, Add(**on(booking), claims=(Claim(1),))) == reason


async def test_commands_on_several_performances_share_a_transaction(
    ledger: Ledger, database: Database, published: list[Published]
) -> None:
    houses = [database.run_transaction(stage) for _ in range(5)]
    await ledger.execute(hold(houses[0], 0))
    before = ledger.batches
    await asyncio.gather(
        *(ledger.execute(hold(house, 1, customer=uuid4())) for house in houses for _ in range(3)),
        return_exceptions=True,
    )

    assert ledger.batches - before <= 2
    assert {p.performance_id for p in published} == {house.performance_id for house in houses}


async def test_a_batch_can_be_limited_to_one_performance(database: Database) -> None:
    houses = [database.run_transaction(stage) for _ in range(3)]
    seen: list[list[int]] = []
    ledger = Ledger(database, lambda batch: seen.append([p.performance_id for p in batch]), by_performance=True)
    await asyncio.gather(
        *(ledger.execute(hold(house, place, customer=uuid4())) for place in range(3) for house in houses)
    )

    assert all(len(batch) == 1 for batch in seen)
    assert len(seen) < 9
    await ledger.close()
