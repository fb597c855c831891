"""BookingService: customers claim places, change their claims and read them.

Everything that touches seats is one command to the seat ledger, which also makes repeated requests harmless; what
is done here is to turn names into places and back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

import grpc.aio
from sqlalchemy.orm import Session

from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import booking_pb2_grpc
from rowlock.v1.stream_pb2 import Heartbeat, Reconnect
from server import resources
from server.db.combining import Combined
from server.db.engine import Database
from server.db.ids import new_id
from server.domain import booking_search, bookings, payment_reads
from server.domain.signing_keys import Keys
from server.errors import InvalidArgument, NotFound
from server.interceptors.access import require_permission
from server.interceptors.authentication import caller
from server.payments.wake import REFUNDS, Waker
from server.seats.booking import Booking
from server.seats.commands import Add, Admission, Cancel, Confirm, Extend, Hold, OnBooking, Remove, Return
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.seats.rules import SaleRules
from server.services.booking_cash import CashMethods
from server.services.booking_claims import allocation_of, claims, places_of, requested, tickets_of
from server.services.booking_doors import DoorMethods
from server.services.booking_messages import booking_message
from server.services.booking_tickets import TicketMethods
from server.services.booking_watch import BookingWatch
from server.services.customers import Customers, Deed
from server.services.email_limit import EmailLimit
from server.services.field_mask import paths_of
from server.services.key_quotas import charged, reference_of
from server.services.mutation import once
from server.services.paging import page_of
from server.services.scan_queue import ScanQueue
from server.services.staff_recording import record_of
from server.services.standing import STAFF, owner_of, request_key
from server.services.stream_end import StreamEnd
from server.services.ticket_printing import TicketPrinting
from server.states import BookingState, ConfirmedBy, KeyPermission, KeyQuota
from server.waiting_room.tickets import QueueTickets

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Named = TypeVar("Named")

FINAL: Final = frozenset({BookingState.CANCELLED, BookingState.EXPIRED})
_ANY: Final = "-"
_WRITABLE: Final = ("note",)


@dataclass(frozen=True, slots=True)
class BookingPolicy:
    """What an installation decides about bookings; ``heartbeat`` in seconds."""

    require_verified_email: bool = False
    heartbeat: float = 15.0


@dataclass(frozen=True, slots=True)
class TicketParts:
    """What tickets and doors need.

    Attributes:
        keys: gives the keys of the moment.
        printing: makes documents.
        scans: records scans.
        mail_limit: counts tickets that are mailed again, by e-mail address.
    """

    keys: Callable[[], Keys]
    printing: TicketPrinting
    scans: ScanQueue
    mail_limit: EmailLimit


class BookingService(TicketMethods, DoorMethods, CashMethods, booking_pb2_grpc.BookingServiceServicer):
    """The servicer; tickets, doors and owed cash have files of their own.

    Args:
        database: where bookings are read.
        ledger: carries out what touches seats.
        watch: tells streams of changes.
        stream_end: ends streams.
        policy: what the installation decides.
        halls: the halls of this process.
        tickets: what tickets and doors need.
        waker: has refunds and mails seen to at once.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        watch: BookingWatch,
        stream_end: StreamEnd,
        policy: BookingPolicy,
        *,
        halls: Halls,
        tickets: TicketParts,
        waker: Waker,
    ) -> None:
        super().__init__(
            database,
            ledger,
            halls,
            keys=tickets.keys,
            printing=tickets.printing,
            scans=tickets.scans,
            mail_limit=tickets.mail_limit,
            waker=waker,
        )
        self._watch = watch
        self._stream_end = stream_end
        self._policy = policy
        self._customers = Customers(database, Deed.BOOK, require_verified_email=policy.require_verified_email)
        # After a payment many ask at once whether it has bought anything.
        self._reads: Combined[tuple[int, UUID], Booking] = Combined(database, bookings.get_bookings, read_only=True)
        self._queue_tickets = QueueTickets(tickets.keys)

    async def CreateBooking(self, request: pb.CreateBookingRequest, context: Context) -> pb.Booking:
        """Claim places, all or none."""
        who = caller()
        performance_id = resources.parse_performance(request.parent, "parent")
        rules = await self._rules(performance_id)
        await self._require_scope(who, performance_id)
        (named, wants), hall = await self._by_names(rules, lambda rules: requested(request, rules))
        customer_id = await self._customers.named(who, request.customer)
        booking_id = new_id()
        hold = Hold(
            performance_id=performance_id,
            booking_id=booking_id,
            customer_id=customer_id,
            actor_id=who.user_id,
            claims=named,
            wants=wants,
            allocation_id=allocation_of(request, performance_id, staff=who.role in STAFF),
            unlimited=who.role in STAFF,
            note=request.note,
            hall=hall,
            admission=self._admission(request.admission_token, performance_id),
            request=request_key(request, who),
            record=record_of(request, resources.booking(performance_id, booking_id)),
        )
        count = len(named) + sum(want.quantity for want in wants)
        return booking_message(await self._charged(request, count, hold), hall)

    async def _charged(
        self, request: pb.CreateBookingRequest | pb.AddSeatsRequest, count: int, command: Hold | Add
    ) -> Booking:
        """Claim places, as far as the caller's API key may claim any more today."""
        return await charged(
            self._database,
            caller(),
            KeyQuota.HELD_PLACES,
            amount=count,
            reference=lambda: reference_of(request),
            work=lambda: self._ledger.execute(command),
        )

    def _admission(self, text: str, performance_id: int) -> Admission | None:
        """What an admission token says; whether one is needed, and whether this one is good, the ledger decides."""
        if not text:
            return None
        token = self._queue_tickets.read_admission(text)
        return Admission(token.entry_id if token is not None and token.performance_id == performance_id else None)

    async def AddSeats(self, request: pb.AddSeatsRequest, context: Context) -> pb.Booking:
        """Claim further seats for a held booking."""
        await self._customers.require_verified(caller())
        on, rules = await self._on_booking(request)
        named, hall = await self._by_names(rules, lambda rules: claims(request.seats, rules))
        add = Add(**on, claims=named, hall=hall)
        return booking_message(await self._charged(request, len(named), add), hall)

    async def RemoveSeats(self, request: pb.RemoveSeatsRequest, context: Context) -> pb.Booking:
        """Give places of a held booking back."""
        on, rules = await self._on_booking(request)
        places, hall = await self._by_names(rules, lambda rules: places_of(request.seats, rules))
        return await self._carry_out(Remove(**on, places=places, hall=hall))

    async def ExtendBooking(self, request: pb.ExtendBookingRequest, context: Context) -> pb.Booking:
        """Start a hold's clock anew."""
        on, _ = await self._on_booking(request)
        return await self._carry_out(Extend(**on))

    async def CancelBooking(self, request: pb.CancelBookingRequest, context: Context) -> pb.Booking:
        """Give a booking up."""
        on, _ = await self._on_booking(request)
        if caller().permissions and KeyPermission.REFUND not in caller().permissions:
            await self._require_unpaid(on["performance_id"], on["booking_id"])
        return await self._give_back(Cancel(**on, reason=request.reason))

    async def _require_unpaid(self, performance_id: int, booking_id: UUID) -> None:
        """Keep an API key that may not have money returned from giving up what is paid for."""
        owner = owner_of(caller())
        booking = await self._database.read(
            lambda session: bookings.get_booking(session, performance_id, booking_id, owner)
        )
        if booking.state is BookingState.CONFIRMED:
            require_permission(caller(), KeyPermission.REFUND)

    async def RefundTickets(self, request: pb.RefundTicketsRequest, context: Context) -> pb.Booking:
        """Take single tickets back."""
        on, _ = await self._on_booking(request)
        performance_id, booking_id = on["performance_id"], on["booking_id"]
        ticket_ids = tickets_of(request)
        owner = owner_of(caller())
        places = await self._database.read(
            lambda session: bookings.places_of_tickets(session, performance_id, booking_id, ticket_ids, owner)
        )
        return await self._give_back(Return(**on, places=places, ticket_ids=ticket_ids, reason=request.reason))

    async def ConfirmBooking(self, request: pb.ConfirmBookingRequest, context: Context) -> pb.Booking:
        """Sell a held booking at the box office."""
        on, _ = await self._on_booking(request)
        return await self._carry_out(Confirm(**on, confirmed_by=ConfirmedBy(request.method)))

    async def UpdateBooking(self, request: pb.UpdateBookingRequest, context: Context) -> pb.Booking:
        """Change a booking's note."""
        who = caller()
        new = request.booking
        performance_id, booking_id = resources.parse_booking(new.name, "booking.name")
        paths = paths_of(request.update_mask, new, _WRITABLE)
        hall = (await self._rules(performance_id)).hall
        await self._require_scope(who, performance_id)
        if not paths:
            return await self._get(performance_id, booking_id)
        return await once(
            self._database,
            request,
            pb.Booking,
            lambda session: booking_message(
                bookings.set_note(session, performance_id, booking_id, owner_of(who), note=new.note, etag=new.etag),
                hall,
            ),
            scope=who.scope,
        )

    async def GetBooking(self, request: pb.GetBookingRequest, context: Context) -> pb.Booking:
        """Read a booking."""
        return await self._get(*resources.parse_booking(request.name))

    async def ListBookings(self, request: pb.ListBookingsRequest, context: Context) -> pb.ListBookingsResponse:
        """List bookings, newest first."""
        who = caller()
        performance_id = await self._listed_performance(who, request.parent)
        customer_id = owner_of(who)
        if customer_id is None and request.customer:
            customer_id = resources.parse_user(request.customer, who.user_id, "customer")
        page = page_of(request, datetime, UUID, scope=str(customer_id))
        named = booking_search.named_by(request.text, performance_id, self._keys()) if request.text else None

        def work(session: Session) -> tuple[bookings.BookingPage, dict[int, Hall]]:
            found = bookings.list_bookings(
                session,
                performance_id=performance_id,
                customer_id=customer_id,
                state=BookingState(request.state) if request.state else None,
                named=named,
                after=page.after,
                limit=page.limit,
            )
            return found, self._halls.of_performances(session, (booking.performance_id for booking in found.bookings))

        found, halls = await self._database.read(work)
        shown, next_page_token = page.cut(found.bookings, lambda booking: (booking.create_time, booking.id))
        return pb.ListBookingsResponse(
            bookings=[booking_message(booking, halls[booking.performance_id]) for booking in shown],
            next_page_token=next_page_token,
            total_size=found.total,
        )

    async def WatchBooking(
        self, request: pb.WatchBookingRequest, context: Context
    ) -> AsyncIterator[pb.WatchBookingResponse]:
        """Stream a booking: as it is, then after each change."""
        who = caller()
        performance_id, booking_id = resources.parse_booking(request.name)
        hall = (await self._rules(performance_id)).hall
        await self._require_scope(who, performance_id)
        booking = await self._database.read(
            lambda session: bookings.get_booking(session, performance_id, booking_id, owner_of(who))
        )
        with self._watch.watching(booking) as watcher:
            async with self._stream_end.of(who) as end:
                yield pb.WatchBookingResponse(booking=booking_message(booking, hall))
                while await self._may_change(booking):
                    change = asyncio.ensure_future(watcher.change())
                    waiting: set[asyncio.Future[Any]] = {change, end}
                    try:
                        await asyncio.wait(waiting, timeout=self._policy.heartbeat, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        change.cancel()
                    if change.done():
                        booking = change.result()
                        yield pb.WatchBookingResponse(booking=booking_message(booking, hall))
                    elif end.done():
                        yield pb.WatchBookingResponse(reconnect=Reconnect(reason=end.result()))
                        return
                    else:
                        yield pb.WatchBookingResponse(heartbeat=Heartbeat())
                last = await self._reads((performance_id, booking_id))
                if last.replaced_by != booking.replaced_by:  # in the moment in which its payment ceased to be open
                    yield pb.WatchBookingResponse(booking=booking_message(last, hall))
                yield pb.WatchBookingResponse(reconnect=Reconnect(reason=Reconnect.FINISHED))

    async def _may_change(self, booking: Booking) -> bool:
        """Whether a watcher has still something to wait for; after the end: a successor that late money buys."""
        if booking.state not in FINAL:
            return True
        if booking.state is not BookingState.EXPIRED or booking.replaced_by is not None:
            return False
        return await self._database.read(
            lambda session: payment_reads.may_be_paid_late(session, booking.performance_id, booking.id)
        )

    async def _get(self, performance_id: int, booking_id: UUID) -> pb.Booking:
        who = caller()
        await self._require_scope(who, performance_id)
        booking = await self._reads((performance_id, booking_id))
        if owner_of(who) not in (None, booking.customer_id):
            raise NotFound.of(resources.booking(performance_id, booking_id))
        return await self._message(booking)

    async def _on_booking(self, request: Any) -> tuple[dict[str, Any], SaleRules]:
        """What every command on a booking carries, and the rules of its performance."""
        who = caller()
        performance_id, booking_id = resources.parse_booking(request.name)
        rules = await self._ledger.rules(performance_id)
        if rules is None:
            raise NotFound.of(request.name)
        await self._require_scope(who, performance_id)
        on = {
            "performance_id": performance_id,
            "booking_id": booking_id,
            "actor_id": who.user_id,
            "staff": who.role in STAFF,
            "etag": request.etag,
            "request": request_key(request, who),
            "record": record_of(request),
        }
        return on, rules

    async def _give_back(self, command: Cancel | Return) -> pb.Booking:
        """Carry out what may ask for a refund, and have a worker see to it at once."""
        booking = await self._ledger.execute(command)
        if booking.payment_id is not None:
            self._waker.wake(REFUNDS)
        return await self._message(booking)

    async def _carry_out(self, command: OnBooking) -> pb.Booking:
        return await self._message(await self._ledger.execute(command))

    async def _message(self, booking: Booking | None) -> pb.Booking:
        assert booking is not None, "only blocking has no booking to answer"  # noqa: S101
        return booking_message(booking, (await self._rules(booking.performance_id)).hall)

    async def _by_names(self, rules: SaleRules, read: Callable[[SaleRules], Named]) -> tuple[Named, Hall]:
        """What ``read`` makes of a request's names, and in which hall; what is not known is looked for once more."""
        try:
            return read(rules), rules.hall
        except InvalidArgument:
            rules = await self._rules(rules.performance_id, fresh=True)
            return read(rules), rules.hall
