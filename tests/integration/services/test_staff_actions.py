"""What staff change is on record, in the transaction that changes it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.api import resource_pb2
from google.protobuf.message import Message
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rowlock.v1 import auth_pb2, booking_pb2, event_pb2, notification_pb2, seat_map_pb2
from server.audit import audit
from server.clock import now
from server.db.engine import Database
from server.db.models.staff_actions import StaffAction
from server.domain import staff_actions
from server.domain.accounts import find_by_email, sign_up
from server.domain.staff_actions import ActionFilter
from server.domain.staff_records import StaffRecord, as_json, within
from server.errors import NotFound, RowlockError
from server.interceptors.authentication import Caller, set_caller
from server.interceptors.method import methods_of
from server.registration import contract
from server.seats.statements import INSERT_STAFF_ACTIONS
from server.services.mutation import once
from server.services.staff_recording import record_of, with_answer
from server.states import Role

DELETING = text("SET LOCAL rowlock.deletes_staff_actions = 'yes'")


def somebody(role: Role) -> Caller:
    return Caller(user_id=uuid4(), role=role, session_id=uuid4(), key_id=None, expire_time=now() + timedelta(hours=1))


@pytest.fixture
def staff() -> Iterator[Caller]:
    """The current caller, who is staff."""
    who = somebody(Role.STAFF)
    set_caller(who)
    yield who
    set_caller(None)


def request(request_id: str = "") -> auth_pb2.SetUserRoleRequest:
    name = "users/00000000-0000-7000-8000-000000000001"
    return auth_pb2.SetUserRoleRequest(name=name, role=auth_pb2.ROLE_GATE, request_id=request_id)


def opens_account(email: str) -> Callable[[Session], auth_pb2.User]:
    def work(session: Session) -> auth_pb2.User:
        sign_up(session, email=email, display_name="Ada", locale="", password_hash="x")
        return auth_pb2.User(name="users/00000000-0000-7000-8000-000000000002", email=email)

    return work


def dies_after(work: Callable[[Session], auth_pb2.User]) -> Callable[[Session], auth_pb2.User]:
    """The work, and then the end of the database session that did it."""

    def killed(session: Session) -> auth_pb2.User:
        made = work(session)
        session.flush()
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return made

    return killed


def recorded(database: Database) -> list[StaffAction]:
    return list(
        database.run_transaction(lambda session: session.scalars(select(StaffAction).order_by(StaffAction.id)).all())
    )


def there_is(database: Database, email: str) -> bool:
    return database.run_transaction(lambda session: find_by_email(session, email)) is not None


async def test_a_change_of_staffs_says_who_what_and_about_what(fresh_database: Database, staff: Caller) -> None:
    before = now()
    await once(fresh_database, request("one"), auth_pb2.User, opens_account("a@example.com"), scope=staff.scope)
    (action,) = recorded(fresh_database)
    assert (action.actor_id, action.role, action.key_id) == (staff.user_id, Role.STAFF, None)
    assert (action.method, action.request_id) == ("AuthService.SetUserRole", "one")
    assert action.resources == [f"users/00000000-0000-7000-8000-00000000000{n}" for n in (1, 2)]
    assert action.request == {"name": action.resources[0], "role": "ROLE_GATE"}
    assert action.action_time - before < timedelta(minutes=5)


async def test_with_and_without_a_request_id_it_is_recorded_as_often_as_it_has_an_effect(
    fresh_database: Database, staff: Caller
) -> None:
    for request_id, email in (("one", "a@example.com"), ("one", "a@example.com"), ("", "b@example.com")):
        await once(fresh_database, request(request_id), auth_pb2.User, opens_account(email), scope=staff.scope)
    assert [action.request_id for action in recorded(fresh_database)] == ["one", None]


async def test_what_is_refused_leaves_nothing(fresh_database: Database, staff: Caller) -> None:
    def refuses(session: Session) -> auth_pb2.User:
        opens_account("a@example.com")(session)
        raise NotFound.of("users/1")

    for request_id in ("", "one"):
        with pytest.raises(NotFound):
            await once(fresh_database, request(request_id), auth_pb2.User, refuses, scope=staff.scope)
    assert recorded(fresh_database) == []


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.STAFF, Role.ADMIN}] + [None])
async def test_what_others_do_is_no_action_of_staffs(fresh_database: Database, role: Role | None) -> None:
    set_caller(None if role is None else somebody(role))
    try:
        await once(fresh_database, request(), auth_pb2.User, opens_account("a@example.com"), scope="one")
    finally:
        set_caller(None)
    assert recorded(fresh_database) == []


@pytest.mark.fault
async def test_a_death_between_the_change_and_its_record_leaves_neither(
    fresh_database: Database, staff: Caller
) -> None:
    work = dies_after(opens_account("a@example.com"))
    with pytest.raises((RowlockError, DBAPIError)):
        await once(fresh_database, request("one"), auth_pb2.User, work, scope=staff.scope)
    assert not there_is(fresh_database, "a@example.com")
    assert recorded(fresh_database) == []
    # And the same request may come again.
    await once(fresh_database, request("one"), auth_pb2.User, opens_account("a@example.com"), scope=staff.scope)
    assert there_is(fresh_database, "a@example.com")
    assert len(recorded(fresh_database)) == 1


@pytest.mark.fault
async def test_control_with_a_record_in_a_transaction_of_its_own_a_death_parts_them(
    fresh_database: Database, staff: Caller
) -> None:
    """What `once` must not do: whichever is first, a death behind it leaves one without the other."""

    def records(session: Session) -> auth_pb2.User:
        staff_actions.write(session, [with_answer(request(), staff, auth_pb2.User())])
        return auth_pb2.User()

    steps = {"a@example.com": (opens_account("a@example.com"), dies_after(records))}
    steps["b@example.com"] = (records, dies_after(opens_account("b@example.com")))
    found = {}
    for email, (first, second) in steps.items():
        count = len(recorded(fresh_database))
        await fresh_database.transaction(first)
        with pytest.raises((RowlockError, DBAPIError)):
            await fresh_database.transaction(second)
        found[email] = (there_is(fresh_database, email), len(recorded(fresh_database)) - count)
    assert found == {"a@example.com": (True, 0), "b@example.com": (False, 1)}


def test_secrets_are_not_kept(staff: Caller) -> None:
    changed = auth_pb2.ChangePasswordRequest(name="users/me", current_password="old", new_password="new secret")
    record = record_of(changed)
    assert record is not None
    assert json.loads(record.request) == {"name": "users/me"}
    assert record.resources == (f"users/{staff.user_id}",)
    booked = booking_pb2.CreateBookingRequest(parent="performances/7", admission_token="secret", note="Aisle")
    record = record_of(booked, "performances/7/bookings/1")
    assert record is not None
    assert json.loads(record.request) == {"parent": "performances/7", "note": "Aisle"}
    assert record.resources == ("performances/7", "performances/7/bookings/1")


@pytest.mark.race
async def test_twenty_at_once_of_one_request_are_recorded_once(fresh_database: Database, staff: Caller) -> None:
    calls = (
        once(fresh_database, request("one"), auth_pb2.User, opens_account("a@example.com"), scope=staff.scope)
        for _ in range(20)
    )
    await asyncio.gather(*calls)
    assert len(recorded(fresh_database)) == 1


SECRET_WORDS = ("password", "secret", "token", "code", "api_key")
NO_SECRETS = {"page_token", "next_page_token", "currency_code", "postal_code", "country_code", "secret_prefix"}


def test_whatever_is_called_like_a_secret_is_marked_as_one() -> None:
    """The mark is what keeps a field out of the record, so a new one must not be forgotten."""
    seen: set[str] = set()
    unmarked = []

    def visit(message: Any) -> None:
        if message.full_name in seen or not message.full_name.startswith("rowlock."):
            return
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                visit(field.message_type)
            elif (
                field.type == field.TYPE_STRING
                and any(word in field.name for word in SECRET_WORDS)
                and field.name not in NO_SECRETS
                and not field.GetOptions().Extensions[resource_pb2.resource_reference].type  # names one
                and not field.GetOptions().debug_redact
            ):
                unmarked.append(field.full_name)

    for service in contract():
        for method in methods_of(service):
            visit(method.request_class.DESCRIPTOR)
            visit(method.response_class.DESCRIPTOR)
    assert unmarked == []


def long_requests() -> Iterator[Message]:
    seat = seat_map_pb2.Seat(id="A-1", section="Stalls", row="A", number="1", zone="Z")
    layout = seat_map_pb2.SeatMapLayout(seats=[seat] * 20_000)
    yield seat_map_pb2.CreateSeatMapRequest(
        parent="venues/1", seat_map=seat_map_pb2.SeatMap(display_name="Hall", layout=layout)
    )
    yield seat_map_pb2.ImportSeatMapRequest(parent="venues/1", document=b"x" * 2_000_000)
    yield event_pb2.CreateEventRequest(event=event_pb2.Event(title="Play", description="ä" * 20_000))
    names = [f"users/{uuid4()}" for _ in range(1_000)]
    yield notification_pb2.SendNotificationRequest(recipients=names, subject="Hello", body="x" * 20_000)


@pytest.mark.parametrize("long", list(long_requests()), ids=lambda one: one.DESCRIPTOR.name)
async def test_a_long_request_is_cut_and_says_so(fresh_database: Database, staff: Caller, long: Message) -> None:
    record = with_answer(long, staff, auth_pb2.User())
    assert record.shortened
    assert len(record.request) < 40_000
    assert len(record.resources) <= 100
    await fresh_database.transaction(lambda session: staff_actions.write(session, [record]))
    (action,) = recorded(fresh_database)
    assert action.request_shortened
    assert action.request == json.loads(record.request)


def test_a_name_lies_in_what_contains_it() -> None:
    assert within(["performances/7/bookings/a/payments/b", "performances/7/waitingRoom", "contactInfo"]) == [
        "performances/7/bookings/a/payments/b",
        "performances/7/bookings/a",
        "performances/7",
        "performances/7/waitingRoom",
        "contactInfo",
    ]


def a_record(method: str = "EventService.CreateEvent", *names: str, actor_id: UUID | None = None) -> StaffRecord:
    return StaffRecord(
        actor_id=actor_id or uuid4(), role=Role.STAFF, method=method, resources=names or ("events/1",), request="{}"
    )


def write_at(database: Database, record: StaffRecord, ago: timedelta) -> None:
    """As the ledger writes, which says when."""

    def work(session: Session) -> None:
        session.connection().exec_driver_sql(INSERT_STAFF_ACTIONS, (now() - ago, as_json([record])))

    database.run_transaction(work)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE staff_actions SET request = '{}'",
        "DELETE FROM staff_actions",
        "TRUNCATE staff_actions",
    ],
)
@pytest.mark.parametrize("asked", [False, True], ids=["", "by housekeeping"])
def test_the_database_refuses_to_change_the_record(fresh_database: Database, statement: str, *, asked: bool) -> None:
    write_at(fresh_database, a_record(), timedelta(days=29))

    def work(session: Session) -> None:
        if asked:
            session.execute(DELETING)
        session.execute(text(statement))

    with pytest.raises(DBAPIError, match="append-only"):
        fresh_database.run_transaction(work)
    assert len(recorded(fresh_database)) == 1


def test_only_housekeeping_deletes_what_is_old(fresh_database: Database) -> None:
    for days in (29, 31, 32, 400):
        write_at(fresh_database, a_record(), timedelta(days=days))
    with pytest.raises(DBAPIError, match="append-only"):
        fresh_database.run_transaction(lambda session: session.execute(text("DELETE FROM staff_actions")))

    def tidy(days: int) -> int:
        return fresh_database.run_transaction(
            lambda session: staff_actions.delete_outdated(session, timedelta(days=days), 2)
        )

    assert [tidy(365), tidy(365)] == [1, 0]
    assert [tidy(30), tidy(30)] == [2, 0]
    assert len(recorded(fresh_database)) == 1


def found(database: Database, wanted: ActionFilter, after: tuple[datetime, UUID] | None = None) -> list[UUID]:
    rows = database.run_transaction(lambda session: staff_actions.page(session, wanted, after, 10))
    return [row.action.id for row in rows]


def test_actions_are_found_by_who_what_when_and_about_what(fresh_database: Database) -> None:
    ada = uuid4()
    refund = a_record("PaymentService.RefundPayment", "performances/7/bookings/a/payments/b", actor_id=ada)
    block = a_record("EventService.BlockSeats", "performances/7")
    create = a_record("EventService.CreateEvent", "events/7", actor_id=ada)
    for hours, record in ((3, refund), (2, block), (1, create)):
        write_at(fresh_database, record, timedelta(hours=hours))

    assert found(fresh_database, ActionFilter()) == [create.id, block.id, refund.id]
    assert found(fresh_database, ActionFilter(actor_id=ada)) == [create.id, refund.id]
    assert found(fresh_database, ActionFilter(method="EventService")) == [create.id, block.id]
    assert found(fresh_database, ActionFilter(method="EventService.BlockSeats")) == [block.id]
    assert found(fresh_database, ActionFilter(method="EventServic")) == []
    assert found(fresh_database, ActionFilter(resource="performances/7")) == [block.id, refund.id]
    assert found(fresh_database, ActionFilter(resource="performances/7/bookings/a")) == [refund.id]
    assert found(fresh_database, ActionFilter(resource="performances/77")) == []
    assert found(fresh_database, ActionFilter(start=now() - timedelta(hours=2.5))) == [create.id, block.id]
    assert found(fresh_database, ActionFilter(end=now() - timedelta(hours=1.5))) == [block.id, refund.id]
    (last,) = [action for action in recorded(fresh_database) if action.id == create.id]
    assert found(fresh_database, ActionFilter(), (last.action_time, last.id)) == [block.id, refund.id]


@pytest.mark.parametrize(
    ("false", "promise"),
    [
        (a_record("BookingService.CancelBooking"), "what is on record of staff at the ledger is in its log"),
        (replace(a_record(), role=Role.PARTNER), "who is on record as staff acted as staff"),
    ],
    ids=["of the ledger", "of a role"],
)
def test_a_false_record_is_found(fresh_database: Database, false: StaffRecord, promise: str) -> None:
    write_at(fresh_database, a_record(), timedelta())
    assert audit(fresh_database) == []
    write_at(fresh_database, false, timedelta())
    assert [fault.partition(":")[0] for fault in audit(fresh_database)] == [promise]
