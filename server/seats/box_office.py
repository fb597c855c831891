"""What the decisions of a batch mean for the box office: allocations that begin or end, what tills have to count."""

from collections.abc import Sequence
from typing import Final

from server.db.ids import new_id
from server.seats import arrays
from server.seats import statements as sql
from server.seats.commands import Block, Confirm, Release
from server.seats.money import Script, returned
from server.seats.state import Decision, State
from server.states import ConfirmedBy, TillEntryKind

_SALES: Final = {ConfirmedBy.CASH: TillEntryKind.CASH_SALE, ConfirmedBy.COMP: TillEntryKind.COMP}


def add_allocations(script: Script, state: State, decisions: Sequence[Decision]) -> None:
    """Allocations that begin or end."""
    made = [(d.command, d.command.aside) for d in decisions if isinstance(d.command, Block) and d.command.aside]
    ended = [d.command for d in decisions if isinstance(d.command, Release)]
    if made:
        script.add(
            sql.INSERT_ALLOCATIONS,
            state.now,
            arrays.numbers(command.performance_id for command, _ in made),
            arrays.uuids(command.action_id for command, _ in made),
            arrays.texts(aside.owner for _, aside in made),
            arrays.texts(aside.note for _, aside in made),
            arrays.times(aside.release_time for _, aside in made),
            arrays.uuids(command.actor_id for command, _ in made),
        )
    if ended:
        keys = [(command.performance_id, command.allocation_id) for command in ended]
        script.add(sql.END_ALLOCATIONS, state.now, *arrays.booking_columns(keys))


def add_till_entries(script: Script, state: State, decisions: Sequence[Decision]) -> None:
    """Cash sales, comps and cash given back, for the open shifts of those who did it."""
    entries = [
        (entry, d.after, d.command.actor_id)
        for d in decisions
        if d.command.actor_id is not None and d.after is not None and (entry := _till_entry(d)) is not None
    ]
    if entries:
        script.add(
            sql.INSERT_TILL_ENTRIES,
            state.now,
            arrays.numbers(booking.performance_id for _, booking, _ in entries),
            arrays.uuids(new_id() for _ in entries),
            arrays.uuids(actor_id for _, _, actor_id in entries),
            arrays.uuids(booking.id for _, booking, _ in entries),
            arrays.numbers(kind for (kind, _, _), _, _ in entries),
            arrays.numbers(tickets for (_, tickets, _), _, _ in entries),
            arrays.numbers(amount for (_, _, amount), _, _ in entries),
            arrays.texts(booking.currency for _, booking, _ in entries),
            arrays.uuids(actor_id for _, _, actor_id in entries),
        )


def _till_entry(decision: Decision) -> tuple[TillEntryKind, int, int] | None:
    """What a till has to count of a decision, if anything: the tickets and their amount."""
    command, booking = decision.command, decision.after
    if isinstance(command, Confirm) and booking is not None:
        kind = _SALES.get(command.confirmed_by)
        return None if kind is None else (kind, len(booking.places), booking.total)
    given_up = returned(decision)
    if given_up is None or not given_up.over_the_counter or given_up.booking.confirmed_by is not ConfirmedBy.CASH:
        return None
    return TillEntryKind.CASH_REFUND, len(given_up.places), given_up.amount
