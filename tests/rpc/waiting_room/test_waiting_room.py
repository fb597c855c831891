"""The line before a sale, as customers and staff meet it: over a socket, with a real worker that admits."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from rowlock.v1 import booking_pb2
from rowlock.v1 import event_pb2 as events
from rowlock.v1 import waiting_room_pb2 as pb
from server import clock
from server.config import Settings
from tests.invariants import assert_sound
from tests.rpc.auth.conftest import refusal
from tests.rpc.waiting_room.conftest import LONG, WaitingHouse
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING, ADMITTED, USED = pb.QueueEntry.WAITING, pb.QueueEntry.ADMITTED, pb.QueueEntry.USED
SEATS = [f"Stalls-{row}-{number}" for row in "ABCDE" for number in range(1, 11)]


def in_an_hour() -> datetime:
    return clock.now() + LONG


async def shut(waiting: WaitingHouse, house: Staged, count: int = 10, **fields: Any) -> pb.WaitingRoom:
    """A line that nobody leaves by being admitted: it opens in an hour."""
    return await waiting.open(house, count, open_time=in_an_hour(), **fields)


@pytest.mark.promise("2.8")
async def test_a_waiting_room_is_off_at_first_and_staff_switch_it_on(waiting: WaitingHouse, house: Staged) -> None:
    room = await waiting.room(house)
    assert not room.enabled
    assert (room.admit_count, room.admit_interval.seconds, room.admission_duration.seconds) == (10, 600, 600)
    assert not room.HasField("next_admit_time")
    assert not room.HasField("shopping_limit")
    anna = await waiting.customer()
    assert (await refusal(waiting.join(house, anna))).reason == "WAITING_ROOM_OFF"
    await waiting.book(house, anna, SEATS[0])

    on = await waiting.open(house, 3, timedelta(minutes=1), shopping_limit=7)

    assert (on.enabled, on.admit_count, on.admit_interval.seconds, on.shopping_limit) == (True, 3, 60, 7)
    assert on.HasField("next_admit_time")
    assert on.etag != room.etag
    assert await waiting.room(house) == on or (await waiting.room(house)).etag == on.etag
    assert (await refusal(waiting.book(house, anna, SEATS[1]))).reason == "ADMISSION_REQUIRED"
    assert (await refusal(waiting.change(house, enabled=False, etag=room.etag))).reason == "ETAG_MISMATCH"
    assert not (await waiting.change(house, "shopping_limit")).HasField("shopping_limit")
    await waiting.change(house, enabled=False)
    await waiting.book(house, anna, SEATS[1])


async def test_only_staff_change_a_waiting_room(waiting: WaitingHouse, house: Staged) -> None:
    anna = await waiting.customer()
    room = pb.WaitingRoom(name=f"performances/{house.performance_id}/waitingRoom", enabled=True)
    call = waiting.queue.UpdateWaitingRoom(pb.UpdateWaitingRoomRequest(waiting_room=room), metadata=anna.token)
    assert (await refusal(call)).reason == "PERMISSION_DENIED"


@pytest.mark.promise("2.5")
async def test_whoever_joins_twice_has_one_place(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna, bob = await waiting.customer(), await waiting.customer()

    first = await waiting.join(house, anna)
    second = await waiting.join(house, bob)
    again = await asyncio.gather(*(waiting.join(house, anna) for _ in range(10)))

    assert (first.state, first.position, second.position) == (WAITING, 1, 2)
    assert {(entry.name, entry.position) for entry in again} == {(first.name, 1)}
    assert (await waiting.room(house)).waiting_count == 2


@pytest.mark.promise("2.8")
async def test_everybody_knows_their_place_and_nobody_elses(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house, 2, timedelta(minutes=10), open_time=in_an_hour())
    people = [await waiting.customer() for _ in range(5)]
    entries = [await waiting.join(house, one) for one in people]

    seen = [await waiting.get(entry, one) for entry, one in zip(entries, people, strict=True)]

    assert [entry.position for entry in seen] == [1, 2, 3, 4, 5]
    # Two every ten minutes, from the opening on.
    waits = [entry.estimated_wait.seconds for entry in seen]
    assert [round((wait - waits[0]) / 60) for wait in waits] == [0, 0, 10, 10, 20]
    assert 3500 < waits[0] <= 3600
    assert [entry.customer for entry in seen] == [one.name for one in people]
    assert [entry.join_time for entry in seen] == [entry.join_time for entry in entries]
    stranger = await refusal(waiting.get(entries[0], people[1]))
    absent = await refusal(waiting.get(pb.QueueEntry(name=entries[0].name[:-12] + "000000000000"), people[1]))
    assert stranger.code == absent.code == "NOT_FOUND"
    assert (await waiting.get(entries[3], waiting.staff)).position == 4


async def test_who_leaves_makes_room_and_may_come_again_behind(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna, bob, carol = [await waiting.customer() for _ in range(3)]
    entries = [await waiting.join(house, one) for one in (anna, bob, carol)]

    left = await waiting.leave(entries[0], anna)
    twice = await waiting.leave(entries[0], anna)

    assert left.state == twice.state == pb.QueueEntry.LEFT
    assert (await waiting.get(entries[0], anna)).state == pb.QueueEntry.LEFT
    assert [(await waiting.get(entry, one)).position for entry, one in zip(entries[1:], (bob, carol), strict=True)] == [
        1,
        2,
    ]
    back = await waiting.join(house, anna)
    assert back.name != entries[0].name
    assert back.position == 3
    assert (await refusal(waiting.leave(entries[1], anna))).code == "NOT_FOUND"


@pytest.mark.promise("2.6", "2.7")
async def test_so_many_are_admitted_in_order_and_the_others_stay(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    people = [await waiting.customer() for _ in range(7)]
    entries = [await waiting.join(house, one) for one in people]

    before = clock.now()
    await waiting.change(house, "open_time", admit_count=3, admit_interval=LONG)
    await waiting.becomes(entries[2], people[2], ADMITTED)

    seen = [await waiting.get(entry, one) for entry, one in zip(entries, people, strict=True)]
    assert [entry.state for entry in seen] == [ADMITTED] * 3 + [WAITING] * 4
    assert [entry.position for entry in seen] == [0, 0, 0, 1, 2, 3, 4]
    assert len({entry.admission_token for entry in seen[:3]}) == 3
    assert not any(entry.admission_token for entry in seen[3:])
    until = seen[0].admission_expire_time.ToDatetime(UTC)
    assert timedelta(minutes=9) < until - before < timedelta(minutes=11)
    room = await waiting.room(house)
    assert (room.waiting_count, room.shopping_count) == (4, 3)
    assert room.next_admit_time.ToDatetime(UTC) > before + timedelta(minutes=50)
    # Staff see the entry, and not what admits.
    assert not (await waiting.get(entries[0], waiting.staff)).admission_token


@pytest.mark.promise("2.6")
async def test_each_interval_admits_so_many_and_no_more(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    people = [await waiting.customer() for _ in range(5)]
    entries = [await waiting.join(house, one) for one in people]
    await waiting.change(house, "open_time", admit_count=2, admit_interval=timedelta(seconds=1))

    await waiting.becomes(entries[-1], people[-1], ADMITTED)

    with waiting.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT cycle, count(*), array_agg(id ORDER BY place) FROM queue_entries "
            f"WHERE performance_id = {house.performance_id} GROUP BY cycle ORDER BY cycle"
        ).all()
    assert [count for _, count, _ in rows] == [2, 2, 1]
    assert [str(entry) for _, _, ids in rows for entry in ids] == [entry.name.rpartition("/")[2] for entry in entries]


async def test_whoever_comes_while_a_cycle_has_room_is_admitted_at_once(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house, 2, LONG)
    anna, bob, carol = [await waiting.customer() for _ in range(3)]
    await waiting.admitted(house, anna)
    await waiting.admitted(house, bob)
    third = await waiting.join(house, carol)
    await asyncio.sleep(1)
    assert (await waiting.get(third, carol)).state == WAITING
    assert (await waiting.get(third, carol)).estimated_wait.seconds > 3000


@pytest.mark.promise("2.7", "2.8")
@pytest.mark.mistake("admission token used twice")
async def test_an_admission_serves_for_one_booking(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house)
    anna = await waiting.customer()
    entry = await waiting.admitted(house, anna)
    token = entry.admission_token

    booking = await waiting.book(house, anna, SEATS[0], token, request_id="one")
    again = await waiting.book(house, anna, SEATS[0], token, request_id="one")

    assert again == booking
    used = await waiting.get(entry, anna)
    assert (used.state, used.booking, used.admission_token) == (USED, booking.name, "")
    assert (await refusal(waiting.book(house, anna, SEATS[1], token))).reason == "ADMISSION_USED"
    more = await waiting.bookings.AddSeats(
        booking_pb2.AddSeatsRequest(name=booking.name, seats=[booking_pb2.SeatClaim(seat=SEATS[1])]),
        metadata=anna.token,
    )
    assert len(more.seats) == 2
    await waiting.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=booking.name), metadata=anna.token)
    assert (await refusal(waiting.book(house, anna, SEATS[1], token))).reason == "ADMISSION_USED"
    assert (await waiting.join(house, anna)).name != entry.name
    assert_sound(waiting.database)


async def test_a_claim_that_is_refused_leaves_the_admission_as_it_is(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house)
    anna, bob = await waiting.customer(), await waiting.customer()
    first, second = await waiting.admitted(house, anna), await waiting.admitted(house, bob)
    await waiting.book(house, anna, SEATS[0], first.admission_token)

    assert (await refusal(waiting.book(house, bob, SEATS[0], second.admission_token))).reason == "SEAT_TAKEN"

    assert (await waiting.get(second, bob)).state == ADMITTED
    await waiting.book(house, bob, SEATS[1], second.admission_token)


@pytest.mark.mistake("token checks stubbed")
async def test_an_admission_is_worth_nothing_elsewhere(waiting: WaitingHouse, house: Staged) -> None:
    other = waiting.stage()
    await waiting.open(house)
    await waiting.open(other)
    anna, bob = await waiting.customer(), await waiting.customer()
    token = (await waiting.admitted(house, anna)).admission_token
    joined = await waiting.join(house, bob)

    for call in (
        waiting.book(house, bob, SEATS[0], token),
        waiting.book(other, anna, SEATS[0], token),
        waiting.book(house, anna, SEATS[0], token[:-6] + "AAAAAA"),
        waiting.book(house, anna, SEATS[0], "rubbish"),
        waiting.book(house, bob, SEATS[0], joined.entry_token),
        waiting.book(house, anna, SEATS[0], anna.access),
    ):
        assert (await refusal(call)).reason == "ADMISSION_INVALID"
    assert (await refusal(waiting.book(house, anna, SEATS[0]))).reason == "ADMISSION_REQUIRED"
    # What admits is no access token either.
    stolen = (("authorization", f"Bearer {token}"),)
    read = waiting.queue.GetQueueEntry(pb.GetQueueEntryRequest(name=joined.name), metadata=stolen)
    assert (await refusal(read)).reason == "TOKEN_INVALID"
    await waiting.book(house, anna, SEATS[0], token)


async def test_staff_need_no_admission(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    await waiting.book(house, waiting.staff, SEATS[5])
    assert_sound(waiting.database)


async def test_an_admission_that_runs_out_makes_room_for_the_next(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house, 5, LONG, shopping_limit=1)
    anna, bob = await waiting.customer(), await waiting.customer()
    first = await waiting.admitted(house, anna)
    second = await waiting.join(house, bob)
    await asyncio.sleep(0.5)
    assert (await waiting.get(second, bob)).state == WAITING

    waiting.database.run_transaction(
        lambda session: session.connection().exec_driver_sql(
            "UPDATE queue_entries SET admission_expire_time = clock_timestamp() - interval '1 second' "
            f"WHERE performance_id = {house.performance_id} AND state = 2"
        )
    )

    assert (await refusal(waiting.book(house, anna, SEATS[0], first.admission_token))).reason == "ADMISSION_EXPIRED"
    assert (await waiting.get(first, anna)).state == pb.QueueEntry.EXPIRED
    await waiting.becomes(second, bob, ADMITTED)
    back = await waiting.join(house, anna)
    assert back.name != first.name
    assert back.position == 1


async def test_who_holds_seats_counts_as_shopping_until_it_is_paid_or_over(
    waiting: WaitingHouse, house: Staged
) -> None:
    await waiting.open(house, 5, LONG, shopping_limit=1)
    anna, bob = await waiting.customer(), await waiting.customer()
    first = await waiting.admitted(house, anna)
    booking = await waiting.book(house, anna, SEATS[0], first.admission_token)
    second = await waiting.join(house, bob)
    await asyncio.sleep(0.5)
    assert (await waiting.get(second, bob)).state == WAITING
    assert (await waiting.room(house)).shopping_count == 1

    await waiting.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=booking.name), metadata=anna.token)

    await waiting.becomes(second, bob, ADMITTED)


@pytest.mark.mistake("a second active queue stops all queues")
async def test_several_waiting_rooms_do_not_disturb_each_other(waiting: WaitingHouse) -> None:
    houses = [waiting.stage() for _ in range(4)]
    people = [await waiting.customer() for _ in range(3)]
    for number, house in enumerate(houses):
        await (shut(waiting, house) if number == 0 else waiting.open(house, number, LONG))
    entries = {
        (number, place): await waiting.join(house, one)
        for number, house in enumerate(houses)
        for place, one in enumerate(people)
    }

    await waiting.becomes(entries[3, 2], people[2], ADMITTED)
    await waiting.becomes(entries[2, 1], people[1], ADMITTED)
    await waiting.becomes(entries[1, 0], people[0], ADMITTED)

    for number in range(4):
        states = [(await waiting.get(entries[number, place], people[place])).state for place in range(3)]
        assert states == [ADMITTED] * number + [WAITING] * (3 - number)


@pytest.mark.promise("2.8")
async def test_off_keeps_the_line_and_on_again_goes_on_with_it(waiting: WaitingHouse, house: Staged) -> None:
    await waiting.open(house, 1, LONG)
    anna, bob = await waiting.customer(), await waiting.customer()
    first = await waiting.admitted(house, anna)
    second = await waiting.join(house, bob)

    await waiting.change(house, enabled=False)
    await waiting.book(house, bob, SEATS[3])
    waits = await waiting.get(second, bob)
    assert (waits.state, waits.position, waits.HasField("estimated_wait")) == (WAITING, 1, False)
    await waiting.change(house, enabled=True)

    await asyncio.sleep(0.6)
    # Off and on again admits nobody more in the same interval.
    assert (await waiting.get(second, bob)).state == WAITING
    assert (await waiting.join(house, bob)).name == second.name
    await waiting.book(house, anna, SEATS[0], first.admission_token)


@pytest.mark.promise("2.6")
async def test_a_draw_is_fair_and_can_be_verified_by_those_in_it(waiting: WaitingHouse, house: Staged) -> None:
    room = await shut(waiting, house, order=pb.WaitingRoom.DRAW)
    assert len(room.draw_commitment) == 64
    assert not room.draw_seed
    early = [await waiting.customer() for _ in range(6)]
    entries = {one.name: await waiting.join(house, one) for one in early}
    assert {entry.position for entry in entries.values()} == {0}
    assert {(await waiting.get(entries[one.name], one)).position for one in early} == {0}
    assert not (await waiting.get(entries[early[0].name], early[0])).HasField("estimated_wait")

    # It opens: a moment ago, by moving the opening to now.
    waiting.database.run_transaction(
        lambda session: session.connection().exec_driver_sql(
            "UPDATE waiting_rooms SET open_time = clock_timestamp() - interval '1 ms', admit_count = 2, "
            f"next_admission_time = clock_timestamp() WHERE performance_id = {house.performance_id}"
        )
    )
    async with asyncio.timeout(60):
        while not (await waiting.room(house)).shopping_count:  # noqa: ASYNC110 - a worker of another thread does it
            await asyncio.sleep(0.05)
    late = await waiting.customer()
    last = await waiting.join(house, late)

    opened = await waiting.room(house)
    seed = bytes.fromhex(opened.draw_seed)
    assert opened.draw_commitment == room.draw_commitment == hashlib.sha256(seed).hexdigest()
    drawn = sorted(early, key=lambda one: hmac.digest(seed, UUID(one.name.removeprefix("users/")).bytes, "sha256"))
    async with asyncio.timeout(60):
        while (await waiting.get(entries[drawn[5].name], drawn[5])).position != 4:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)
    seen = [await waiting.get(entries[one.name], one) for one in drawn]
    assert [entry.state for entry in seen] == [ADMITTED] * 2 + [WAITING] * 4
    assert [entry.position for entry in seen] == [0, 0, 1, 2, 3, 4]
    assert last.position == 5
    # Once it has begun, the order is what it is.
    assert (await refusal(waiting.change(house, order=pb.WaitingRoom.FIRST_COME))).reason == "WAITING_ROOM_OPENED"
    assert (await refusal(waiting.change(house, open_time=in_an_hour()))).reason == "WAITING_ROOM_OPENED"


async def test_the_order_can_be_changed_before_the_opening(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    people = [await waiting.customer() for _ in range(8)]
    entries = [await waiting.join(house, one) for one in people]
    drawn = await waiting.change(house, order=pb.WaitingRoom.DRAW)
    assert drawn.draw_commitment
    assert (await waiting.join(house, people[0])).position == 0
    await waiting.change(house, order=pb.WaitingRoom.FIRST_COME)
    positions = [(await waiting.join(house, one)).position for one in people]
    assert positions == list(range(1, 9))
    assert [entry.position for entry in entries] == positions
    assert_sound(waiting.database)


async def test_a_ticket_gives_the_place_back_to_its_customer_only(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna, bob = await waiting.customer(), await waiting.customer()
    first, second = await waiting.join(house, anna), await waiting.join(house, bob)

    # Another device of the same customer.
    phone = await waiting.client.log_in(anna.email)
    assert (await waiting.join(house, phone, entry_token=first.entry_token)).name == first.name
    for who, token in ((bob, first.entry_token), (anna, "rubbish"), (anna, first.entry_token[:-5] + "AAAAA")):
        assert (await refusal(waiting.join(house, who, entry_token=token))).fields == ("entry_token",)
    elsewhere = waiting.stage()
    await shut(waiting, elsewhere)
    assert (await refusal(waiting.join(elsewhere, anna, entry_token=first.entry_token))).fields == ("entry_token",)

    # The database has lost the entries, as after a restore from a backup that is older than they are.
    waiting.database.run_transaction(
        lambda session: [
            session.connection().exec_driver_sql(statement.format(house.performance_id))
            for statement in (
                "DELETE FROM queue_entries WHERE performance_id = {}",
                (
                    "UPDATE waiting_rooms SET joined_count = 0, waiting_count = 0, line_id = gen_random_uuid() "
                    "WHERE performance_id = {}"
                ),
            )
        ]
    )
    restored = [
        await waiting.join(house, who, entry_token=one.entry_token) for who, one in ((bob, second), (anna, first))
    ]
    assert [entry.name for entry in restored] == [second.name, first.name]
    assert (await waiting.get(first, anna)).position == 1
    assert (await waiting.get(second, bob)).position == 2
    # A place that was left is not restored.
    await waiting.leave(first, anna)
    assert (await waiting.join(house, anna, entry_token=first.entry_token)).name != first.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE performances SET state = 2 WHERE id = {}", "PERFORMANCE_CANCELLED"),
        ("UPDATE performances SET sale_end_time = now() - interval '1 s' WHERE id = {}", "SALE_ENDED"),
        (
            (
                "UPDATE seats SET state = 4 WHERE performance_id = {0};"
                "UPDATE inventories SET blocked = total, available = 0 WHERE performance_id = {0}"
            ),
            "SOLD_OUT",
        ),
    ],
)
async def test_there_is_no_line_for_what_cannot_be_bought(waiting: WaitingHouse, change: str, reason: str) -> None:
    house = waiting.stage()
    await waiting.open(house, 1, LONG)
    early = await waiting.customer()
    await waiting.admitted(house, early)
    entry = await waiting.join(house, bob := await waiting.customer())
    waiting.database.run_transaction(
        lambda session: session.connection().exec_driver_sql(change.format(house.performance_id))
    )

    assert (await refusal(waiting.join(house, await waiting.customer()))).reason == reason
    if reason != "SOLD_OUT":
        # Nobody waits for ever, nor for the next interval.
        await waiting.becomes(entry, bob, pb.QueueEntry.EXPIRED)


async def test_staff_put_somebody_in_line(waiting: WaitingHouse, house: Staged) -> None:
    await shut(waiting, house)
    anna, bob = await waiting.customer(), await waiting.customer()
    entry = await waiting.join(house, waiting.staff, customer=anna.name)
    assert entry.customer == anna.name
    assert not entry.entry_token
    assert (await waiting.join(house, anna)).name == entry.name
    assert (await refusal(waiting.join(house, anna, customer=bob.name))).reason == "PERMISSION_DENIED"


async def test_what_one_server_acknowledged_the_other_reads_at_once(
    waiting: WaitingHouse, house: Staged, another_server: Callable[[], Any]
) -> None:
    await shut(waiting, house)
    async with another_server() as client:
        there = WaitingHouse(client, waiting.database, waiting.staff)
        for turn in range(5):
            anna = await waiting.customer()
            entry = await waiting.join(house, anna)
            assert (await there.get(entry, anna)).position == turn + 1
            left = await waiting.customer()
            gone = await there.join(house, left)
            await there.leave(gone, left)
            assert (await waiting.get(gone, left)).state == pb.QueueEntry.LEFT


@pytest.mark.parametrize("state", ["DRAFT", "PUBLISHED"])
async def test_the_waiting_room_of_what_is_not_published_is_not_shown(waiting: WaitingHouse, state: str) -> None:
    house = waiting.stage()
    waiting.database.run_transaction(
        lambda session: session.connection().exec_driver_sql(
            f"UPDATE events SET state = {events.Event.State.Value(state)} WHERE id = {house.event_id}"
        )
    )
    request = pb.GetWaitingRoomRequest(name=f"performances/{house.performance_id}/waitingRoom")
    assert not (await waiting.queue.GetWaitingRoom(request, metadata=waiting.staff.token)).enabled
    if state == "DRAFT":
        assert (await refusal(waiting.queue.GetWaitingRoom(request))).code == "NOT_FOUND"
    else:
        assert not (await waiting.queue.GetWaitingRoom(request)).enabled


@pytest.mark.fault
async def test_a_redis_that_takes_no_writes_misleads_nobody(
    waiting: WaitingHouse, house: Staged, fast: Settings
) -> None:
    await shut(waiting, house, 1)
    people = [await waiting.customer() for _ in range(3)]
    entries = [await waiting.join(house, one) for one in people]
    assert [(await waiting.get(entry, one)).position for entry, one in zip(entries, people, strict=True)] == [1, 2, 3]
    async with Redis.from_url(fast.redis_url) as redis:
        # It answers questions, and refuses to be told anything.
        await redis.config_set("min-replicas-to-write", 1)
        try:
            await waiting.change(house, "open_time", admit_interval=LONG)
            await waiting.becomes(entries[0], people[0], ADMITTED)
            seen = [await waiting.get(entry, one) for entry, one in zip(entries, people, strict=True)]
            assert [(entry.state, entry.position) for entry in seen] == [(ADMITTED, 0), (WAITING, 1), (WAITING, 2)]
        finally:
            await redis.config_set("min-replicas-to-write", 0)
