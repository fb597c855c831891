"""What became of a booking: its log, payments, refunds, cash, scans and what staff did, as one list by time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from server import resources
from server.db.models.inventory import Booking
from server.domain.rows import found
from server.states import BookingState, CheckInOutcome, PaymentState, RefundState

Cursor = tuple[datetime, int, str]


class EntryKind(IntEnum):
    """Where an entry is from; of entries of one moment, in this order."""

    BOOKING = 1
    PAYMENT = 2
    REFUND = 3
    CASH = 4
    CHECK_IN = 5
    STAFF_ACTION = 6


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened.

    Attributes:
        time: when.
        kind: where it is from.
        key: tells it from others of its time and kind.
        what: in a word or two.
        resource: the name of what it happened to.
        actor_id: who did it; None: nobody, or it is not known.
        actor_name: what the actor is called now; None: nobody, or the account is gone.
        from_state: the name of the state before; empty: there was none.
        to_state: the name of the state after; empty: it has none.
        amount: in minor units of ``currency``; None: it is not about money.
        currency: ISO 4217.
        places: how many the booking had after it; 0 for what is no change of the booking.
        detail: why or where; empty: nobody said.
        action_id: the record of it, where staff did it.
    """

    time: datetime
    kind: EntryKind
    key: str
    what: str
    resource: str
    actor_id: UUID | None
    actor_name: str | None
    from_state: str
    to_state: str
    amount: int | None
    currency: str
    places: int
    detail: str
    action_id: UUID | None


# What staff did at doors, with cash and by refunds is in lists of its own, and what went through the ledger is in its
# log: with the actor and the very time of the record.
_ENTRIES: Final = text("""
WITH paid AS (
    SELECT p.* FROM payments p
    WHERE p.performance_id = :performance AND p.booking_id IN (:booking, :replaces)
      AND (p.booking_id = :booking OR p.bought_booking_id = :booking)
), given AS (
    SELECT r.* FROM paid p JOIN refunds r ON r.performance_id = p.performance_id AND r.payment_id = p.id
), entries (time, kind, key, what, booking_id, payment_id, item_id, actor_id, from_state, to_state, amount, currency,
            places, detail, action_id) AS (
    SELECT l.time, 1, lpad(l.version::text, 10, '0'), l.command, l.subject_id, NULL::uuid, NULL::uuid, l.actor_id,
           l.from_state, l.to_state,
           (SELECT sum(price::bigint)::bigint FROM json_array_elements_text(l.answer -> 'prices') price),
           l.answer ->> 'currency', json_array_length(l.answer -> 'places'), s.request ->> 'reason', s.id
    FROM command_log l
    LEFT JOIN LATERAL (
        SELECT s.id, s.request FROM staff_actions s
        WHERE s.actor_id = l.actor_id AND s.action_time = l.time AND s.within @> ARRAY[:name] LIMIT 1
    ) s ON true
    WHERE l.performance_id = :performance AND l.subject_id = :booking
  UNION ALL
    SELECT create_time, 2, id || '/1', 'begun', booking_id, id, NULL, NULL, NULL, 1::smallint, amount, currency, 0,
           NULL, NULL
    FROM paid
  UNION ALL
    SELECT capture_time, 2, id || '/2', 'capture asked', booking_id, id, NULL, NULL, NULL, 3::smallint, amount,
           currency, 0, NULL, NULL
    FROM paid WHERE capture_time IS NOT NULL
  UNION ALL
    SELECT complete_time, 2, id || '/3', 'ended', booking_id, id, NULL, NULL, NULL, state, amount, currency, 0,
           error_reason, NULL
    FROM paid WHERE complete_time IS NOT NULL
  UNION ALL
    SELECT create_time, 3, id || '/1', 'asked', booking_id, payment_id, id, actor_id, NULL, 1::smallint, amount,
           currency, 0, reason, NULL
    FROM given
  UNION ALL
    SELECT complete_time, 3, id || '/2', '', booking_id, payment_id, id, NULL, NULL, state, amount, currency, 0,
           error_reason, NULL
    FROM given WHERE complete_time IS NOT NULL
  UNION ALL
    SELECT time, 4, number::text, 'paid out', booking_id, NULL, NULL, actor_id, NULL, NULL,
           (SELECT max(amount) FROM unnest(amounts) amount), currency, 0, NULL, NULL
    FROM book_entries WHERE performance_id = :performance AND kind = 6 AND source_id = :booking
  UNION ALL
    SELECT c.create_time, 5, c.id::text, '', t.booking_id, NULL, c.ticket_id, c.actor_id, NULL, c.outcome, NULL, NULL,
           0, concat_ws(', ', nullif(c.place, ''), nullif(c.reason, ''), CASE WHEN c.offline THEN 'offline' END), NULL
    FROM tickets t JOIN check_ins c ON c.performance_id = t.performance_id AND c.ticket_id = t.id
    WHERE t.performance_id = :performance AND t.booking_id = :booking
  UNION ALL
    SELECT s.action_time, 6, s.id::text, s.method, :booking, NULL, NULL, s.actor_id, NULL, NULL, NULL, NULL, 0,
           s.request ->> 'reason', s.id
    FROM staff_actions s
    WHERE s.within @> ARRAY[:name]
      AND s.method NOT IN ('BookingService.CheckInTicket', 'BookingService.UploadOfflineScans',
                           'BookingService.UndoCheckIn', 'BookingService.PayOutCash', 'PaymentService.RefundPayment')
      AND NOT EXISTS (
          SELECT FROM command_log l
          WHERE l.performance_id = :performance AND l.subject_id = :booking
            AND l.actor_id = s.actor_id AND l.time = s.action_time)
)
SELECT e.*, u.display_name AS actor_name
FROM entries e LEFT JOIN users u ON u.id = e.actor_id
WHERE CAST(:after_time AS timestamptz) IS NULL
   OR (e.time, e.kind, e.key) > (CAST(:after_time AS timestamptz), :after_kind, :after_key)
ORDER BY e.time, e.kind, e.key
LIMIT :limit
""")
_REFUND_ENDS: Final = {RefundState.SUCCEEDED: "done"}


