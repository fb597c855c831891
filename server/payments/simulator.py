"""A payment provider that moves no money: for trying, for testing, and for breaking in every way that real ones do.

It behaves as another company would. It has books of its own, written in transactions of its own, it honours
idempotency keys, and it can go silent before or after it did what it was asked. What a payment shall end as is
written in a script (``SimulatePayment``), or drawn once by chance.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.combining import Combined
from server.db.engine import Database
from server.db.models.simulator import SimulatorOrder, SimulatorRefund, SimulatorScript
from server.domain.book_lines import Direction
from server.payments.port import (
    Absent,
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentOrder,
    Refunded,
    Unknown,
)
from server.payments.simulator_statement import page
from server.payments.statements import Movement
from server.states import SimulatedOrder, SimulatedOutcome

CAPTURE: Final = "capture"
REFUND: Final = "refund"

_SILENT: Final = Unknown("the simulator did not answer")
_DECLINED: Final = "INSTRUMENT_DECLINED"

T = TypeVar("T")


class Simulator:
    """The provider.

    Args:
        database: where its books are.
        success_rate: share of captures that succeed when nothing was scripted.
        delay: how long it takes to answer.
    """

    def __init__(self, database: Database, *, success_rate: float, delay: timedelta) -> None:
        self._database = database
        # What is asked at once is entered in its books at once, with a few statements.
        self._creations: Combined[PaymentOrder, Created] = Combined(database, _open)
        self._captures: Combined[PaymentOrder, Captured | Declined | Unknown] = Combined(database, self._capture)
        self._success_rate = success_rate
        self._delay = delay.total_seconds()

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """Open an order; no approval is needed."""
        await self._think()
        return await self._creations(order)

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Unknown:
        """End an order as the script says, or by chance."""
        await self._think()
        return await self._captures(order)

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """Look the order up."""
        return await self._call(lambda session: _found(session.get(SimulatorOrder, order.payment_id)))

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """Close an order that is open."""
        return await self._call(lambda session: _cancel(session, order))

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """Give back what is left of the captured amount, if it is enough."""
        return await self._call(lambda session: _refund(session, order, refund_id, amount))

    async def find_refund(self, order: PaymentOrder, refund_id: UUID) -> Refunded | Declined | Absent | Unknown:
        """Look the refund up."""
        return await self._call(lambda session: _found_refund(session.get(SimulatorRefund, refund_id)))

    async def movements(self, since: datetime | None) -> AsyncIterator[Movement]:
        """What it took, then what it gave back."""
        for direction in Direction:
            last: tuple[datetime, UUID] | None = None
            while found := await self._page(direction, since, last):
                for movement in found:
                    yield movement
                    last = (movement.time, movement.key) if movement.key is not None else last

    async def _page(
        self, direction: Direction, since: datetime | None, last: tuple[datetime, UUID] | None
    ) -> Sequence[Movement]:
        return await self._database.read(lambda session: page(session, direction, since, last))

    async def _call(self, work: Callable[[Session], T]) -> T:
        await self._think()
        return await self._database.transaction(work)

    async def _think(self) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)

    def _capture(self, session: Session, orders: Sequence[PaymentOrder]) -> list[Captured | Declined | Unknown]:
        rows = _locked_all(session, orders)
        answers = [self._end(*rows.get(order.payment_id, (None, None))) for order in orders]
        _write_ended(session, list(rows.values()))
        return answers

    def _end(self, row: SimulatorOrder | None, part: SimulatorScript | None) -> Captured | Declined | Unknown:
        if row is None:
            return Declined("ORDER_NOT_FOUND")
        if row.state is not SimulatedOrder.OPEN:
            return _ended(row)
        outcome = _played(part)
        if outcome is SimulatedOutcome.TIMEOUT_BEFORE:
            return _SILENT
        if outcome is SimulatedOutcome.RANDOM:
            succeeds = random.random() < self._success_rate
            outcome = SimulatedOutcome.APPROVE if succeeds else SimulatedOutcome.DECLINE
        if outcome is SimulatedOutcome.DECLINE:
            row.state, row.decline_reason = SimulatedOrder.DECLINED, _DECLINED
            return Declined(_DECLINED)
        row.state = SimulatedOrder.CAPTURED
        return _SILENT if outcome is SimulatedOutcome.TIMEOUT_AFTER else _captured(row)


def script(session: Session, payment_id: UUID, call: str, outcome: SimulatedOutcome) -> None:
    """Say how the next ``call`` (CAPTURE or REFUND) about a payment is to end."""
    session.execute(
        insert(SimulatorScript)
        .values(payment_id=payment_id, call=call, outcome=outcome)
        .on_conflict_do_update(index_elements=["payment_id", "call"], set_={"outcome": outcome})
    )


def _open(session: Session, orders: Sequence[PaymentOrder]) -> list[Created]:
    rows = {
        order.payment_id: {
            "payment_id": order.payment_id,
            "reference": f"SIM-{secrets.token_hex(8)}",
            "amount": order.amount,
            "currency": order.currency,
            "state": SimulatedOrder.OPEN,
        }
        for order in orders
    }
    made = session.execute(
        insert(SimulatorOrder)
        .values([rows[key] for key in sorted(rows)])
        # An update that changes nothing, so that the reference of the first time is returned.
        .on_conflict_do_update(index_elements=["payment_id"], set_={"reference": SimulatorOrder.reference})
        .returning(SimulatorOrder.payment_id, SimulatorOrder.reference)
    )
    references = {row.payment_id: row.reference for row in made}
    return [Created(references[order.payment_id]) for order in orders]


def _locked_all(
    session: Session, orders: Sequence[PaymentOrder]
) -> dict[UUID, tuple[SimulatorOrder, SimulatorScript | None]]:
    """Orders, locked, and what the script says of their captures; as objects that belong to no session."""
    columns = SimulatorOrder.__table__.c
    rows = session.execute(
        select(*columns, SimulatorScript.outcome)
        .outerjoin(
            SimulatorScript,
            (SimulatorScript.payment_id == SimulatorOrder.payment_id) & (SimulatorScript.call == CAPTURE),
        )
        .where(SimulatorOrder.payment_id.in_([order.payment_id for order in orders]))
        .order_by(SimulatorOrder.payment_id)
        .with_for_update(of=SimulatorOrder)
    ).mappings()
    found: dict[UUID, tuple[SimulatorOrder, SimulatorScript | None]] = {}
    for row in rows:
        order = SimulatorOrder(**{column.name: row[column.name] for column in columns})
        outcome = row["outcome"]
        part = None if outcome is None else SimulatorScript(payment_id=order.payment_id, call=CAPTURE, outcome=outcome)
        found[order.payment_id] = order, part
    return found


_END: Final = text(
    "UPDATE simulator_orders o SET state = w.state, decline_reason = w.reason, "
    "capture_time = CASE WHEN w.state = 2 THEN coalesce(o.capture_time, clock_timestamp()) END "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS smallint[]), CAST(:reasons AS text[])) AS w(id, state, reason) "
    "WHERE o.payment_id = w.id"
)
_PLAYED: Final = text(
    "UPDATE simulator_scripts s SET outcome = w.outcome "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:outcomes AS smallint[])) AS w(id, outcome) "
    "WHERE s.payment_id = w.id AND s.call = 'capture'"
)


def _write_ended(session: Session, found: Sequence[tuple[SimulatorOrder, SimulatorScript | None]]) -> None:
    """Write orders and scripts back as they are now."""
    if not found:
        return
    orders, parts = [order for order, _ in found], [part for _, part in found if part is not None]
    session.execute(
        _END,
        {
            "ids": [str(order.payment_id) for order in orders],
            "states": [int(order.state) for order in orders],
            "reasons": [order.decline_reason for order in orders],
        },
    )
    if parts:
        session.execute(
            _PLAYED,
            {"ids": [str(part.payment_id) for part in parts], "outcomes": [int(part.outcome) for part in parts]},
        )


def _locked(session: Session, order: PaymentOrder, call: str) -> tuple[SimulatorOrder | None, SimulatorScript | None]:
    """The order, locked, and what the script says of this call."""
    found = session.execute(
        select(SimulatorOrder, SimulatorScript)
        .outerjoin(
            SimulatorScript,
            (SimulatorScript.payment_id == SimulatorOrder.payment_id) & (SimulatorScript.call == call),
        )
        .where(SimulatorOrder.payment_id == order.payment_id)
        .with_for_update(of=SimulatorOrder)
    ).one_or_none()
    return (None, None) if found is None else (found[0], found[1])


def _captured(row: SimulatorOrder) -> Captured:
    return Captured(row.reference, row.amount, row.currency, payment_id=row.payment_id)


def _ended(row: SimulatorOrder) -> Captured | Declined:
    if row.state is SimulatedOrder.CAPTURED:
        return _captured(row)
    return Declined(row.decline_reason or row.state.name)


def _found(row: SimulatorOrder | None) -> Open | Captured | Declined | Cancelled:
    if row is None or row.state is SimulatedOrder.CANCELLED:
        return Cancelled()
    return Open(row.reference) if row.state is SimulatedOrder.OPEN else _ended(row)


def _found_refund(row: SimulatorRefund | None) -> Refunded | Absent:
    return Absent() if row is None else Refunded(row.reference)


def _cancel(session: Session, order: PaymentOrder) -> Cancelled | Captured:
    row = session.get(SimulatorOrder, order.payment_id, with_for_update=True)
    if row is not None and row.state is SimulatedOrder.CAPTURED:
        return _captured(row)
    if row is not None and row.state is SimulatedOrder.OPEN:
        row.state = SimulatedOrder.CANCELLED
    return Cancelled()


def _played(part: SimulatorScript | None) -> SimulatedOutcome:
    """What the script says; a silence is said once."""
    if part is None:
        return SimulatedOutcome.RANDOM
    outcome = part.outcome
    if outcome in (SimulatedOutcome.TIMEOUT_BEFORE, SimulatedOutcome.TIMEOUT_AFTER):
        # What was asked for once is done when it is asked for again.
        part.outcome = SimulatedOutcome.APPROVE
    return outcome


def _refund(session: Session, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
    row, part = _locked(session, order, REFUND)
    if row is None or row.state is not SimulatedOrder.CAPTURED:
        return Declined("CAPTURE_NOT_FOUND")
    done = session.get(SimulatorRefund, refund_id)
    if done is not None:
        return Refunded(done.reference)
    given = session.scalar(
        select(func.coalesce(func.sum(SimulatorRefund.amount), 0)).where(SimulatorRefund.payment_id == row.payment_id)
    )
    if (given or 0) + amount > row.amount:
        return Declined("REFUND_EXCEEDS_CAPTURE")
    outcome = _played(part)
    if outcome is SimulatedOutcome.TIMEOUT_BEFORE:
        return _SILENT
    if outcome is SimulatedOutcome.DECLINE:
        return Declined("REFUND_REFUSED")
    reference = f"SIMR-{secrets.token_hex(8)}"
    session.add(SimulatorRefund(refund_id=refund_id, payment_id=row.payment_id, reference=reference, amount=amount))
    return _SILENT if outcome is SimulatedOutcome.TIMEOUT_AFTER else Refunded(reference)
