"""Tickets that are mailed again, over a socket: whose, in which state, once for each request, and only so often."""

from collections.abc import Awaitable
from uuid import UUID, uuid4

import grpc.aio
import pytest

from rowlock.v1 import booking_pb2_grpc
from rowlock.v1 import ticket_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from server.db.models.notifications import Notification
from server.states import NotificationKind
from tests.rpc.auth.conftest import refusal, served
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


def resend(
    office: BoxOffice, name: str, who: Metadata, request_id: str = "", channel: grpc.aio.Channel | None = None
) -> Awaitable[pb.ResendTicketsResponse]:
    bookings: booking_pb2_grpc.BookingServiceAsyncStub = (
        office.bookings if channel is None else booking_pb2_grpc.BookingServiceStub(channel)
    )
    return bookings.ResendTickets(pb.ResendTicketsRequest(name=name, request_id=request_id), metadata=who)


def messages(office: BoxOffice, booking: str) -> list[str]:
    """Those that say that a booking was confirmed, oldest first."""
    wanted = {"booking_id": UUID(booking.rpartition("/")[2]), "kind": NotificationKind.BOOKING_CONFIRMED}
    rows = office.database.run_transaction(
        lambda s: s.query(Notification).filter_by(**wanted).order_by(Notification.create_time).all()
    )
    return [f"notifications/{row.id}" for row in rows]


async def test_customers_have_their_own_tickets_mailed_again_and_staff_any(office: BoxOffice, house: Staged) -> None:
    anna, eve = await office.customer(), await office.customer()
    booking, _ = await office.buy(house, anna, "Stalls-A-1")

    asked = [await resend(office, booking.name, who) for who in (anna, office.staff)]

    assert messages(office, booking.name)[1:] == [answer.notification for answer in asked], "after the first mail"
    assert (await refusal(resend(office, booking.name, eve))).code == "NOT_FOUND"
    assert len(messages(office, booking.name)) == 3


async def test_a_repeated_request_is_one_mail(office: BoxOffice, house: Staged) -> None:
    anna, request_id = await office.customer(), str(uuid4())
    booking, _ = await office.buy(house, anna, "Stalls-A-2")

    asked = {(await resend(office, booking.name, anna, request_id)).notification for _ in range(3)}

    assert len(asked) == 1
    assert len(messages(office, booking.name)) == 2


async def test_what_has_no_tickets_is_not_mailed(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    held = await office.book(house, anna, "Stalls-A-3")

    refused = await refusal(resend(office, held.name, anna))

    assert (refused.code, refused.reason, refused.facts["state"]) == ("FAILED_PRECONDITION", "BOOKING_STATE", "HELD")
    assert messages(office, held.name) == []


async def test_an_address_is_mailed_only_so_often_whoever_asks(
    office: BoxOffice, house: Staged, fast: Settings, database: Database
) -> None:
    anna = await office.customer()
    booking, _ = await office.buy(house, anna, "Stalls-A-4")
    changes = {"rate_limits": True, "rate_limit_mail": "2/hour", "redis_key_prefix": f"t{uuid4().hex[:8]}"}

    async with served(fast.model_copy(update=changes), database) as limited:
        for _ in range(2):
            await resend(office, booking.name, anna, channel=limited.channel)
        refused = [
            await refusal(resend(office, booking.name, who, channel=limited.channel)) for who in (anna, office.staff)
        ]

    assert {one.reason for one in refused} == {"RATE_LIMITED"}
    assert len(messages(office, booking.name)) == 3
