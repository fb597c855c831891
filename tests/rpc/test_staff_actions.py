"""Whatever staff may change is on record, and the record can be read, by staff only."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from rowlock.v1 import (
    auth_pb2,
    booking_pb2,
    booking_pb2_grpc,
    event_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    performance_pb2,
)
from server.clock import now
from server.db.engine import Database
from server.db.models.staff_actions import StaffAction
from server.interceptors.access import Token, rule_of
from server.interceptors.method import Method
from server.states import Role
from tests.rpc.auth.conftest import PASSWORD, refusal
from tests.rpc.good_requests import BOOKING, Maker, Metadata, World, good_request
from tests.rpc.test_bad_input import METHODS, by_name, maker, quiet

pytestmark = pytest.mark.asyncio(loop_scope="module")

__all__ = ["maker"]

READS: Final = ("Get", "List", "Watch", "Export")
BY_STAFF: Final = [
    method
    for method in METHODS
    # A call whose token is not looked at is nobody's: it proves by what it carries who may make it.
    if (rule := rule_of(method.path)).token is not Token.IGNORED
    and rule.roles & {Role.STAFF, Role.ADMIN}
    and not method.name.startswith(READS)
]


def as_staff(method: Method, world: World) -> Metadata:
    """Who of the house makes the call: an administrator, but for what is of the member of staff in this world."""
    own = rule_of(method.path).roles <= {Role.STAFF, Role.ADMIN, Role.PARTNER} and world.caller(method) == world.staff
    return world.staff if own else world.admin


def records(database: Database, method: Method) -> list[StaffAction]:
    name = f"{method.service.rpartition('.')[2]}.{method.name}"
    query = select(StaffAction).where(StaffAction.method == name).order_by(StaffAction.action_time, StaffAction.id)
    return list(database.run_transaction(lambda session: session.scalars(query).all()))


@pytest.mark.parametrize("method", BY_STAFF, ids=by_name)
async def test_every_change_that_staff_may_make_is_recorded_once(
    maker: Maker, database: Database, method: Method
) -> None:
    world = await maker.world(spare=method.name.startswith("Delete"))
    request: Any = good_request(method, world)
    who = as_staff(method, world)
    if method.name == "ChangePassword":
        person = await maker.colleague()
        request.name, who = "users/me", person.token
    request_id = f"{method.name}-{uuid4()}"
    if method.mutating:
        request.request_id = request_id
    call: Any = maker.channel.unary_unary(method.path, None, method.response_class.FromString)
    # Making the world was work of staff, too.
    before = len(records(database, method))

    async with maker.working():
        await call(request.SerializeToString(), metadata=who, timeout=60)
        if method.name not in {"ChangePassword", "LogOutEverywhere"}:
            await call(request.SerializeToString(), metadata=who, timeout=60)
    await quiet(database)

    (action,) = records(database, method)[before:]
    assert action.role in {Role.STAFF, Role.ADMIN}
    assert action.request_id == (request_id if method.mutating else None)
    assert not any(word in str(action.request) for word in (PASSWORD, "quite another secret"))
    assert set(_names(request)) - {"users/me"} <= set(action.resources)


def _names(request: Message) -> list[str]:
    """What a request names on its first level."""
    fields = {"name", "parent", "performance"}
    return [value for field, value in request.ListFields() if field.name in fields and isinstance(value, str)]


class Office:
    """OperationsService as somebody calls it."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self._stub: operations_pb2_grpc.OperationsServiceAsyncStub = operations_pb2_grpc.OperationsServiceStub(channel)
        self._metadata = metadata

    async def actions(self, **wanted: Any) -> list[operations_pb2.StaffAction]:
        """All pages, of two at most."""
        found: list[operations_pb2.StaffAction] = []
        token = ""
        while True:
            request = operations_pb2.ListStaffActionsRequest(page_size=2, page_token=token, **wanted)
            page = await self._stub.ListStaffActions(request, metadata=self._metadata)
            assert len(page.staff_actions) <= 2
            found.extend(page.staff_actions)
            token = page.next_page_token
            if not token:
                return found

    async def history(self, booking: str) -> list[operations_pb2.BookingHistoryEntry]:
        """All pages, of three at most."""
        found: list[operations_pb2.BookingHistoryEntry] = []
        token = ""
        while True:
            request = operations_pb2.ListBookingHistoryRequest(parent=booking, page_size=3, page_token=token)
            page = await self._stub.ListBookingHistory(request, metadata=self._metadata)
            found.extend(page.entries)
            token = page.next_page_token
            if not token:
                return found

    async def backlog(self) -> operations_pb2.ListBacklogResponse:
        """All kinds of work."""
        return await self._stub.ListBacklog(operations_pb2.ListBacklogRequest(), metadata=self._metadata)


