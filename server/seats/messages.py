"""What customers are told of the ledger's own transitions: decided here, written with them in the batch's transaction.

Pure. A message belongs to the transition and not to the command, so a hold that a claim ends on its way tells its
customer as one that the sweeper ends. Nobody is told what they just did themselves, unless they will want it in
writing: letting go of a hold makes no mail, returning tickets does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from server.domain.notifications import is_bulk, message_id
from server.seats import arrays
from server.seats.booking import Booking
from server.seats.commands import Cancel, Command, Return
from server.seats.state import Decision, State
from server.states import BookingState, ConfirmedBy, NotificationKind


@dataclass(frozen=True, slots=True)
class Message:
    """One message about a booking; ``occasion`` makes its id, so that each is told once."""

    kind: NotificationKind
    booking: Booking
    occasion: str
    reason: str = ""

    @property
    def id(self) -> UUID:
        """The same for the same occasion of the same booking."""
        return message_id(self.booking.performance_id, f"{self.occasion}/{self.booking.id}")


def messages(state: State, decisions: Sequence[Decision]) -> Iterator[Message]:
    """What the decisions of a batch have to say."""
    for decision in decisions:
        after, before = decision.after, decision.before
        if after is None or after.state is (BookingState.HELD if before is None else before.state):
            continue
        match after.state:
            case BookingState.CONFIRMED:
                if after.confirmed_by is ConfirmedBy.PROVIDER or not _own(decision.command, after):
                    yield Message(NotificationKind.BOOKING_CONFIRMED, after, "confirmed")
            case BookingState.EXPIRED:
                if after.places:
                    yield Message(NotificationKind.HOLD_EXPIRED, after, "expired")
            case BookingState.CANCELLED:
                yield from _cancelled(state, decision.command, before, after)


def columns(told: Sequence[Message]) -> tuple[object, ...]:
    """Columns of ``INSERT_NOTIFICATIONS``, after the time."""
    return (
        arrays.numbers(message.booking.performance_id for message in told),
        arrays.uuids(message.id for message in told),
        arrays.numbers(message.kind for message in told),
        arrays.uuids(message.booking.customer_id for message in told),
        arrays.uuids(message.booking.id for message in told),
        arrays.texts(message.reason for message in told),
        [is_bulk(message.kind) for message in told],
    )


def _cancelled(state: State, command: Command, before: Booking | None, after: Booking) -> Iterator[Message]:
    """One message, however a booking of a cancelled performance ends: it says both."""
    reason = command.reason if isinstance(command, Cancel | Return) and not _own(command, after) else ""
    if state.rules[after.performance_id].cancelled:
        yield Message(NotificationKind.PERFORMANCE_CANCELLED, after, "cancelled")
    elif not _own(command, after) or (before is not None and before.state is BookingState.CONFIRMED):
        yield Message(NotificationKind.BOOKING_CANCELLED, after, "cancelled", reason)


def _own(command: Command, booking: Booking) -> bool:
    """Whether the customer acts, rather than staff or the system."""
    return command.actor_id == booking.customer_id
