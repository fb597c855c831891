"""A small world, and for every RPC that is served a request that is answered OK in it.

Requests are filled by their descriptors: what is required, with names of what the world has. Only words that nothing
can be derived from stand in a table.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc.aio
from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from sqlalchemy import insert
from sqlalchemy.orm import Session

from rowlock.v1 import (
    auth_pb2,
    booking_pb2,
    booking_pb2_grpc,
    box_office_pb2,
    box_office_pb2_grpc,
    category_pb2,
    contact_pb2,
    contact_pb2_grpc,
    event_pb2_grpc,
    notification_pb2,
    notification_pb2_grpc,
    partner_pb2,
    partner_pb2_grpc,
    payment_pb2,
    payment_pb2_grpc,
    performance_pb2,
    seat_map_pb2,
    ticket_pb2,
    venue_pb2,
)
from rowlock.v1 import event_pb2 as events
from server import clock, resources
from server.db.engine import Database
from server.db.models.webhooks import ProviderWebhook
from server.domain import account_codes, webhooks
from server.interceptors.access import Token, rule_of
from server.interceptors.method import Method
from server.payments.simulator import REFUND as SIMULATED_REFUND
from server.payments.stripe_webhooks import SIGNATURE_HEADER, sign
from server.payments.webhook_port import ProviderEvent
from server.states import CodePurpose, Provider, Role, SimulatedOutcome, WebhookState, WebhookSubject
from tests.lining import LineDesk
from tests.paying import Desk
from tests.rpc.auth.conftest import PASSWORD, Client, Person
from tests.rpc.catalogue.conftest import euros, in_days, unique
from tests.staging import Staged, hall_document, stage

Metadata = tuple[tuple[str, str], ...]

BOOKING, TICKET, PAYMENT, REFUND = (f"rowlock.dev/{word}" for word in ("Booking", "Ticket", "Payment", "Refund"))
WEBHOOK_SECRET = "whsec_of_good_requests"
"""What the server must be told to believe Stripe by."""
RECEIVER = "https://93.184.216.34/rowlock"
"""An address on the public internet, which nothing is sent to: no worker runs."""
_EVENT = b'{"id": "evt_1", "type": "account.updated", "created": 1700000000, "data": {"object": {"object": "account"}}}'
_REQUIRED = field_behavior_pb2.FieldBehavior.Value("REQUIRED")


@dataclass
class World:
    """What requests can name.

    Args:
        names: a resource of each type, of the customer's where it is anybody's.
        foreign: another customer's resources, by their types.
        paid: a payment of the customer's that succeeded.
        key: the secret of an API key.
        seat: the one that the customer just holds.
        customer: who owns what is owned.
        other: the name of another customer.
        staff: metadata of staff.
        admin: metadata of an administrator.
        codes: what was mailed to the customer.
        used: a ticket of the customer's that has let somebody in.
        owed: a booking that was paid for in cash and cancelled.
        cancelled: a performance that was.
        queue: a performance with a line that nobody stands in yet.
        refused: a refund that its provider refused.
        doubtful: a payment of which it is in doubt whose money was taken.
    """

    names: dict[str, str]
    foreign: dict[str, str]
    paid: str
    key: str
    seat: str
    customer: Person
    other: str
    staff: Metadata
    admin: Metadata
    codes: dict[CodePurpose, str]
    used: str
    owed: str
    cancelled: str
    queue: str
    refused: str
    doubtful: str

    def caller(self, method: Method) -> Metadata | None:
        """Metadata of the humblest who may call."""
        rule = rule_of(method.path)
        if rule.token is Token.IGNORED:
            return None
        if rule.token is Token.OPTIONAL:
            return self.staff
        for role, metadata in ((Role.CUSTOMER, self.customer.token), (Role.STAFF, self.staff)):
            if role in rule.roles:
                return metadata
        return self.admin


class Maker:
    """Makes worlds on one server.

    Args:
        client: of the server.
        database: the server's.
        desk: takes payments in the worker's stead.
    """

    def __init__(self, client: Client, database: Database, desk: Desk) -> None:
        self._client, self._database, self._desk = client, database, desk
        self.channel: grpc.aio.Channel = client.channel
        self._shared: World | None = None
        self._office: box_office_pb2_grpc.BoxOfficeServiceAsyncStub = box_office_pb2_grpc.BoxOfficeServiceStub(
            client.channel
        )
        self._events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(client.channel)
        self._bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(client.channel)
        self._contacts: contact_pb2_grpc.ContactServiceAsyncStub = contact_pb2_grpc.ContactServiceStub(client.channel)
        self._notifications: notification_pb2_grpc.NotificationServiceAsyncStub = (
            notification_pb2_grpc.NotificationServiceStub(client.channel)
        )
        self._payments: payment_pb2_grpc.PaymentServiceAsyncStub = payment_pb2_grpc.PaymentServiceStub(client.channel)

    async def begin(self) -> None:
        """Those of the house, who stay."""
        self._admin = await self._client.admin()
        self._staff = await self._client.staff(self._admin)

    async def colleague(self) -> Person:
        """One more member of staff."""
        return await self._client.staff(self._admin)

    async def shared_world(self) -> World:
        """The same world every time, for requests that change nothing."""
        if self._shared is None:
            self._shared = await self.world(spare=True)
            await self.category()
        return self._shared

    async def world(self, *, spare: bool) -> World:
        """A new world; ``spare``: of the catalogue it names what nothing depends on, which can be deleted."""
        # Of this world alone: nobody has two shifts open.
        staff = (await self._client.staff(self._admin)).token
        anna, bob = await self._client.sign_up(), await self._client.sign_up()
        staged = self._database.run_transaction(_staged_for_tonight)
        category = await self.category()
        key = await self._client.auth.CreateApiKey(
            auth_pb2.CreateApiKeyRequest(
                parent=self._admin.name, api_key=auth_pb2.ApiKey(display_name="Door", role=auth_pb2.ROLE_GATE)
            ),
            metadata=self._admin.token,
        )
        hall = resources.performance(staged.performance_id)
        names = {
            "User": anna.name,
            "ApiKey": key.api_key.name,
            "Category": category.name,
            "Venue": resources.venue(staged.venue_id),
            "SeatMap": resources.seat_map(staged.venue_id, staged.seat_map_id),
            "Event": resources.event(staged.event_id),
            "Performance": hall,
            "TicketType": resources.ticket_type(staged.performance_id, staged.ticket_type_ids[0]),
        }
        if spare:
            names |= await self._spares()
        names = {f"rowlock.dev/{kind}": name for kind, name in names.items()}
        paid, mine = await self._belongings(staged, anna, 0)
        _, foreign = await self._belongings(staged, bob, 10)
        names |= await self._contact() | await self._box_office(hall, staff)
        seat, admin = staged.hall.places[2].id, self._admin.token
        codes = await self._codes(anna)
        used = await self._used_ticket(staged, anna, 5)
        names["rowlock.dev/CheckIn"] = f"{hall}/checkIns/{uuid4()}"
        names["rowlock.dev/Notification"] = await self._told(anna)
        names["rowlock.dev/ProviderWebhook"] = self._database.run_transaction(_message_of_a_provider)
        names["rowlock.dev/WebhookEndpoint"] = await self._endpoint(staff)
        owed, cancelled = await self._owed(staged, anna, 6), await self._cancelled()
        whose = (anna, bob.name, staff, admin)
        line, others_line = self._lines(anna, bob)
        names |= line
        foreign |= others_line
        queue, for_staff = self._empty(), await self._for_staff(staged, anna, 7)
        return World(
            *(names | mine, foreign, paid, key.secret, seat, *whose),
            *(codes, used, owed, cancelled, queue, *for_staff),
        )

    def _lines(self, person: Person, other: Person) -> tuple[dict[str, str], dict[str, str]]:
        """A line that opens later, with both in it; whose what is."""
        lines = LineDesk(self._database)
        house = lines.shut()
        ids = [UUID(one.name.removeprefix("users/")) for one in (person, other)]
        mine, foreign = [resources.queue_entry(house.performance_id, one.id) for one in lines.join(house, *ids)]
        room = resources.waiting_room(house.performance_id)
        return {"rowlock.dev/QueueEntry": mine, "rowlock.dev/WaitingRoom": room}, {"rowlock.dev/QueueEntry": foreign}

    async def _endpoint(self, staff: Metadata) -> str:
        """A webhook endpoint."""
        partners: partner_pb2_grpc.PartnerServiceAsyncStub = partner_pb2_grpc.PartnerServiceStub(self.channel)
        wanted = partner_pb2.WebhookEndpoint(uri=RECEIVER)
        made = await partners.CreateWebhookEndpoint(
            partner_pb2.CreateWebhookEndpointRequest(parent="users/me", webhook_endpoint=wanted), metadata=staff
        )
        return made.webhook_endpoint.name

    def _empty(self) -> str:
        """A performance with a line that nobody stands in."""
        return resources.performance(LineDesk(self._database).shut().performance_id)

    async def _owed(self, staged: Staged, person: Person, place: int) -> str:
        """A booking that was paid for in cash, and that its customer gave up."""
        held = await self._desk.hold(staged, place, customer=UUID(person.name.removeprefix("users/")))
        name = resources.booking(staged.performance_id, held.id)
        confirm = booking_pb2.ConfirmBookingRequest(name=name, method=booking_pb2.Booking.CASH)
        await self._bookings.ConfirmBooking(confirm, metadata=self._staff.token)
        await self._bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=name), metadata=person.token)
        return name

    async def _for_staff(self, staged: Staged, person: Person, first: int) -> tuple[str, str]:
        """A refund that its provider refused, and a payment of which it is in doubt whose money was taken."""
        customer = UUID(person.name.removeprefix("users/"))
        bought, doubtful = [await self._desk.hold(staged, first + n, customer=customer) for n in range(2)]
        payment = await self._desk.captured(bought)
        await self._desk.settle()
        self._desk.script(payment, SimulatedOutcome.DECLINE, SIMULATED_REFUND)
        await self._desk.cancel(bought)
        await self._desk.settle()
        (refused,) = self._desk.refunds(payment)
        pending = await self._desk.pay(doubtful)
        self._desk.one(
            "UPDATE payments SET state = 7, discrepancy = 'REFERENCE', next_attempt_time = NULL WHERE id = :id",
            id=pending.id,
        )
        return (
            resources.refund(staged.performance_id, bought.id, payment.id, refused.id),
            resources.payment(staged.performance_id, doubtful.id, pending.id),
        )

    async def _cancelled(self) -> str:
        """A performance that will not take place."""
        name = resources.performance(self._database.run_transaction(stage).performance_id)
        request = performance_pb2.CancelPerformanceRequest(name=name)
        await self._events.CancelPerformance(request, metadata=self._staff.token)
        ask = performance_pb2.GetCancellationProgressRequest(name=name)
        progress = performance_pb2.CancellationProgress()
        while not progress.finished:
            progress = await self._events.GetCancellationProgress(ask, metadata=self._staff.token)
        return name

    async def _used_ticket(self, staged: Staged, person: Person, place: int) -> str:
        """The ticket of a place that was let in."""
        bought = await self._desk.hold(staged, place, customer=UUID(person.name.removeprefix("users/")))
        await self._desk.captured(bought)
        await self._desk.settle()
        sold = resources.booking(staged.performance_id, bought.id)
        listed = await self._bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=sold), metadata=person.token)
        ticket = listed.tickets[0]
        performance = resources.performance(staged.performance_id)
        await self._bookings.CheckInTicket(
            ticket_pb2.CheckInTicketRequest(performance=performance, name=ticket.name), metadata=self._staff.token
        )
        return ticket.name

    async def _box_office(self, performance: str, staff: Metadata) -> dict[str, str]:
        """Places set aside, and a shift that is over, because nobody has two that are open."""
        aside = box_office_pb2.Allocation(owner="Sponsor", seats=["Stalls-D-1"])
        allocation = await self._office.CreateAllocation(
            box_office_pb2.CreateAllocationRequest(parent=performance, allocation=aside), metadata=staff
        )
        begun = box_office_pb2.Shift(till=unique("Till"), opening_cash=euros(100))
        shift = await self._office.OpenShift(box_office_pb2.OpenShiftRequest(shift=begun), metadata=staff)
        await self._office.CloseShift(
            box_office_pb2.CloseShiftRequest(name=shift.name, counted_cash=euros(100)), metadata=staff
        )
        return {"rowlock.dev/Allocation": allocation.name, "rowlock.dev/Shift": shift.name}

    async def _contact(self) -> dict[str, str]:
        """A question, a link, and the contact data."""
        asked = contact_pb2.Inquiry(sender_name="Ada", sender_email="ada@example.com", subject="?", message="Where?")
        inquiry = await self._contacts.SubmitInquiry(contact_pb2.SubmitInquiryRequest(inquiry=asked))
        link = contact_pb2.SocialLink(display_name="Elsewhere", uri="https://example.com")
        made = await self._contacts.CreateSocialLink(
            contact_pb2.CreateSocialLinkRequest(social_link=link), metadata=self._staff.token
        )
        names = {"Inquiry": inquiry.name, "SocialLink": made.name, "ContactInfo": resources.CONTACT_INFO}
        return {f"rowlock.dev/{kind}": name for kind, name in names.items()}

    async def _told(self, person: Person) -> str:
        """What somebody was told."""
        listed = await self._notifications.ListNotifications(
            notification_pb2.ListNotificationsRequest(page_size=1), metadata=person.token
        )
        return listed.notifications[0].name

    async def _codes(self, person: Person) -> dict[CodePurpose, str]:
        user_id = resources.parse_user(person.name)

        def issued(session: Session) -> dict[CodePurpose, str]:
            return {
                purpose: account_codes.issue(session, user_id, purpose, email=person.email) for purpose in CodePurpose
            }

        return await self._database.transaction(issued)

    async def category(self) -> category_pb2.Category:
        """One more."""
        request = category_pb2.CreateCategoryRequest(category=category_pb2.Category(display_name=unique("Kind")))
        return await self._events.CreateCategory(request, metadata=self._staff.token)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Payments are worked off within the block, and all are by its end."""

        ended = asyncio.Event()

        async def carry_on() -> None:
            while not ended.is_set():
                await self._desk.carry_on()
                await asyncio.sleep(0.02)
            await self._desk.settle()

        work = asyncio.create_task(carry_on())
        try:
            yield
        finally:
            # Not cancelled: what it has taken up would be due again only seconds later.
            ended.set()
            await work

    async def _belongings(self, staged: Staged, person: Person, first: int) -> tuple[str, dict[str, str]]:
        """A customer's paid seat with a refund, a held one with an open payment, and one that is just held."""
        customer = UUID(person.name.removeprefix("users/"))
        bought, pending, held = [await self._desk.hold(staged, first + n, customer=customer) for n in range(3)]
        payment = await self._desk.captured(bought)
        await self._desk.settle()
        sold = resources.booking(staged.performance_id, bought.id)
        tickets = await self._bookings.ListTickets(ticket_pb2.ListTicketsRequest(parent=sold), metadata=person.token)
        paid = f"{sold}/payments/{payment.id}"
        refund = await self._payments.RefundPayment(
            payment_pb2.RefundPaymentRequest(name=paid, amount=euros(100), reason="the heating failed"),
            metadata=self._staff.token,
        )
        open_payment = await self._desk.pay(pending)
        return paid, {
            BOOKING: resources.booking(staged.performance_id, held.id),
            TICKET: tickets.tickets[0].name,
            PAYMENT: resources.payment(staged.performance_id, pending.id, open_payment.id),
            REFUND: refund.name,
        }

    async def _spares(self) -> dict[str, str]:
        unsold = self._database.run_transaction(stage)
        venues = [
            await self._events.CreateVenue(
                venue_pb2.CreateVenueRequest(venue=venue_pb2.Venue(display_name=unique("House"))),
                metadata=self._staff.token,
            )
            for _ in range(2)
        ]
        imported = await self._events.ImportSeatMap(
            seat_map_pb2.ImportSeatMapRequest(
                parent=venues[1].name, format=seat_map_pb2.ImportSeatMapRequest.ROWLOCK, document=_document()
            ),
            metadata=self._staff.token,
        )
        event = await self._events.CreateEvent(
            events.CreateEventRequest(event=events.Event(title=unique("Play"))), metadata=self._staff.token
        )
        return {
            "Venue": venues[0].name,
            "SeatMap": imported.seat_map.name,
            "Event": event.name,
            "Performance": resources.performance(unsold.performance_id),
            "TicketType": resources.ticket_type(unsold.performance_id, unsold.ticket_type_ids[0]),
        }