def bookings(maker: Maker) -> Any:
    return booking_pb2_grpc.BookingServiceStub(maker.channel)


async def test_staff_read_who_did_what_to_what_and_when(maker: Maker) -> None:
    world, person = await maker.world(spare=False), await maker.colleague()
    performance = world.names["rowlock.dev/Performance"]
    begin = Timestamp()
    begin.FromDatetime(now() - timedelta(hours=1))
    events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(maker.channel)
    block = performance_pb2.BlockSeatsRequest(performance=performance, seats=["Stalls-E-1"], reason="camera")
    await events.BlockSeats(block, metadata=person.token)
    cancel = booking_pb2.CancelBookingRequest(name=world.names[BOOKING], reason="flu", request_id="the-flu")
    await bookings(maker).CancelBooking(cancel, metadata=person.token)

    office = Office(maker.channel, world.staff)
    cancelled, blocked = await office.actions(actor=person.name)
    assert (blocked.method, cancelled.method) == ("EventService.BlockSeats", "BookingService.CancelBooking")
    assert (blocked.actor, blocked.actor_display_name, blocked.actor_email) == (person.name, "Staff", person.email)
    assert (blocked.role, blocked.api_key) == (auth_pb2.ROLE_STAFF, "")
    assert dict(blocked.request) == {"performance": performance, "seats": ["Stalls-E-1"], "reason": "camera"}
    assert (list(cancelled.resources), cancelled.request_id) == ([world.names[BOOKING]], "the-flu")
    assert [one.name for one in await office.actions(resource=world.names[BOOKING])] == [cancelled.name]
    about = [one.name for one in await office.actions(resource=performance, start_time=begin)]
    assert about[:2] == [cancelled.name, blocked.name]
    assert about == sorted(about, key=about.index), "no record is on two pages"
    assert len(about) == len(set(about))
    assert await office.actions(resource=performance, end_time=begin) == []
    assert {one.method for one in await office.actions(method="BookingService", actor=person.name)} == {
        "BookingService.CancelBooking"
    }


async def test_the_history_of_a_booking_is_the_whole_story(maker: Maker, database: Database) -> None:
    world, person = await maker.world(spare=False), await maker.colleague()
    booking = world.paid.partition("/payments/")[0]
    note = booking_pb2.Booking(name=booking, note="Aisle")
    await bookings(maker).UpdateBooking(booking_pb2.UpdateBookingRequest(booking=note), metadata=person.token)
    cancel = booking_pb2.CancelBookingRequest(name=booking, reason="flu")
    async with maker.working():
        await bookings(maker).CancelBooking(cancel, metadata=person.token)
    await quiet(database)

    told = await Office(maker.channel, world.staff).history(booking)
    kinds = operations_pb2.BookingHistoryEntry
    assert [one.entry_time.ToDatetime() for one in told] == sorted(one.entry_time.ToDatetime() for one in told)
    of_booking = [one for one in told if one.kind == kinds.BOOKING]
    assert [(one.what, one.from_state, one.to_state, one.place_count) for one in of_booking] == [
        ("hold", "", "HELD", 1),
        ("confirm", "HELD", "CONFIRMED", 1),
        ("cancel", "CONFIRMED", "CANCELLED", 1),
    ]
    hold, _, cancelled = of_booking
    assert (hold.actor, hold.actor_display_name, hold.staff_action) == (world.customer.name, "Ada", "")
    assert (cancelled.actor, cancelled.actor_display_name, cancelled.detail) == (person.name, "Staff", "flu")
    assert cancelled.staff_action.startswith("staffActions/")
    assert hold.amount.units > 0
    payments = [(one.what, one.to_state, one.resource) for one in told if one.kind == kinds.PAYMENT]
    assert payments == [
        ("begun", "CREATED", world.paid),
        ("capture asked", "PROCESSING", world.paid),
        ("ended", "SUCCEEDED", world.paid),
    ]
    refunds = [(one.what, one.to_state, bool(one.actor)) for one in told if one.kind == kinds.REFUND]
    assert sorted(refunds) == [("asked", "REQUESTED", True)] * 2 + [("done", "SUCCEEDED", False)] * 2
    noted = [one for one in told if one.kind == kinds.STAFF_ACTION]
    assert [(one.what, one.actor) for one in noted] == [("BookingService.UpdateBooking", person.name)]


