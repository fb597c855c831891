"""BookingService: the doors. Tickets are checked in with a connection and without, and staff see what came of it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rowlock.v1 import ticket_pb2 as pb
from server import resources
from server.domain import check_in_history, entry_lists
from server.domain.check_in_rules import Scan
from server.domain.check_ins import Recorded
from server.errors import Aborted, FieldFault, InvalidArgument
from server.interceptors.authentication import Caller, caller
from server.metrics import SCANS
from server.services.booking_parts import BookingServiceParts, Context
from server.services.check_in_messages import (
    check_in_message,
    entry_list_message,
    refusal,
    scanned_ticket_message,
)
from server.services.fingerprints import fingerprint
from server.services.mutation import once
from server.services.paging import page_of
from server.services.staff_recording import record_of
from server.services.standing import STAFF
from server.services.wire import time_in
from server.states import CheckInOutcome
from server.tickets.codes import NotATicketError, TicketCode, read_code, ticket_code

_ATTEMPTS: Final = 3
_UPLOADED: Final = pb.UploadOfflineScansResponse()
"""What is kept of an answer to an upload: its scans are known again by themselves."""


class DoorMethods(BookingServiceParts):
    """The RPCs of the doors."""

    async def CheckInTicket(self, request: pb.CheckInTicketRequest, context: Context) -> pb.Ticket:
        """Let the bearer of a ticket in, once."""
        who = caller()
        performance_id = resources.parse_performance(request.performance, "performance")
        hall = (await self._rules(performance_id)).hall
        await self._require_scope(who, performance_id)
        scan = self._scan(request, performance_id, who)
        recorded = await self._scans.record(scan)
        SCANS.labels(recorded.check_in.outcome.name.lower()).inc()
        if recorded.check_in.outcome is not CheckInOutcome.ADMITTED or recorded.ticket is None:
            raise refusal(recorded.check_in, scan, recorded.doors)
        ticket = recorded.ticket
        code = ""
        if who.role in STAFF:
            code = ticket_code(self._keys(), ticket.performance_id, ticket.id, ticket.nonce)
        return scanned_ticket_message(ticket, hall, code)

    async def UndoCheckIn(self, request: pb.UndoCheckInRequest, context: Context) -> pb.Ticket:
        """Take a check-in back."""
        who = caller()
        performance_id, booking_id, ticket_id = resources.parse_ticket(request.name)
        hall = (await self._rules(performance_id)).hall
        keys = self._keys()

        def work(session: Session) -> pb.Ticket:
            ticket = check_in_history.undo(
                session, performance_id, booking_id, ticket_id, reason=request.reason, actor_id=who.user_id
            )
            return scanned_ticket_message(ticket, hall, ticket_code(keys, performance_id, ticket_id, ticket.nonce))

        return await once(self._database, request, pb.Ticket, work, scope=who.scope)

    async def GetEntryList(self, request: pb.GetEntryListRequest, context: Context) -> pb.EntryList:
        """Sign the list of a performance's tickets, or of those that changed."""
        who = caller()
        performance_id = resources.parse_performance(request.performance, "performance")
        await self._require_scope(who, performance_id)
        keys = self._keys()
        return await self._database.read(
            lambda session: entry_list_message(
                entry_lists.entries(session, performance_id, request.since_revision), keys
            )
        )

    async def UploadOfflineScans(
        self, request: pb.UploadOfflineScansRequest, context: Context
    ) -> pb.UploadOfflineScansResponse:
        """Take over what a door scanned without a connection."""
        who = caller()
        performance_id = resources.parse_performance(request.performance, "performance")
        await self._rules(performance_id)
        await self._require_scope(who, performance_id)
        scans = self._offline_scans(request, performance_id, who)

        def work(session: Session) -> pb.UploadOfflineScansResponse:
            return _uploaded(self._in_order_of_time(session, scans))

        for _ in range(_ATTEMPTS):
            try:
                answer = await once(
                    self._database,
                    request,
                    pb.UploadOfflineScansResponse,
                    work,
                    scope=who.scope,
                    keep=lambda _: _UPLOADED,
                )
                return answer if answer.check_ins else await self._database.transaction(work)
            except IntegrityError:
                continue  # another process recorded one of these scans a moment earlier: it is there by now
        raise Aborted("CONTENDED", "the same scans are being uploaded; send them again")

    async def ListCheckIns(self, request: pb.ListCheckInsRequest, context: Context) -> pb.ListCheckInsResponse:
        """List scans, newest first."""
        performance_id = resources.parse_performance(request.parent, "parent")
        ticket_id = _listed_ticket(request, performance_id)
        page = page_of(request, UUID)
        found = await self._database.read(
            lambda session: check_in_history.list_check_ins(
                session,
                performance_id,
                outcome=CheckInOutcome(request.outcome) if request.outcome else None,
                ticket_id=ticket_id,
                only_conflicts=request.only_conflicts,
                after=None if page.after is None else page.after[0],
                limit=page.limit,
            )
        )
        shown, next_page_token = page.cut(found.check_ins, lambda row: (row.id,))
        return pb.ListCheckInsResponse(
            check_ins=map(check_in_message, shown), next_page_token=next_page_token, total_size=found.total
        )

    def _scan(self, request: pb.CheckInTicketRequest, performance_id: int, who: Caller) -> Scan:
        """What a door asks for now.

        Raises:
            InvalidArgument: TICKET_CODE_INVALID.
        """
        booking_id: UUID | None = None
        if request.WhichOneof("ticket") == "name":
            of_performance, booking_id, ticket_id = resources.parse_ticket(request.name)
            nonce = None
        else:
            code = self._read_code(request.code)
            of_performance, ticket_id, nonce = code.performance_id, code.ticket_id, code.nonce
        return Scan(
            performance_id=performance_id,
            ticket_id=ticket_id,
            ticket_performance_id=of_performance,
            booking_id=booking_id,
            nonce=nonce,
            place=request.place,
            actor_id=who.user_id,
            scope=who.scope if request.request_id else None,
            request_id=request.request_id or None,
            fingerprint=fingerprint(request),
            record=record_of(request),
        )

    def _offline_scans(self, request: pb.UploadOfflineScansRequest, performance_id: int, who: Caller) -> list[Scan]:
        scans = []
        for one in request.scans:
            try:
                code: TicketCode | None = read_code(self._keys(), one.code)
            except NotATicketError:
                code = None
            scans.append(
                Scan(
                    performance_id=performance_id,
                    ticket_id=None if code is None else code.ticket_id,
                    ticket_performance_id=performance_id if code is None else code.performance_id,
                    nonce=None if code is None else code.nonce,
                    place=one.place,
                    actor_id=who.user_id,
                    scope=f"devices/{request.device}",
                    request_id=one.scan_id,
                    fingerprint=fingerprint(one),
                    device=request.device,
                    offline_time=time_in(one, "scan_time"),
                    let_in=one.admitted,
                )
            )
        return scans

    def _in_order_of_time(self, session: Session, scans: Sequence[Scan]) -> list[Recorded]:
        """Record scans, the earliest first; returned in the order in which they were sent."""
        order = sorted(range(len(scans)), key=lambda n: (scans[n].offline_time, n))
        recorded = self._scans.record_together(session, [scans[n] for n in order])
        places = {sent: done for done, sent in enumerate(order)}
        return [recorded[places[n]] for n in range(len(scans))]

    def _read_code(self, text: str) -> TicketCode:
        try:
            return read_code(self._keys(), text)
        except NotATicketError as error:
            raise InvalidArgument(
                "TICKET_CODE_INVALID",
                f"this is no ticket code: {error}",
                fields=[FieldFault("code", str(error))],
            ) from None


def _uploaded(recorded: Sequence[Recorded]) -> pb.UploadOfflineScansResponse:
    return pb.UploadOfflineScansResponse(
        check_ins=[check_in_message(one.check_in) for one in recorded],
        conflict_count=sum(one.check_in.conflict for one in recorded),
    )


def _listed_ticket(request: pb.ListCheckInsRequest, performance_id: int) -> UUID | None:
    if not request.ticket:
        return None
    owner, _, ticket_id = resources.parse_ticket(request.ticket, "ticket")
    if owner != performance_id:
        raise InvalidArgument.of("ticket", "is a ticket of another performance")
    return ticket_id
