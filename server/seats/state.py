"""The working copy of what a batch has locked and read, and what a command does to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from server.seats.booking import Booking
from server.seats.commands import UNLIMITED, Block, Command, Release
from server.seats.rules import SaleRules
from server.states import AllocationState, PaymentState, QueueEntryState, SeatState

Place = tuple[int, int]
"""(performance, place): how the batch names a seat."""


class RulesOutdatedError(Exception):
    """The sale rules in memory are not the newest: nothing may be decided by them, neither granted nor refused."""


@dataclass(frozen=True, slots=True)
class SeatRow:
    """One locked row of ``seats``."""

    state: SeatState
    booking_id: UUID | None = None
    allocation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """One locked row of ``allocations``."""

    state: AllocationState
    release_time: datetime
    version: int


FREE = SeatRow(SeatState.AVAILABLE)
BLOCKED = SeatRow(SeatState.BLOCKED)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """What a batch has to know of a payment that it locked: for which booking it is, and how far it is."""

    booking_id: UUID
    state: PaymentState
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class AdmissionRow:
    """What a batch has to know of a queue entry that it locked: whose admission it is, and whether it can be used."""

    customer_id: UUID
    state: QueueEntryState
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request_id was answered the first time."""

    fingerprint: bytes
    booking: Booking | None


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """``places`` more (or fewer) for ``key``, never above ``ceiling``."""

    key: str
    places: int
    ceiling: int = UNLIMITED


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command does: the booking before and after, the seats it sets, the quotas it moves.

    ``then`` is a second decision that is part of it: the sale to the booking that follows this one.
    """

    command: Command
    before: Booking | None = None
    after: Booking | None = None
    seats: tuple[tuple[int, SeatRow], ...] = ()
    quotas: tuple[QuotaChange, ...] = ()
    then: "Decision | None" = None
    admission: UUID | None = None
    """The queue entry whose admission it uses up."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The command was carried out before: this is the answer it got."""

    booking: Booking | None


@dataclass(slots=True)
class State:
    """The working copy of everything that a batch has locked or read."""

    now: datetime
    rules: dict[int, SaleRules] = field(default_factory=dict)
    seats: dict[Place, SeatRow] = field(default_factory=dict)
    bookings: dict[tuple[int, UUID], Booking] = field(default_factory=dict)
    quotas: dict[tuple[int, str], int] = field(default_factory=dict)
    answers: dict[tuple[int, UUID, str], Answered] = field(default_factory=dict)
    payments: dict[tuple[int, UUID], PaymentRow] = field(default_factory=dict)
    allocations: dict[tuple[int, UUID], AllocationRow] = field(default_factory=dict)
    admissions: dict[tuple[int, UUID], AdmissionRow] = field(default_factory=dict)
    checked_in: frozenset[Place] = frozenset()
    """Places, among those of the bookings to be cancelled or returned, whose ticket has let somebody in."""
    locked: Mapping[Place, SeatRow] = field(default_factory=dict)
    """The seats as they were when the batch locked them."""

    def apply(self, decision: Decision) -> None:
        """Carry ``decision`` over, so that the next command sees its effects."""
        performance_id = decision.command.performance_id
        if decision.after is not None:
            self.bookings[performance_id, decision.after.id] = decision.after
        for place, row in decision.seats:
            self.seats[performance_id, place] = row
        for change in decision.quotas:
            key = (performance_id, change.key)
            self.quotas[key] = self.quotas.get(key, 0) + change.places
        if decision.admission is not None:
            entry = (performance_id, decision.admission)
            self.admissions[entry] = replace(self.admissions[entry], state=QueueEntryState.USED)
        command = decision.command
        if isinstance(command, Block) and command.aside is not None:
            made = AllocationRow(AllocationState.LIVE, command.aside.release_time, 1)
            self.allocations[performance_id, command.action_id] = made
        if isinstance(command, Release):
            named = (performance_id, command.allocation_id)
            self.allocations[named] = replace(self.allocations[named], state=AllocationState.RELEASED)
        if command.request is not None and command.actor_id is not None:
            self.answers[performance_id, command.actor_id, command.request.request_id] = Answered(
                command.request.fingerprint, decision.after
            )


def customer_key(customer_id: UUID) -> str:
    """Quota key of all places of one customer."""
    return f"c{customer_id.hex}"


def customer_type_key(customer_id: UUID, ticket_type_id: int) -> str:
    """Quota key of one customer's places of one ticket type."""
    return f"c{customer_id.hex}:{ticket_type_id}"


def type_key(ticket_type_id: int) -> str:
    """Quota key of all places of one ticket type."""
    return f"t{ticket_type_id}"