def history(
    session: Session, performance_id: int, booking_id: UUID, after: Cursor | None, limit: int
) -> Sequence[HistoryEntry]:
    """What became of a booking, oldest first, behind ``after`` (time, kind, key).

    Raises:
        NotFound: there is no such booking.
    """
    name = resources.booking(performance_id, booking_id)
    booking = found(session.get(Booking, (performance_id, booking_id)), name)
    time, kind, key = after or (None, 0, "")
    rows = session.execute(
        _ENTRIES,
        {
            "performance": performance_id,
            "booking": booking_id,
            "replaces": booking.replaces,
            "name": name,
            "after_time": time,
            "after_kind": kind,
            "after_key": key,
            "limit": limit,
        },
    )
    return [_entry(performance_id, row) for row in rows]


def _entry(performance_id: int, row: Any) -> HistoryEntry:
    kind = EntryKind(row.kind)
    from_state, to_state, what = _words(kind, row)
    return HistoryEntry(
        time=row.time,
        kind=kind,
        key=row.key,
        what=what,
        resource=_resource(kind, performance_id, row),
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        from_state=from_state,
        to_state=to_state,
        amount=row.amount,
        currency=row.currency or "",
        places=row.places or 0,
        detail=row.detail or "",
        action_id=row.action_id,
    )


def _words(kind: EntryKind, row: Any) -> tuple[str, str, str]:
    """The states before and after by name, and what happened."""
    if kind is EntryKind.BOOKING:
        before = "" if row.from_state is None else BookingState(row.from_state).name
        return before, "" if row.to_state is None else BookingState(row.to_state).name, row.what
    if kind is EntryKind.PAYMENT:
        return "", PaymentState(row.to_state).name, row.what
    if kind is EntryKind.REFUND:
        state = RefundState(row.to_state)
        return "", state.name, row.what or _REFUND_ENDS.get(state, state.name.lower())
    if kind is EntryKind.CHECK_IN:
        return "", "", CheckInOutcome(row.to_state).name.lower().replace("_", " ")
    return "", "", row.what


def _resource(kind: EntryKind, performance_id: int, row: Any) -> str:
    if kind is EntryKind.PAYMENT:
        return resources.payment(performance_id, row.booking_id, row.payment_id)
    if kind is EntryKind.REFUND:
        return resources.refund(performance_id, row.booking_id, row.payment_id, row.item_id)
    if kind is EntryKind.CHECK_IN:
        return resources.ticket(performance_id, row.booking_id, row.item_id)
    return resources.booking(performance_id, row.booking_id)