async def test_cash_and_doors_are_part_of_the_history(maker: Maker) -> None:
    world, person = await maker.world(spare=False), await maker.colleague()
    office = Office(maker.channel, world.staff)
    await bookings(maker).PayOutCash(booking_pb2.PayOutCashRequest(name=world.owed), metadata=person.token)
    told = await office.history(world.owed)
    paid_out = told[-1]
    assert (paid_out.what, paid_out.actor, paid_out.amount.units > 0) == ("paid out", person.name, True)
    assert [one.what for one in told] == ["hold", "confirm", "cancel", "paid out"]

    told = await office.history(world.used.partition("/tickets/")[0])
    scan = told[-1]
    assert (scan.kind, scan.what) == (operations_pb2.BookingHistoryEntry.CHECK_IN, "admitted")
    assert scan.resource == world.used


async def test_staff_see_what_waits(maker: Maker) -> None:
    backlog = await Office(maker.channel, (await maker.shared_world()).staff).backlog()
    kinds = {one.kind: one for one in backlog.kinds}
    assert backlog.total_size == len(kinds)
    assert {"holds that ran out", "payments", "refunds", "mails", "messages of providers"} <= set(kinds)
    assert kinds["refunds"].remedy.startswith("rowlock refunds")


async def test_messages_of_providers_are_listed_and_retried(maker: Maker, database: Database) -> None:
    world = await maker.world(spare=False)
    name = world.names["rowlock.dev/ProviderWebhook"]
    stub: operations_pb2_grpc.OperationsServiceAsyncStub = operations_pb2_grpc.OperationsServiceStub(maker.channel)

    async def listed(state: operations_pb2.ProviderWebhook.State.ValueType) -> set[str]:
        request = operations_pb2.ListProviderWebhooksRequest(state=state, page_size=1000)
        page = await stub.ListProviderWebhooks(request, metadata=world.staff)
        assert page.total_size == len(page.provider_webhooks)
        return {one.name for one in page.provider_webhooks}

    assert name in await listed(operations_pb2.ProviderWebhook.DONE)
    absent = f"providerWebhooks/{UUID(int=7)}"
    both = operations_pb2.RetryProviderWebhooksRequest(names=[name, absent])
    refused = await refusal(stub.RetryProviderWebhooks(both, metadata=world.staff))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")
    assert name not in await listed(operations_pb2.ProviderWebhook.RECEIVED)
    request = operations_pb2.RetryProviderWebhooksRequest(names=[name])
    assert (await stub.RetryProviderWebhooks(request, metadata=world.staff)).retried_count == 1
    assert name in await listed(operations_pb2.ProviderWebhook.RECEIVED)


async def test_a_booking_that_is_not_there_has_no_history(maker: Maker) -> None:
    world = await maker.shared_world()
    absent = f"{world.names['rowlock.dev/Performance']}/bookings/{uuid4()}"
    refused = await refusal(Office(maker.channel, world.staff).history(absent))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")
