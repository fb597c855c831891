"""The SQL of ``payments``: each function is one statement, however many rows it is about.

But for ``lock_payment`` and ``lock_abandoned``, rows come as objects that belong to no session: they are changed by
``payment_rules`` and written back here, all together, instead of one by one as a session would.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, TextualSelect, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.accounts import RequestResult
from server.db.models.base import Base
from server.db.models.catalogue import Performance
from server.db.models.inventory import Booking
from server.db.models.payments import Payment
from server.db.models.simulator import SimulatorScript
from server.domain.payment_rules import CUSTOMERS_MOVE
from server.payments.simulator import CAPTURE
from server.states import BookingState, PerformanceState, SimulatedOutcome

_NAMED: Final = "unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[])) AS w(performance_id, id)"


def _columns(model: type[Base], alias: str, rest: str) -> TextualSelect:
    """A query of whole rows, by the names of their columns."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - as every model has one
    names = ", ".join(f"{alias}.{column.name}" for column in table.c)
    return text(f"SELECT {names} {rest}").columns(*table.c)


_LOCK_BOOKINGS: Final = _columns(
    Booking,
    "b",
    f"FROM {_NAMED} JOIN bookings b ON b.performance_id = w.performance_id AND b.id = w.id "
    "ORDER BY b.performance_id, b.id FOR NO KEY UPDATE OF b",
)
_LOCK_PAYMENTS: Final = _columns(
    Payment,
    "p",
    f"FROM {_NAMED} JOIN payments p ON p.performance_id = w.performance_id AND p.booking_id = w.id "
    "WHERE p.state IN (1, 2, 3, 7) OR p.id = ANY(CAST(:named AS uuid[])) "
    "ORDER BY p.performance_id, p.id FOR NO KEY UPDATE OF p",
)
_LOCK_NAMED: Final = _columns(
    Payment,
    "p",
    f"FROM {_NAMED} JOIN payments p ON p.performance_id = w.performance_id AND p.id = w.id "
    "ORDER BY p.performance_id, p.id FOR NO KEY UPDATE OF p",
)
_FACTS: Final = text(
    "SELECT clock_timestamp(), r.scope, r.request_id, r.fingerprint, r.answer "
    "FROM (VALUES (1)) one LEFT JOIN (unnest(CAST(:scopes AS text[]), CAST(:ids AS text[])) AS w(scope, request_id) "
    "JOIN request_results r ON r.scope = w.scope AND r.request_id = w.request_id) ON true"
)
_UPDATE: Final = text(
    "UPDATE payments p SET state = w.state, capture_time = w.capture_time, next_attempt_time = w.next_attempt_time, "
    "attempt_count = w.attempt_count, error_reason = w.error_reason, update_time = w.update_time, "
    "complete_time = w.complete_time, compare_after_time = w.compare_after_time "
    "FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[]), CAST(:states AS smallint[]), "
    "CAST(:captures AS timestamptz[]), CAST(:next AS timestamptz[]), CAST(:attempts AS int[]), "
    "CAST(:reasons AS text[]), CAST(:updates AS timestamptz[]), CAST(:completes AS timestamptz[]), "
    "CAST(:compares AS timestamptz[])) AS w(performance_id, id, state, capture_time, next_attempt_time, "
    "attempt_count, error_reason, update_time, complete_time, compare_after_time) "
    "WHERE p.performance_id = w.performance_id AND p.id = w.id"
)
_WRITE_CREATED: Final = text(
    "UPDATE payments p SET state = w.state, next_attempt_time = w.next_attempt_time, attempt_count = w.attempt_count, "
    "provider_reference = w.reference, approval_uri = w.approval_uri, client_secret = w.client_secret, "
    "update_time = w.update_time "
    "FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[]), CAST(:states AS smallint[]), "
    "CAST(:next AS timestamptz[]), CAST(:attempts AS int[]), CAST(:references AS text[]), CAST(:uris AS text[]), "
    "CAST(:secrets AS text[]), CAST(:updates AS timestamptz[])) AS w(performance_id, id, state, next_attempt_time, "
    "attempt_count, reference, approval_uri, client_secret, update_time) "
    "WHERE p.performance_id = w.performance_id AND p.id = w.id"
)
_UPDATE_BOOKINGS: Final = text(
    "UPDATE bookings b SET payment_id = w.payment_id, version = w.version, update_time = w.update_time "
    "FROM unnest(CAST(:performances AS bigint[]), CAST(:ids AS uuid[]), CAST(:payments AS uuid[]), "
    "CAST(:versions AS int[]), CAST(:updates AS timestamptz[])) "
    "AS w(performance_id, id, payment_id, version, update_time) "
    "WHERE b.performance_id = w.performance_id AND b.id = w.id"
)


def lock_bookings(session: Session, keys: Sequence[tuple[int, UUID]]) -> dict[tuple[int, UUID], Booking]:
    """Bookings by (performance, id), locked in this order, which ``keys`` are in."""
    rows = session.execute(_LOCK_BOOKINGS, _named(keys)).mappings()
    return {(row["performance_id"], row["id"]): Booking(**row) for row in rows}


def lock_payments(
    session: Session, bookings: Sequence[tuple[int, UUID]], named: Collection[UUID]
) -> dict[tuple[int, UUID], Payment]:
    """The payments of locked bookings that are not over, and those that are ``named``; locked in order."""
    values = _named(bookings) | {"named": [str(payment_id) for payment_id in named]}
    rows = session.execute(_LOCK_PAYMENTS, values).mappings()
    return {(row["performance_id"], row["id"]): Payment(**row) for row in rows}