def good_requests(method: Method, world: World) -> list[Message]:
    """Requests that are answered OK, one after another: where a choice is to be made, one for each."""
    first = good_request(method, world)
    if method.name != "CreateBooking":
        return [first]
    kind = world.names["rowlock.dev/TicketType"]
    return [
        first,
        booking_pb2.CreateBookingRequest(
            parent=world.names["rowlock.dev/Performance"],
            best_available=booking_pb2.BestAvailable(quantity=2, ticket_type=kind, zone="Stalls", section="Stalls"),
        ),
        booking_pb2.CreateBookingRequest(
            parent=world.names["rowlock.dev/Performance"],
            general_admission=[booking_pb2.GeneralAdmissionClaim(quantity=2, ticket_type=kind)],
        ),
    ]


def good_request(method: Method, world: World) -> Message:
    """A request that is answered OK.

    Raises:
        LookupError: something is required that can neither be derived nor stands in the table of words.
    """
    request = method.request_class()
    words = _words(world)
    _fill(request, method.name, words, world)
    for path, value in words.items():
        name, *parts, last = path.split(".")
        if name == method.name:
            target: Any = request
            for part in parts:
                target = getattr(target, part)
            _put(target, last, value)
    return request


def _fill(message: Any, path: str, words: dict[str, Any], world: World) -> None:
    updates = path.startswith("Update")
    for field in message.DESCRIPTOR.fields:
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        identifies = updates and field.name == "name"
        if f"{path}.{field.name}" in words or not (_REQUIRED in behaviors or identifies):
            continue
        if field.message_type is not None and field.message_type.file.package == "rowlock.v1":
            part = getattr(message, field.name)
            part.SetInParent()
            _fill(part, f"{path}.{field.name}", words, world)
        elif field.name in {"display_name", "title"}:
            setattr(message, field.name, unique("Example"))
        else:
            setattr(message, field.name, _name_for(field, path, world))


