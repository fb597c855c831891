"""What a batch has to lock and to read before it can decide: pure functions of its commands.

Keys that are locked come in the order in which every process locks them.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from server.seats.admitting import needs_admission
from server.seats.booking import Booking
from server.seats.commands import Add, Block, Cancel, Command, Hold, Release, Return, TakeBack, Unblock
from server.seats.locking import BookingKey
from server.seats.rules import SaleRules
from server.seats.state import customer_key, customer_type_key, type_key
from server.states import BookingState


def bookings(commands: Sequence[Command], run_out: Collection[BookingKey]) -> list[BookingKey]:
    """The bookings that are named, and those that have run out and are to be ended besides."""
    named = {
        (command.performance_id, command.booking_id)
        for command in commands
        if not isinstance(command, Hold | Block | Unblock | Release)
    }
    return sorted(named.union(run_out))


def allocations(commands: Sequence[Command]) -> list[tuple[int, UUID]]:
    """The allocations that are to be released."""
    return sorted((c.performance_id, c.allocation_id) for c in commands if isinstance(c, Release))


def admissions(commands: Sequence[Command], rules: Mapping[int, SaleRules]) -> list[tuple[int, UUID]]:
    """Queue entries whose admissions are shown; where nobody asks for them they need not be looked at."""
    return sorted(
        {
            (command.performance_id, command.admission.entry_id)
            for command in commands
            if isinstance(command, Hold)
            and command.admission is not None
            and command.admission.entry_id is not None
            and (known := rules.get(command.performance_id)) is not None
            and needs_admission(known, command)
        }
    )


def tickets(commands: Sequence[Command], held: Mapping[BookingKey, Booking]) -> list[BookingKey]:
    """Confirmed bookings that are to be given up, or some places of which are: their tickets are to be locked."""
    keys = {(c.performance_id, c.booking_id) for c in commands if isinstance(c, Cancel | Return)}
    return sorted(key for key in keys if key in held and held[key].state is BookingState.CONFIRMED)


def payments(commands: Sequence[Command]) -> list[tuple[int, UUID]]:
    """The payments that came late: what becomes of each is decided under its lock."""
    return sorted({(c.performance_id, c.payment_id) for c in commands if isinstance(c, TakeBack)})


def quotas(
    commands: Sequence[Command], rules: Mapping[int, SaleRules], held: Mapping[BookingKey, Booking]
) -> set[tuple[int, str]]:
    """The limits that are looked at, by (performance, key)."""
    keys: set[tuple[int, str]] = set()
    for command in commands:
        known = rules.get(command.performance_id)
        if known is None or not isinstance(command, Hold | Add | TakeBack):
            continue
        if isinstance(command, Hold):
            customer = command.customer_id
        elif (booking := held.get((command.performance_id, command.booking_id))) is not None:
            customer = booking.customer_id
        else:
            continue
        keys.add((command.performance_id, customer_key(customer)))
        for kind in known.ticket_types.values():
            if kind.quantity is not None:
                keys.add((command.performance_id, type_key(kind.id)))
            if kind.customer_limit is not None:
                keys.add((command.performance_id, customer_type_key(customer, kind.id)))
    for booking in held.values():
        keys.update(
            (booking.performance_id, customer_type_key(booking.customer_id, kind)) for kind in booking.ticket_type_ids
        )
    return keys


def requests(commands: Sequence[Command]) -> list[tuple[int, UUID, str]]:
    """What may have been asked before, by (performance, actor, request_id)."""
    return [
        (command.performance_id, command.actor_id, command.request.request_id)
        for command in commands
        if command.request is not None and command.actor_id is not None
    ]


def places_named(commands: Sequence[Command]) -> dict[int, list[int]]:
    """What is asked for by name, by performance: in the order of arrival those commands may come first."""
    named: dict[int, list[int]] = {}
    for command in commands:
        if isinstance(command, Hold | Add):
            named.setdefault(command.performance_id, []).extend(claim.place for claim in command.claims)
    return named
