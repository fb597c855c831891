"""What a claim needs where there is a waiting room: an admission of its own customer, unused and in time. Pure."""

from uuid import UUID

from server.errors import FailedPrecondition
from server.seats.commands import Hold
from server.seats.rules import SaleRules
from server.seats.state import State
from server.states import QueueEntryState


def needs_admission(rules: SaleRules, command: Hold) -> bool:
    """Whether a claim has to show an admission; whoever may exceed a customer's limit sells at the box office."""
    return rules.waiting_room and not command.unlimited


def used_admission(state: State, rules: SaleRules, command: Hold) -> UUID | None:
    """The queue entry whose admission the claim uses up; None: it needs none.

    Raises:
        FailedPrecondition: ADMISSION_REQUIRED, ADMISSION_INVALID, ADMISSION_EXPIRED or ADMISSION_USED.
    """
    if not needs_admission(rules, command):
        return None
    if command.admission is None:
        raise FailedPrecondition("ADMISSION_REQUIRED", "this performance has a waiting room: join it first")
    entry_id = command.admission.entry_id
    row = None if entry_id is None else state.admissions.get((command.performance_id, entry_id))
    if row is None or row.customer_id != command.customer_id:
        raise _invalid()
    if row.state is QueueEntryState.USED:
        raise FailedPrecondition("ADMISSION_USED", "this admission has served for a booking; join the queue again")
    if row.state is QueueEntryState.EXPIRED or (row.expire_time is not None and row.expire_time <= state.now):
        raise FailedPrecondition("ADMISSION_EXPIRED", "this admission has expired; join the queue again")
    if row.state is not QueueEntryState.ADMITTED:
        raise _invalid()
    return entry_id


def _invalid() -> FailedPrecondition:
    return FailedPrecondition("ADMISSION_INVALID", "this is no admission token for this customer and this performance")
