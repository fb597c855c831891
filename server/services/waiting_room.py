"""WaitingRoomService: customers stand in line, and learn where.

Who asks for a place that waits is answered from memory, and the first time with the help of Redis: nothing of it
touches PostgreSQL, however many ask. What neither knows is read; see ``server.waiting_room``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc.aio
from sqlalchemy.orm import Session

from rowlock.v1 import waiting_room_pb2 as pb
from rowlock.v1 import waiting_room_pb2_grpc
from rowlock.v1.stream_pb2 import Heartbeat, Reconnect
from server import clock, resources
from server.db.engine import Database
from server.domain import bookings, waiting_room, waiting_room_entries
from server.domain.waiting_room import USUAL, RoomValues, RoomView
from server.domain.waiting_room_answers import Join, RequestMark
from server.domain.waiting_room_entries import Entry
from server.domain.waiting_room_leaving import leave
from server.errors import InvalidArgument, NotFound, ResourceExhausted
from server.interceptors.access import require_scope
from server.interceptors.authentication import Caller, caller, optional_caller
from server.interceptors.rate_limit import LocalBuckets
from server.services.customers import Customers, Deed
from server.services.field_mask import apply, paths_of
from server.services.fingerprints import fingerprint
from server.services.mutation import once
from server.services.staff_recording import record_of
from server.services.standing import STAFF, owner_of
from server.services.stream_end import StreamEnd
from server.services.waiting_room_messages import (
    entry_message,
    entry_ticket,
    expected_wait,
    joined_message,
    room_message,
    waiting_message,
)
from server.services.wire import length_in, time_in
from server.states import LineOrder, QueueEntryState
from server.waiting_room.cycle import Terms
from server.waiting_room.index import LineIndex
from server.waiting_room.joining import Joiner
from server.waiting_room.lines import SETTLE, Lines
from server.waiting_room.positions import Positions
from server.waiting_room.rooms import Rooms
from server.waiting_room.tickets import EntryTicket, QueueTickets
from server.waiting_room.watching import QueueWatch, Standing

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_WRITABLE: Final = (
    "enabled",
    "admit_count",
    "admit_interval",
    "admission_duration",
    "shopping_limit",
    "order",
    "open_time",
)
_SYNC_PATIENCE: Final = 1.0
"""Seconds that whoever leaves waits for Redis to know it; it will know anyway."""


@dataclass(frozen=True, slots=True)
class QueueParts:
    """What a process has for its waiting rooms."""

    rooms: Rooms
    index: LineIndex
    lines: Lines
    positions: Positions
    joiner: Joiner
    watch: QueueWatch
    tickets: QueueTickets

    async def close(self) -> None:
        """Let joins under way end, and stop what is done beside the calls."""
        await asyncio.gather(self.joiner.close(), self.watch.close(), self.rooms.close(), self.lines.close())


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """What an installation decides; ``heartbeat`` in seconds, ``joins`` None: any number."""

    require_verified_email: bool = False
    heartbeat: float = 15.0
    joins: LocalBuckets | None = None


class WaitingRoomService(waiting_room_pb2_grpc.WaitingRoomServiceServicer):
    """The servicer.

    Args:
        database: where waiting rooms are.
        parts: what the process has for them.
        stream_end: ends streams.
        policy: what the installation decides.
    """

    def __init__(self, database: Database, parts: QueueParts, stream_end: StreamEnd, policy: QueuePolicy) -> None:
        self._database = database
        self._rooms = parts.rooms
        self._index = parts.index
        self._positions = parts.positions
        self._joiner = parts.joiner
        self._watch = parts.watch
        self._tickets = parts.tickets
        self._stream_end = stream_end
        self._policy = policy
        self._customers = Customers(database, Deed.JOIN, require_verified_email=policy.require_verified_email)

    async def JoinQueue(self, request: pb.JoinQueueRequest, context: Context) -> pb.QueueEntry:
        """Take a place in line, or get back the one that the customer has."""
        who = caller()
        performance_id = resources.parse_performance(request.parent, "parent")
        room = await self._rooms.view(performance_id)
        await self._require_scope(who, performance_id)
        self._require_rate(who)
        customer_id = await self._customers.named(who, request.customer)
        ticket = self._ticket(request.entry_token, performance_id, customer_id)
        now, own = clock.now(), customer_id == who.user_id
        joined = await self._joiner.join(
            Join(
                performance_id,
                customer_id,
                ticket,
                RequestMark(who.scope, request.request_id, fingerprint(request)) if request.request_id else None,
                lambda position: expected_wait(position, room, now),
                record_of(request),
            )
        )
        if joined.position is None:
            entry, room = joined.entry, await self._rooms.view(performance_id, fresh=True)
            await settled(entry)
            standing = Standing(entry, await self._position(entry, room), room)
            answer = entry_message(standing, clock.now(), self._tickets, own=own)
        else:
            self._positions.remember(joined.entry)
            answer = joined_message(joined)
        if own:
            answer.entry_token = entry_ticket(joined.entry, self._tickets)
        return answer

    async def GetQueueEntry(self, request: pb.GetQueueEntryRequest, context: Context) -> pb.QueueEntry:
        """Read a place in line."""
        who = caller()
        performance_id, entry_id = resources.parse_queue_entry(request.name)
        if who.scopes:
            await self._require_scope(who, performance_id)
        member = entry_id.bytes + who.user_id.bytes
        room = self._rooms.at_hand(performance_id) or await self._rooms.view(performance_id)
        position = self._positions.at_hand(performance_id, member)
        if position is None:
            position = await self._positions.find(performance_id, member)
        if position is not None:
            now = clock.now()
            if room.draws_at(now):
                position = 0
            return waiting_message(performance_id, entry_id, who.user_id, position, expected_wait(position, room, now))
        standing = await self._standing(who, performance_id, entry_id)
        return entry_message(standing, clock.now(), self._tickets, own=standing.entry.customer_id == who.user_id)

    async def WatchQueueEntry(
        self, request: pb.WatchQueueEntryRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueueEntryResponse]:
        """Stream a place in line: as it is, then after each change."""
        who = caller()
        performance_id, entry_id = resources.parse_queue_entry(request.name)
        await self._require_scope(who, performance_id)
        standing = await self._standing(who, performance_id, entry_id)
        own = standing.entry.customer_id == who.user_id
        with self._watch.watching(standing) as watcher:
            async with self._stream_end.of(who) as end:
                yield self._shown(standing, own=own)
                while standing.entry.state in {QueueEntryState.WAITING, QueueEntryState.ADMITTED}:
                    change = asyncio.ensure_future(watcher.change())
                    waiting: set[asyncio.Future[Any]] = {change, end}
                    try:
                        await asyncio.wait(waiting, timeout=self._policy.heartbeat, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        change.cancel()
                    if change.done():
                        standing = change.result()
                        await settled(standing.entry)
                        yield self._shown(standing, own=own)
                    elif end.done():
                        yield pb.WatchQueueEntryResponse(reconnect=Reconnect(reason=end.result()))
                        return
                    else:
                        yield pb.WatchQueueEntryResponse(heartbeat=Heartbeat())
                yield pb.WatchQueueEntryResponse(reconnect=Reconnect(reason=Reconnect.FINISHED))

    async def LeaveQueue(self, request: pb.LeaveQueueRequest, context: Context) -> pb.QueueEntry:
        """Give a place in line up."""
        who = caller()
        performance_id, entry_id = resources.parse_queue_entry(request.name)
        await self._require_scope(who, performance_id)
        room = await self._rooms.view(performance_id)

        def work(session: Session) -> pb.QueueEntry:
            entry = leave(session, performance_id, entry_id, owner_of(who))
            return entry_message(Standing(entry, 0, room), clock.now(), self._tickets, own=False)

        answer = await once(self._database, request, pb.QueueEntry, work, scope=who.scope)
        # What was acknowledged is seen by the next read, whichever process answers it.
        await asyncio.gather(asyncio.sleep(SETTLE), self._told_to_redis(room))
        return answer

    async def GetWaitingRoom(self, request: pb.GetWaitingRoomRequest, context: Context) -> pb.WaitingRoom:
        """Read a waiting room."""
        performance_id = resources.parse_waiting_room(request.name)
        known = optional_caller()
        staff = known is not None and known.role in STAFF
        # Anybody may ask, and thousands do: those who ask at the same moment share one reading.
        room = await self._rooms.view(performance_id, fresh=True)
        if room.draft and not staff:
            raise NotFound.of(resources.performance(performance_id))
        return room_message(room, clock.now())

    async def UpdateWaitingRoom(self, request: pb.UpdateWaitingRoomRequest, context: Context) -> pb.WaitingRoom:
        """Change a waiting room."""
        new = request.waiting_room
        performance_id = resources.parse_waiting_room(new.name, "waiting_room.name")
        paths = paths_of(request.update_mask, new, _WRITABLE)

        def work(session: Session) -> pb.WaitingRoom:
            row = waiting_room.lock(session, performance_id, new.etag)
            wanted = room_message(waiting_room.read(session, performance_id), clock.now())
            apply(paths, new, wanted)
            waiting_room.update(session, row, _values(wanted))
            return room_message(waiting_room.read(session, performance_id), clock.now())

        answer = await once(self._database, request, pb.WaitingRoom, work, scope=caller().scope)
        await asyncio.gather(asyncio.sleep(SETTLE), self._rooms.view(performance_id, fresh=True))
        return answer

    async def _told_to_redis(self, room: RoomView) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SYNC_PATIENCE):
                await self._index.sync(room.performance_id, room.line_id)

    async def _standing(self, who: Caller, performance_id: int, entry_id: UUID) -> Standing:
        """A place in line that the caller may see, as PostgreSQL knows it."""
        entry = await self._database.read(
            lambda session: waiting_room_entries.get(session, performance_id, entry_id, owner_of(who))
        )
        room = await self._rooms.view(performance_id)
        await settled(entry)
        return Standing(entry, await self._position(entry, room), room)

    async def _position(self, entry: Entry, room: RoomView) -> int:
        """Where an entry stands that PostgreSQL says waits; 0: it does not, or the draw is to come."""
        if entry.state is not QueueEntryState.WAITING or room.draws_at(clock.now()):
            return 0
        return await self._positions.of_entry(entry)

    def _shown(self, standing: Standing, *, own: bool) -> pb.WatchQueueEntryResponse:
        return pb.WatchQueueEntryResponse(queue_entry=entry_message(standing, clock.now(), self._tickets, own=own))

    def _ticket(self, text: str, performance_id: int, customer_id: UUID) -> EntryTicket | None:
        """The ticket of an earlier place; None: there was none.

        Raises:
            InvalidArgument: it is forged, or of somebody else, or for another performance.
        """
        if not text:
            return None
        ticket = self._tickets.read_entry(text)
        if ticket is None or (ticket.performance_id, ticket.customer_id) != (performance_id, customer_id):
            raise InvalidArgument.of("entry_token", "is no ticket of this customer for this performance")
        return ticket

    def _require_rate(self, who: Caller) -> None:
        """Return if the caller has not joined too often lately.

        Raises:
            ResourceExhausted: RATE_LIMITED.
        """
        if self._policy.joins is None or who.role in STAFF:
            return
        if wait := self._policy.joins.wait(who.key_id or who.user_id):
            raise ResourceExhausted(
                "RATE_LIMITED", "too many calls from this account; come back later", retry_after=wait, limit="joins"
            )

    async def _require_scope(self, who: Caller, performance_id: int) -> None:
        if who.scopes:
            names = await self._database.read(lambda session: bookings.names_covering(session, performance_id))
            require_scope(who, names)


async def settled(entry: Entry) -> None:
    """Wait, if somebody was admitted just now, until no process takes him for one who waits; see ``lines``."""
    if entry.state is QueueEntryState.ADMITTED and entry.admit_time is not None:
        age = (clock.now() - entry.admit_time).total_seconds()
        await asyncio.sleep(min(max(SETTLE - age, 0.0), SETTLE))


def _values(room: pb.WaitingRoom) -> RoomValues:
    return RoomValues(
        enabled=room.enabled,
        terms=Terms(
            admit_count=room.admit_count or USUAL.admit_count,
            admit_interval=length_in(room, "admit_interval") or USUAL.admit_interval,
            admission_duration=length_in(room, "admission_duration") or USUAL.admission_duration,
            shopping_limit=room.shopping_limit if room.HasField("shopping_limit") else None,
        ),
        order=LineOrder(room.order) if room.order else LineOrder.FIRST_COME,
        open_time=time_in(room, "open_time"),
    )