def _name_for(field: Any, path: str, world: World) -> str:
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    kind = reference.type or reference.child_type
    if field.name == "name" and not kind:
        kind = field.containing_type.GetOptions().Extensions[resource_pb2.resource].type
    if kind not in world.names:
        raise LookupError(f"{path}.{field.name}: nothing is known that could stand here")
    name = world.names[kind]
    return name.rsplit("/", 2)[0] if reference.child_type else name


def _put(target: Any, name: str, value: Any) -> None:
    if isinstance(value, list):
        getattr(target, name).extend(value)
    elif isinstance(value, dict):
        getattr(target, name).update(value)
    elif isinstance(value, Message):
        getattr(target, name).CopyFrom(value)
    else:
        setattr(target, name, value)


def _staged_for_tonight(session: Session) -> Staged:
    """On sale, and with its doors open."""
    return stage(session, hall_document(standing=20), customer_limit=50, start_time=clock.now() + timedelta(hours=1))


def _message_of_a_provider(session: Session) -> str:
    """One that was done with: nothing works on it meanwhile."""
    event = ProviderEvent(str(uuid4()), "charge.dispute.created", clock.now(), WebhookSubject.DISPUTE)
    row = webhooks.row_of(Provider.STRIPE, event, b"{}", {})
    values = {**row, "state": WebhookState.DONE, "outcome": "a dispute"}
    session.execute(insert(ProviderWebhook).values(values))
    return resources.provider_webhook(row["id"])


