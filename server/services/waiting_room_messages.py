"""Waiting rooms and places in line as callers see them."""

from datetime import datetime, timedelta
from uuid import UUID

from rowlock.v1 import waiting_room_pb2 as pb
from server import resources
from server.domain.etags import etag_of
from server.domain.waiting_room import RoomView
from server.domain.waiting_room_answers import Joined
from server.domain.waiting_room_entries import Entry, join_time
from server.services.wire import duration, timestamp
from server.states import LineOrder, QueueEntryState
from server.waiting_room.estimate import admission_time, wait_until
from server.waiting_room.order import commitment
from server.waiting_room.tickets import AdmissionToken, EntryTicket, QueueTickets
from server.waiting_room.watching import Standing


def room_message(room: RoomView, now: datetime) -> pb.WaitingRoom:
    """A waiting room."""
    drawn = room.order is LineOrder.DRAW
    return pb.WaitingRoom(
        name=resources.waiting_room(room.performance_id),
        enabled=room.enabled,
        admit_count=room.terms.admit_count,
        admit_interval=duration(room.terms.admit_interval),
        admission_duration=duration(room.terms.admission_duration),
        shopping_limit=room.terms.shopping_limit,
        order=pb.WaitingRoom.Order.ValueType(room.order),
        open_time=timestamp(room.open_time),
        waiting_count=room.waiting_count,
        shopping_count=room.shopping_count,
        next_admit_time=timestamp(room.next_admission(now)),
        etag=etag_of(room.version),
        update_time=timestamp(room.update_time),
        draw_commitment=commitment(room.seed) if drawn else "",
        draw_seed=room.seed.hex() if drawn and not room.draws_at(now) else "",
    )


def waiting_message(
    performance_id: int, entry_id: UUID, customer_id: UUID, position: int, wait: timedelta | None
) -> pb.QueueEntry:
    """Somebody who waits; ``position`` 0: for the draw."""
    return pb.QueueEntry(
        name=resources.queue_entry(performance_id, entry_id),
        customer=resources.user(customer_id),
        state=pb.QueueEntry.WAITING,
        position=position,
        estimated_wait=duration(wait),
        join_time=timestamp(join_time(entry_id)),
    )


def joined_message(joined: Joined) -> pb.QueueEntry:
    """The answer to whoever came just now, and stands where nobody need look it up."""
    entry = joined.entry
    return waiting_message(entry.performance_id, entry.id, entry.customer_id, joined.position or 0, joined.wait)


def entry_ticket(entry: Entry, tickets: QueueTickets) -> str:
    """The place in line as its customer carries it."""
    return tickets.entry(EntryTicket(entry.performance_id, entry.id, entry.customer_id, entry.place, entry.early))


def entry_message(standing: Standing, now: datetime, tickets: QueueTickets, *, own: bool) -> pb.QueueEntry:
    """A place in line.

    Args:
        standing: the entry and where it stands.
        now: the time, by which its wait is told.
        tickets: sign what the customer carries.
        own: whether its customer asks; nobody else gets what admits.
    """
    entry = standing.entry
    admitted = entry.state is QueueEntryState.ADMITTED
    if entry.state is QueueEntryState.WAITING:
        wait = expected_wait(standing.position, standing.room, now)
        return waiting_message(entry.performance_id, entry.id, entry.customer_id, standing.position, wait)
    message = pb.QueueEntry(
        name=resources.queue_entry(entry.performance_id, entry.id),
        customer=resources.user(entry.customer_id),
        state=pb.QueueEntry.State.ValueType(entry.state),
        admission_expire_time=timestamp(entry.admission_expire_time if admitted else None),
        booking="" if entry.booking_id is None else resources.booking(entry.performance_id, entry.booking_id),
        join_time=timestamp(entry.join_time),
    )
    if admitted and own and entry.admission_expire_time is not None:
        token = AdmissionToken(entry.performance_id, entry.id, entry.customer_id)
        message.admission_token = tickets.admission(token, entry.admission_expire_time)
    return message


def expected_wait(position: int, room: RoomView, now: datetime) -> timedelta | None:
    """How long whoever stands at ``position`` is likely to wait still; None: nobody can tell."""
    if not room.enabled:
        return None
    time = admission_time(position, room.per_cycle, room.terms, room.cycle, now=now, opening=room.opening)
    return wait_until(time, now)
