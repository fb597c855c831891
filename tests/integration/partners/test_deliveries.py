"""Deliveries to a real receiver over HTTP: signed, in order, again and again, and never where they must not go."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from server.db.engine import Database
from server.db.models.notifications import Notification
from server.domain import delivery_lanes, endpoints
from server.domain.changes import Sight
from server.partners.addresses import Addresses
from server.partners.sending import MOST_BYTES
from server.states import DeliveryOutcome, NotificationKind
from tests.certificates import Authority
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.partnering import PostOffice, partner, together
from tests.paying import desk_on
from tests.receiver import OK, Arrival, Behaviour, Receiver, answering, hanging_up, never_ending, receiving, silent
from tests.staging import Staged, stage

BROKEN = answering(500, b"down for maintenance")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def office(fresh_database: Database) -> AsyncIterator[PostOffice]:
    office = PostOffice(fresh_database)
    yield office
    assert_sound(fresh_database)


def staged(office: PostOffice) -> Staged:
    return office.database.run_transaction(stage)


def rename(office: PostOffice, house: Staged, *names: str) -> None:
    """One change of the performance for each name."""
    for name in names:
        office.execute(f"UPDATE performances SET hall = '{name}' WHERE id = {house.performance_id}")


async def test_a_partner_hears_of_a_booking_from_hold_to_refund_in_order(
    office: PostOffice, receiver: Receiver
) -> None:
    house = staged(office)
    office.subscribe(receiver.uri)
    async with desk_on(office.database) as desk:
        booking = await desk.hold(house, 0)
        await desk.captured(booking)
        await desk.settle()
        await desk.cancel(booking)
        await desk.settle()

    await office.work()

    said = [arrival.message["type"] for arrival in receiver.arrivals]
    assert said[:2] == ["performance.scheduled", "booking.held"]
    assert {"payment.succeeded", "booking.confirmed", "ticket.issued", "booking.cancelled"} < set(said)
    assert said[-1] == "refund.succeeded"
    assert [arrival.position for arrival in receiver.arrivals] == [change.position for change in office.log()]
    assert all(arrival.message["data"]["name"].startswith("performances/") for arrival in receiver.arrivals)
    assert {attempt.outcome for attempt in office.attempts()} == {DeliveryOutcome.DELIVERED}


async def test_messages_are_signed_so_that_an_independent_library_believes_them(
    office: PostOffice, receiver: Receiver
) -> None:
    made = office.subscribe(receiver.uri)
    staged(office)
    await office.work()
    arrival = receiver.arrivals[0]

    assert Webhook(made.secret).verify(arrival.body, arrival.headers) == arrival.message
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(arrival.body.replace(b"scheduled", b"cancelled"), arrival.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(office.subscribe(receiver.uri).secret).verify(arrival.body, arrival.headers)


async def test_while_a_secret_is_rotated_both_are_good(office: PostOffice, receiver: Receiver) -> None:
    made = office.subscribe(receiver.uri)
    owner = made.endpoint.user_id
    fresh = office.database.run_transaction(
        lambda session: endpoints.rotate(session, owner, made.endpoint.id, overlap=timedelta(hours=1))
    )
    staged(office)
    await office.work()
    arrival = receiver.arrivals[-1]
    for secret in (made.secret, fresh.secret):
        Webhook(secret).verify(arrival.body, arrival.headers)

    office.execute("UPDATE webhook_endpoints SET former_secret_expire_time = now()")
    staged(office)
    await office.work()
    arrival = receiver.arrivals[-1]

    Webhook(fresh.secret).verify(arrival.body, arrival.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(arrival.body, arrival.headers)


@pytest.mark.parametrize(
    ("behaviour", "status", "error"),
    [
        (BROKEN, 500, "answered 500"),
        (answering(302, location="http://127.0.0.1:1/inside"), 302, "redirects are not followed"),
        (hanging_up, 0, "RemoteProtocolError"),
    ],
    ids=["fails", "redirects", "hangs up"],
)
async def test_what_is_not_taken_is_tried_again_under_the_same_id_before_anything_else_of_its_performance(
    office: PostOffice, receiver: Receiver, behaviour: Behaviour, status: int, error: str
) -> None:
    house = staged(office)
    await office.deliverer.place()
    office.subscribe(receiver.uri)
    rename(office, house, "A", "B")
    receiver.answer(behaviour)
    await office.work()
    (failed,) = office.attempts()
    assert (failed.outcome, failed.status) == (DeliveryOutcome.FAILED, status)
    assert failed.error.startswith(error) or (behaviour is hanging_up and failed.error)
    assert len(receiver.arrivals) == 1

    receiver.answer(OK)
    office.make_due()
    await office.work()

    halls = [arrival.message["data"]["hall"] for arrival in receiver.arrivals]
    assert halls == ["A", "A", "B"]
    assert receiver.arrivals[0].id == receiver.arrivals[1].id != receiver.arrivals[2].id
    assert [attempt.attempt for attempt in office.attempts()] == [1, 2, 1]


async def test_a_receiver_that_says_nothing_is_not_waited_for_and_gets_the_message_again(
    office: PostOffice, receiver: Receiver
) -> None:
    house = staged(office)
    await office.deliverer.place()
    office.subscribe(receiver.uri)
    rename(office, house, "A", "B")
    receiver.answer(silent)
    await PostOffice(office.database, time_limit=0.5).work()
    (failed,) = office.attempts()
    assert (failed.outcome, failed.status) == (DeliveryOutcome.FAILED, 0)
    assert failed.error == "no answer within 0.5 s"
    unanswered = len(receiver.arrivals)
    assert unanswered <= 1, "none, if all of the time went by on the way"

    receiver.answer(OK)
    office.make_due()
    await office.work()

    assert [arrival.message["data"]["hall"] for arrival in receiver.arrivals[unanswered:]] == ["A", "B"]
    assert {arrival.id for arrival in receiver.arrivals[:unanswered]} <= {receiver.arrivals[unanswered].id}
    assert [attempt.attempt for attempt in office.attempts()] == [1, 2, 1]


async def test_a_message_that_is_refused_holds_up_its_performance_and_no_other(
    office: PostOffice, receiver: Receiver
) -> None:
    stuck, free = staged(office), staged(office)
    await office.deliverer.place()
    office.subscribe(receiver.uri)

    async def refuse_one(arrival: Arrival, writer: asyncio.StreamWriter) -> None:
        performance = arrival.message["performance"]
        await (BROKEN if performance == f"performances/{stuck.performance_id}" else OK)(arrival, writer)

    receiver.answer(refuse_one)
    for name in ("A", "B"):
        rename(office, stuck, name)
        rename(office, free, name)
    await office.work()

    heard = receiver.by_performance()
    assert [one.message["data"]["hall"] for one in heard[f"performances/{free.performance_id}"]] == ["A", "B"]
    assert [one.message["data"]["hall"] for one in heard[f"performances/{stuck.performance_id}"]] == ["A"]


async def test_a_huge_answer_is_not_read_to_its_end(fresh_database: Database, receiver: Receiver) -> None:
    office = PostOffice(fresh_database, time_limit=3600)  # so it is not the time that ends the reading
    office.subscribe(receiver.uri)
    receiver.answer(never_ending)
    staged(office)
    async with asyncio.timeout(60):
        await office.work()

    (attempt,) = office.attempts()
    assert (attempt.outcome, attempt.status) == (DeliveryOutcome.DELIVERED, 200)
    assert len(attempt.answer) == 500 < MOST_BYTES


async def test_a_slow_receiver_holds_up_nobody_else(fresh_database: Database, receiver: Receiver) -> None:
    office, awake = PostOffice(fresh_database), asyncio.Event()

    async def asleep(arrival: Arrival, writer: asyncio.StreamWriter) -> None:
        await awake.wait()
        await OK(arrival, writer)

    async with receiving(asleep) as slow:
        office.subscribe(slow.uri)
        for _ in range(8):
            staged(office)
        office.subscribe(receiver.uri)
        await office.deliverer.place()
        await office.drain.run()
        await eventually(lambda: len(receiver.arrivals) == 8 and len(slow.arrivals) >= 4)
        assert len(slow.arrivals) == 4, "no more of one endpoint at once"
        awake.set()
        await office.drain.finish()
        await office.work()
        # The rest may have been taken up just now, and is on its way.
        await eventually(lambda: len(slow.arrivals) == 8)
        await office.drain.finish()


async def test_two_workers_keep_the_order_of_each_performance(office: PostOffice, receiver: Receiver) -> None:
    houses = [staged(office) for _ in range(4)]
    await office.deliverer.place()
    office.subscribe(receiver.uri)
    other = PostOffice(office.database)
    for number in range(30):
        for house in houses:
            rename(office, house, f"{number}")
        if number % 10 == 0:
            await together(office, other)
    await together(office, other)

    for house in houses:
        heard = [one.position for one in receiver.by_performance()[f"performances/{house.performance_id}"]]
        assert heard == sorted(heard)
        assert len(set(heard)) == len(heard) == 30


async def test_a_receiver_that_takes_nothing_for_three_days_is_switched_off_and_its_owner_told(
    office: PostOffice, receiver: Receiver
) -> None:
    owner = partner(office.database)
    made = office.subscribe(receiver.uri, owner)
    house = staged(office)
    receiver.answer(BROKEN)
    await office.work()
    office.let_days_pass(2.9)
    office.make_due()
    await office.work()
    assert office.endpoint(made.endpoint.id).disable_time is None
    office.let_days_pass(0.2)
    office.make_due()
    await office.work()

    endpoint = office.endpoint(made.endpoint.id)
    assert endpoint.disable_time is not None
    assert endpoint.disable_reason.endswith("the last attempt: answered 500")
    told = office.database.run_transaction(lambda session: session.scalars(select(Notification)).all())
    assert [(one.kind, one.recipient_id) for one in told] == [(NotificationKind.WEBHOOK_ENDPOINT_OFF, owner)]

    # What happens meanwhile is not lost: switched on again, it gets all of it.
    rename(office, house, "A")
    receiver.arrivals.clear()
    receiver.answer(OK)
    await office.work()
    assert receiver.arrivals == []
    office.database.run_transaction(
        lambda session: endpoints.change(session, owner, made.endpoint.id, {"disabled": False}, "")
    )
    await office.work()
    assert [one.message["type"] for one in receiver.arrivals] == ["performance.scheduled", "performance.updated"]


async def test_one_bad_message_is_given_up_where_others_are_taken(office: PostOffice, receiver: Receiver) -> None:
    bad, good = staged(office), staged(office)
    await office.deliverer.place()
    made = office.subscribe(receiver.uri)

    async def hate_a(arrival: Arrival, writer: asyncio.StreamWriter) -> None:
        hall = arrival.message["data"]["hall"]
        await (answering(400) if hall == "A" else OK)(arrival, writer)

    receiver.answer(hate_a)
    rename(office, bad, "A", "B")
    await office.work()
    office.let_days_pass(3.1)
    rename(office, good, "C")
    await office.work()
    office.make_due()
    await office.work()

    assert office.endpoint(made.endpoint.id).disable_time is None
    given_up = [attempt.outcome for attempt in office.attempts()].count(DeliveryOutcome.GIVEN_UP)
    assert given_up == 1
    assert receiver.arrivals[-1].message["data"]["hall"] == "B"


async def test_gone_is_gone_at_once(office: PostOffice, receiver: Receiver) -> None:
    made = office.subscribe(receiver.uri)
    receiver.answer(answering(410))
    staged(office)
    await office.work()
    assert office.endpoint(made.endpoint.id).disable_reason == "the receiver answered 410 Gone"


async def test_a_replay_sends_the_same_ids_again_in_order(office: PostOffice, receiver: Receiver) -> None:
    made = office.subscribe(receiver.uri)
    house, other = staged(office), staged(office)
    rename(office, house, "A", "B")
    await office.work()
    first = [(one.id, one.position) for one in receiver.arrivals]
    mine = [pair for pair in first if pair[1] not in {1, 2}]
    receiver.arrivals.clear()

    count = office.database.run_transaction(
        lambda session: delivery_lanes.replay(
            session, endpoints.get(session, made.endpoint.user_id, made.endpoint.id), 2, None
        )
    )
    await office.work()

    assert count == 1
    assert [(one.id, one.position) for one in receiver.arrivals] == mine
    receiver.arrivals.clear()
    office.database.run_transaction(
        lambda session: delivery_lanes.replay(
            session,
            endpoints.get(session, made.endpoint.user_id, made.endpoint.id),
            0,
            other.performance_id,
        )
    )
    await office.work()
    assert [one.message["performance"] for one in receiver.arrivals] == [f"performances/{other.performance_id}"]


async def test_a_worker_that_stood_still_writes_nothing_over_what_another_did(
    office: PostOffice, receiver: Receiver
) -> None:
    house = staged(office)
    await office.deliverer.place()
    office.subscribe(receiver.uri)
    rename(office, house, "A", "B")
    await office.deliverer.place()
    (late,) = await office.deliverer.take(10)  # and stands still until its lease is over
    office.make_due()
    await office.work()
    (lane,) = office.lanes()

    await office.deliverer.carry_on(late)

    assert office.lanes()[0].cursor == lane.cursor == office.end()
    ids = [one.id for one in receiver.arrivals]
    assert len(ids) == 3
    assert ids[2] == ids[0], "sent again under the id by which the receiver knows it"


async def test_only_what_is_wanted_and_may_be_seen_is_sent(office: PostOffice, receiver: Receiver) -> None:
    house, other = staged(office), staged(office)
    await office.deliverer.place()
    async with desk_on(office.database) as desk:
        mine = await desk.hold(house, 0)
        owner = partner(office.database)
        office.execute("DELETE FROM changes WHERE position IS NULL")
        office.subscribe(receiver.uri, owner, Sight(owner, frozenset({f"events/{house.event_id}"})), kinds=[1])
        own = await desk.hold(house, 1, customer=owner)
        await desk.hold(other, 0, customer=owner)
        await desk.hold(house, 2)
        await desk.cancel(mine)
        rename(office, house, "A")
    await office.work()

    assert [one.message["data"]["name"].rpartition("/")[2] for one in receiver.arrivals] == [str(own.id)]


async def test_a_test_is_sent_once_and_its_answer_kept(office: PostOffice, receiver: Receiver) -> None:
    made = office.subscribe(receiver.uri)
    receiver.answer(BROKEN)

    def ask() -> str:
        return office.database.run_transaction(
            lambda session: delivery_lanes.ask_for_test(
                session, endpoints.get(session, made.endpoint.user_id, made.endpoint.id)
            )
        )

    message_id = ask()
    await office.work()
    office.make_due()
    await office.work()

    (attempt,) = office.attempts()
    assert (attempt.message_id, attempt.status, attempt.answer) == (message_id, 500, "down for maintenance")
    assert receiver.arrivals[0].message["type"] == "test"
    Webhook(made.secret).verify(receiver.arrivals[0].body, receiver.arrivals[0].headers)


async def test_a_name_that_has_moved_into_our_network_is_not_called(
    fresh_database: Database, receiver: Receiver
) -> None:
    """Looked up when it was set, it was public; looked up to send, it is ours. Nothing is connected to."""

    async def inside(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    office = PostOffice(fresh_database, addresses=Addresses(resolver=inside))
    office.subscribe(receiver.uri.replace("http://127.0.0.1", "https://partner.example"))
    staged(office)
    await office.work()

    assert [attempt.error for attempt in office.attempts()] == ["the address leads into a private network"]
    assert receiver.arrivals == []


async def test_tls_is_verified_by_the_name_though_the_address_was_looked_up_before(
    fresh_database: Database, tmp_path: Path
) -> None:
    authority = Authority()
    certificate, key = authority.issue("partner.example")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "own.pem").write_bytes(certificate + key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "own.pem")
    asked: list[str] = []

    async def here(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    office = PostOffice(
        fresh_database,
        addresses=Addresses(allow_private=True, resolver=here),
        ca_file=str(tmp_path / "ca.pem"),
    )
    async with receiving(tls=tls) as receiver:
        port = receiver.uri.partition("127.0.0.1:")[2]
        office.subscribe(f"https://partner.example:{port}")
        office.subscribe(f"https://another.example:{port}")
        staged(office)
        await office.work()

    outcomes = {attempt.error.partition(":")[0]: attempt.status for attempt in office.attempts()}
    assert outcomes == {"": 204, "ConnectError": 0}
    assert sorted(asked) == ["another.example", "partner.example"], "each name is looked up once a message"