def _scan() -> ticket_pb2.OfflineScan:
    return ticket_pb2.OfflineScan(scan_id="1", code="NOTATICKET", scan_time=in_days(-0.01), admitted=True)


def _document() -> bytes:
    return json.dumps(hall_document(rows=1, seats=2)).encode()


def _words(world: World) -> dict[str, Any]:
    """What cannot be derived: the path of a field, beginning with its RPC, and what stands there."""
    person = world.customer
    layout = seat_map_pb2.SeatMapLayout(
        zones=[seat_map_pb2.PriceZone(zone="Z")],
        seats=[seat_map_pb2.Seat(id="1", section="S", row="A", number="1", zone="Z")],
    )
    return {
        "JoinQueue.parent": world.queue,
        "HandleProviderWebhook.provider": payment_pb2.Payment.STRIPE,
        "HandleProviderWebhook.body": _EVENT,
        "HandleProviderWebhook.headers": {SIGNATURE_HEADER: sign(_EVENT, WEBHOOK_SECRET, clock.now())},
        "SignUp.email": f"{unique('somebody').replace(' ', '')}@example.com",
        "SignUp.password": PASSWORD,
        "LogIn.email": person.email,
        "LogIn.password": PASSWORD,
        "RefreshToken.refresh_token": person.refresh,
        "LogOut.refresh_token": person.refresh,
        "ChangePassword.current_password": PASSWORD,
        "ChangePassword.new_password": "quite another secret",
        "UpdateUser.user.email": "",
        "SetUserRole.role": auth_pb2.ROLE_STAFF,
        "CreateApiKey.api_key.role": auth_pb2.ROLE_KIOSK,
        "ExchangeApiKey.api_key": world.key,
        "RotateApiKey.api_key": world.key,
        "CreateWebhookEndpoint.webhook_endpoint.uri": RECEIVER,
        "UpdateWebhookEndpoint.webhook_endpoint.uri": RECEIVER,
        "CreateSeatMap.seat_map.layout": layout,
        "ImportSeatMap.format": seat_map_pb2.ImportSeatMapRequest.ROWLOCK,
        "ImportSeatMap.document": _document(),
        "CreatePerformance.performance.start_time": in_days(9),
        "UpdatePerformance.performance.start_time": in_days(31),
        "CreateTicketType.ticket_type.price": euros(100),
        "UpdateTicketType.ticket_type.price": euros(100),
        "BlockSeats.seats": ["Stalls-E-1"],
        "CreateAllocation.allocation.owner": "The band",
        "CreateAllocation.allocation.seats": ["Stalls-E-4"],
        "UpdateAllocation.allocation.owner": "The band",
        "UpdateAllocation.update_mask": FieldMask(paths=["owner"]),
        "OpenShift.shift.till": unique("Till"),
        "OpenShift.shift.opening_cash": euros(100),
        "CloseShift.counted_cash": euros(100),
        "UnblockSeats.seats": ["Stalls-E-1"],
        "CreateBooking.seats": [booking_pb2.SeatClaim(seat="Stalls-E-2")],
        "UpdateBooking.booking.note": "Aisle, please",
        "AddSeats.seats": [booking_pb2.SeatClaim(seat="Stalls-E-3")],
        "RemoveSeats.seats": [world.seat],
        "ConfirmBooking.method": booking_pb2.Booking.CASH,
        "CheckInTicket.performance": world.names[TICKET].partition("/bookings/")[0],
        "CheckInTicket.name": world.names[TICKET],
        "UndoCheckIn.name": world.used,
        "UndoCheckIn.reason": "The wrong button",
        "UploadOfflineScans.device": "door-1",
        "UploadOfflineScans.scans": [_scan()],
        "CreatePayment.parent": world.names[BOOKING],
        "CreatePayment.payment.provider": payment_pb2.Payment.SIMULATOR,
        "SimulatePayment.outcome": payment_pb2.SimulatePaymentRequest.APPROVE,
        "RefundTickets.name": world.names[TICKET].partition("/tickets/")[0],
        "RefundTickets.tickets": [world.names[TICKET]],
        "ResendTickets.name": world.names[TICKET].partition("/tickets/")[0],
        "PayOutCash.name": world.owed,
        "GetCancellationProgress.name": world.cancelled,
        "RefundPayment.name": world.paid,
        "RefundPayment.amount": euros(100),
        "RefundPayment.reason": "the heating failed",
        "ListRefunds.parent": world.paid,
        "SettleRefund.name": world.refused,
        "SettleRefund.method": payment_pb2.Refund.BANK_TRANSFER,
        "SettleRefund.reference": "SEPA 4711",
        "SettleRefund.reason": "the card was closed",
        "ResolvePayment.name": world.doubtful,
        "ResolvePayment.resolution": payment_pb2.Payment.NOT_OURS,
        "ResolvePayment.reason": "the provider's support said so",
        "SubmitInquiry.inquiry.sender_name": "Ada",
        "SubmitInquiry.inquiry.sender_email": person.email,
        "SubmitInquiry.inquiry.subject": "Wheelchairs",
        "SubmitInquiry.inquiry.message": "Is there a ramp?",
        "AnswerInquiry.answer": "There is.",
        "CreateSocialLink.social_link.uri": "https://example.com/house",
        "UpdateSocialLink.social_link.uri": "https://example.com/theatre",
        "SendNotification.performance": world.names["rowlock.dev/Performance"],
        "SendNotification.subject": "Doors open earlier",
        "SendNotification.body": "At 18:00.",
        # Of one kind, so that what was asked has always the same words.
        "ListStaffActions.method": "EventService.CreateCategory",
        "RetryProviderWebhooks.names": [world.names["rowlock.dev/ProviderWebhook"]],
        "RetryNotifications.names": [world.names["rowlock.dev/Notification"]],
        "VerifyEmail.code": world.codes[CodePurpose.VERIFY_EMAIL],
        "ConfirmPasswordReset.code": world.codes[CodePurpose.RESET_PASSWORD],
        "ConfirmPasswordReset.new_password": "quite another secret",
        "ResendVerification.email": person.email,
        "RequestPasswordReset.email": person.email,
    }