def lock_payment(session: Session, performance_id: int, payment_id: UUID) -> Payment | None:
    """A payment's row in the session, locked; lock its booking first."""
    return session.get(Payment, (performance_id, payment_id), with_for_update={"key_share": True})


def read_facts(
    session: Session, requests: Sequence[tuple[str, str]]
) -> tuple[datetime, dict[tuple[str, str], tuple[bytes, bytes]]]:
    """The time, and what requests, by (scope, id), were answered before: (fingerprint, answer). Read after locking."""
    rows = session.execute(
        _FACTS, {"scopes": [scope for scope, _ in requests], "ids": [request_id for _, request_id in requests]}
    ).all()
    answers = {(row[1], row[2]): (bytes(row[3]), bytes(row[4])) for row in rows if row[1] is not None}
    return rows[0][0], answers


def performance_states(session: Session, ids: Collection[int]) -> dict[int, PerformanceState]:
    """Performances' states by id."""
    rows = session.execute(select(Performance.id, Performance.state).where(Performance.id.in_(ids)))
    return {row[0]: row[1] for row in rows}


def insert_new(session: Session, payments: Sequence[Payment]) -> None:
    """Insert new payments."""
    if payments:
        names = [column.name for column in Payment.__table__.c]
        session.execute(
            insert(Payment.__table__),  # type: ignore[arg-type]
            [{name: getattr(payment, name) for name in names} for payment in payments],
        )


def update(session: Session, payments: Sequence[Payment]) -> None:
    """Write changed payments back."""
    if payments:
        values = _named([(payment.performance_id, payment.id) for payment in payments]) | {
            "states": [int(payment.state) for payment in payments],
            "captures": [payment.capture_time for payment in payments],
            "next": [payment.next_attempt_time for payment in payments],
            "attempts": [payment.attempt_count for payment in payments],
            "reasons": [payment.error_reason for payment in payments],
            "updates": [payment.update_time for payment in payments],
            "completes": [payment.complete_time for payment in payments],
            "compares": [payment.compare_after_time for payment in payments],
        }
        session.execute(_UPDATE, values)


def lock_named(session: Session, keys: Sequence[tuple[int, UUID]]) -> dict[tuple[int, UUID], Payment]:
    """Payments by (performance, id), locked in this order, which ``keys`` are in; without their bookings."""
    rows = session.execute(_LOCK_NAMED, _named(keys)).mappings()
    return {(row["performance_id"], row["id"]): Payment(**row) for row in rows}


def write_created(session: Session, payments: Sequence[Payment]) -> None:
    """Write down what the provider calls payments, and how the customer approves them."""
    values = _named([(payment.performance_id, payment.id) for payment in payments]) | {
        "states": [int(payment.state) for payment in payments],
        "next": [payment.next_attempt_time for payment in payments],
        "attempts": [payment.attempt_count for payment in payments],
        "references": [payment.provider_reference for payment in payments],
        "uris": [payment.approval_uri for payment in payments],
        "secrets": [payment.client_secret for payment in payments],
        "updates": [payment.update_time for payment in payments],
    }
    session.execute(_WRITE_CREATED, values)


def update_bookings(session: Session, bookings: Sequence[Booking]) -> None:
    """Write down which payments bookings wait for."""
    if bookings:
        values = _named([(booking.performance_id, booking.id) for booking in bookings]) | {
            "payments": [None if booking.payment_id is None else str(booking.payment_id) for booking in bookings],
            "versions": [booking.version for booking in bookings],
            "updates": [booking.update_time for booking in bookings],
        }
        session.execute(_UPDATE_BOOKINGS, values)


def write_scripts(session: Session, scripts: Mapping[UUID, SimulatedOutcome]) -> None:
    """Say how the simulator is to answer when the money of these payments is taken."""
    if scripts:
        rows = [{"payment_id": one, "call": CAPTURE, "outcome": outcome} for one, outcome in scripts.items()]
        new = postgresql.insert(SimulatorScript).values(rows)
        session.execute(
            new.on_conflict_do_update(index_elements=["payment_id", "call"], set_={"outcome": new.excluded.outcome})
        )


def remember(session: Session, answers: Sequence[tuple[tuple[str, str], bytes, bytes]]) -> None:
    """Store the answers to requests: ((scope, request id), fingerprint, answer)."""
    if answers:
        session.execute(
            insert(RequestResult.__table__),  # type: ignore[arg-type]
            [
                {"scope": scope, "request_id": request_id, "fingerprint": fingerprint, "answer": answer}
                for (scope, request_id), fingerprint, answer in sorted(answers)
            ],
        )


def lock_abandoned(session: Session, limit: int) -> tuple[datetime, Sequence[Payment]]:
    """The time, and locked payments of bookings that are over, for which the customer would have the next move here."""
    abandoned = session.scalars(
        select(Payment)
        .join(Booking, (Booking.performance_id == Payment.performance_id) & (Booking.id == Payment.booking_id))
        .where(
            Payment.state.in_(CUSTOMERS_MOVE),
            Booking.state != BookingState.HELD,
            Payment.approval_uri.is_(None),
            Payment.client_secret.is_(None),
        )
        .limit(limit)
        .with_for_update(of=Payment, skip_locked=True)
    ).all()
    return database_now(session), abandoned


def _named(keys: Sequence[tuple[int, UUID]]) -> dict[str, Any]:
    return {"performances": [one for one, _ in keys], "ids": [str(one) for _, one in keys]}
