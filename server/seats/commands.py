"""What can be asked of the seat ledger. Every write to a seat is one of these.

Each command names one performance, so that a batch can be limited to one, and to one shard. What staff ask for carries
the ``record`` that is to be written with it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from server.db.ids import new_id
from server.domain.staff_records import StaffRecord
from server.seats.hall import Hall
from server.states import CommandKind, ConfirmedBy


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The caller's request_id, and the digest of the request that came with it the first time."""

    request_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """One named place. Without a ticket type: the first one on sale for the place's zone."""

    place: int
    ticket_type_id: int | None = None


@dataclass(frozen=True, slots=True)
class BestAvailable:
    """``quantity`` seats, as good and as close together as the hall still has; empty strings do not restrict."""

    quantity: int
    ticket_type_id: int | None = None
    zone: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class GeneralAdmission:
    """``quantity`` places of standing or free seating; an empty ``area`` means any."""

    quantity: int
    ticket_type_id: int | None = None
    area: str = ""


Want = BestAvailable | GeneralAdmission


@dataclass(frozen=True, slots=True)
class Admission:
    """The right to claim that comes with a queue entry. Without ``entry_id``: what was sent is no token of ours."""

    entry_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Claim places for a new booking, all or nothing. ``unlimited`` lifts the customer's limit (box office)."""

    kind = CommandKind.HOLD
    performance_id: int
    customer_id: UUID
    actor_id: UUID | None
    claims: tuple[Claim, ...] = ()
    wants: tuple[Want, ...] = ()
    unlimited: bool = False
    note: str = ""
    hall: Hall | None = None
    """The hall whose places are meant: if the performance has another one meanwhile, nothing is claimed."""
    allocation_id: UUID | None = None
    """Places set aside in this allocation may be claimed, too."""
    admission: Admission | None = None
    """What the waiting room gave the customer, where the performance has one; the box office needs none."""
    request: RequestKey | None = None
    record: StaffRecord | None = None
    booking_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnBooking:
    performance_id: int
    booking_id: UUID
    actor_id: UUID | None
    staff: bool = False
    """Whether the actor may act on anybody's booking; otherwise a stranger's booking is NOT_FOUND."""
    etag: str = ""
    """The state that the actor has seen; where it is not the current one, the command is refused. Empty: any."""
    request: RequestKey | None = None
    record: StaffRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(_OnBooking):
    """Claim further places for a held booking. The clock does not move."""

    kind = CommandKind.ADD
    claims: tuple[Claim, ...]
    hall: Hall | None = None
    """As in ``Hold``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(_OnBooking):
    """Give places of a held booking back. The clock does not move."""

    kind = CommandKind.REMOVE
    places: tuple[int, ...]
    hall: Hall | None = None
    """As in ``Hold``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend(_OnBooking):
    """Start the hold's clock anew, within the longest time that a booking may be held."""

    kind = CommandKind.EXTEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(_OnBooking):
    """Sell the held places: paid by ``payment_id``, or at the box office."""

    kind = CommandKind.CONFIRM
    confirmed_by: ConfirmedBy
    payment_id: UUID | None = None
    provider_reference: str | None = None
    capture_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(_OnBooking):
    """End a booking: a held one at once, a confirmed one with its refund asked for in the same transaction."""

    kind = CommandKind.CANCEL
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return(_OnBooking):
    """Give single places of a confirmed booking back, with the money for them; all of them: end the booking.

    ``ticket_ids`` are the tickets of the places, for the record.
    """

    kind = CommandKind.RETURN
    places: tuple[int, ...]
    ticket_ids: tuple[UUID, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire(_OnBooking):
    """End a booking whose hold has run out; a booking that has not is left alone."""

    kind = CommandKind.EXPIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack(_OnBooking):
    """Sell the places of a booking that has run out to its customer, under a new booking: its money came late."""

    kind = CommandKind.TAKE_BACK
    payment_id: UUID
    provider_reference: str | None = None
    capture_reference: str | None = None
    successor_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnPlaces:
    performance_id: int
    places: tuple[int, ...]
    actor_id: UUID | None
    reason: str = ""
    hall: Hall | None = None
    """As in ``Hold``."""
    request: RequestKey | None = None
    record: StaffRecord | None = None
    action_id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class SetAside:
    """For whom places are blocked, what colleagues should know, and until when."""

    owner: str
    note: str
    release_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(_OnPlaces):
    """Take places off sale. They must be free. With ``aside``: as an allocation, whose id is the ``action_id``."""

    kind = CommandKind.BLOCK
    aside: SetAside | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock(_OnPlaces):
    """Put blocked places back on sale, out of whatever allocation they are in."""

    kind = CommandKind.UNBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """End an allocation: what is blocked for it is free again, what is held or sold no longer returns to it."""

    kind = CommandKind.RELEASE
    performance_id: int
    allocation_id: UUID
    actor_id: UUID | None
    due: bool = False
    """Only if its time has come; a worker's reading may be old."""
    etag: str = ""
    request: RequestKey | None = None
    record: StaffRecord | None = None


Command = Hold | Add | Remove | Extend | Confirm | Cancel | Return | Expire | TakeBack | Block | Unblock | Release
OnBooking = Add | Remove | Extend | Confirm | Cancel | Return | Expire | TakeBack
UNLIMITED: Final = 2**31 - 1
