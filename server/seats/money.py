"""What the decisions of a batch mean for tickets and money: written with them, in the same round trip.

Returned places void their tickets, and what was paid for them is asked back at the provider, or goes out of the till.
Every movement is an entry of the books (see ``server.domain.books``); a payment's entry is written by the statement
that settles it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from server.db.ids import new_id
from server.seats import arrays
from server.seats import money_statements as money_sql
from server.seats.booking import Booking
from server.seats.commands import Cancel, Confirm, Return
from server.seats.state import Decision
from server.states import Account, BookingState, ConfirmedBy, EntryKind

_TILLS: Final = {ConfirmedBy.CASH: Account.CASH, ConfirmedBy.COMP: Account.COMPS}


class Script(Protocol):
    """Collects statements and their values."""

    def add(self, statement: str, *columns: object) -> None:
        """One more."""
        ...


@dataclass(frozen=True, slots=True)
class Returned:
    """Places of a confirmed booking that were given up: the booking as it was, what was asked, and the prices."""

    booking: Booking
    version: int
    command: Cancel | Return
    places: tuple[int, ...]
    amount: int

    @property
    def over_the_counter(self) -> bool:
        """Whether somebody at a till gives the money back at once."""
        return self.command.staff and self.command.actor_id is not None


@dataclass(frozen=True, slots=True)
class _BoxOfficeEntry:
    kind: EntryKind
    booking: Booking
    number: int
    debit: Account
    credit: Account
    amount: int
    actor_id: UUID | None


def returned(decision: Decision) -> Returned | None:
    """What a decision gives up of a confirmed booking; None: nothing."""
    command, before, after = decision.command, decision.before, decision.after
    if not isinstance(command, Cancel | Return) or before is None or after is None:
        return None
    if before.state is not BookingState.CONFIRMED:
        return None
    gone = set(before.places) if after.state is BookingState.CANCELLED else set(before.places).difference(after.places)
    given_up = [(place, price) for place, price in zip(before.places, before.prices, strict=True) if place in gone]
    places = tuple(place for place, _ in given_up)
    return Returned(before, after.version, command, places, sum(price for _, price in given_up))


def add_returns(script: Script, decisions: Sequence[Decision]) -> None:
    """Void the tickets of returned places, and ask for the money that a provider took for them."""
    all_returned = [one for decision in decisions if (one := returned(decision)) is not None]
    if not all_returned:
        return
    places = [(one.booking, place) for one in all_returned for place in one.places]
    script.add(
        money_sql.VOID_TICKETS,
        arrays.numbers(booking.performance_id for booking, _ in places),
        arrays.uuids(booking.id for booking, _ in places),
        arrays.numbers(place for _, place in places),
    )
    paid = [one for one in all_returned if one.booking.payment_id is not None]
    if not paid:
        return
    payments = (
        arrays.numbers(one.booking.performance_id for one in paid),
        arrays.uuids(one.booking.payment_id for one in paid),
    )
    script.add(money_sql.LOCK_PAID, *payments)
    script.add(
        money_sql.REQUEST_REFUNDS,
        *payments,
        arrays.uuids(new_id() for _ in paid),
        # A booking that ends gets back all that is left of its payment; single tickets what they cost.
        arrays.numbers(None if len(one.places) == len(one.booking.places) else one.amount for one in paid),
        arrays.texts(one.command.reason or _usual_reason(one.command) for one in paid),
        arrays.uuids(one.command.actor_id for one in paid),
        arrays.uuids(one.booking.id for one in paid),
        arrays.texts(arrays.uuids(one.command.ticket_ids if isinstance(one.command, Return) else ()) for one in paid),
    )


def add_box_office_entries(script: Script, decisions: Sequence[Decision]) -> None:
    """Enter what was sold and returned without a provider."""
    entries = [entry for decision in decisions for entry in _box_office(decision)]
    if entries:
        script.add(
            money_sql.INSERT_ENTRIES,
            arrays.numbers(entry.booking.performance_id for entry in entries),
            arrays.numbers(entry.kind for entry in entries),
            arrays.uuids(entry.booking.id for entry in entries),
            arrays.numbers(entry.number for entry in entries),
            arrays.numbers(entry.debit for entry in entries),
            arrays.numbers(entry.credit for entry in entries),
            arrays.numbers(entry.amount for entry in entries),
            arrays.texts(entry.booking.currency for entry in entries),
            arrays.uuids(entry.actor_id for entry in entries),
        )


def _box_office(decision: Decision) -> Iterator[_BoxOfficeEntry]:
    command, after = decision.command, decision.after
    if isinstance(command, Confirm) and after is not None and command.confirmed_by in _TILLS and after.total:
        till = _TILLS[command.confirmed_by]
        yield _BoxOfficeEntry(EntryKind.BOX_OFFICE_SALE, after, 0, till, Account.SALES, after.total, command.actor_id)
    one = returned(decision)
    if one is not None and one.amount and one.booking.confirmed_by in _TILLS:
        till = _TILLS[one.booking.confirmed_by]
        if till is Account.CASH and not one.over_the_counter:
            till = Account.CASH_DUE
        yield _BoxOfficeEntry(
            EntryKind.BOX_OFFICE_RETURN,
            one.booking,
            one.version,
            Account.SALES,
            till,
            one.amount,
            one.command.actor_id,
        )


def _usual_reason(command: Cancel | Return) -> str:
    return "tickets returned" if isinstance(command, Return) else "booking cancelled"
