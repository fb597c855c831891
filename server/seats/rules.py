"""What may be sold of one performance, to whom and for how much, as one immutable value.

The ledger keeps it in memory per ``inventories.rules_version`` and checks that version in the last statement of
every batch. Whoever changes anything that is read here calls ``touch_rules`` in the same transaction; so a batch
that decided by outdated rules does not commit, and reading the rules costs no statement on the hot path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.db.models.catalogue import Event, Performance, TicketType
from server.db.models.inventory import Inventory
from server.db.models.waiting_room import WaitingRoom
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.states import EventState, PerformanceState


@dataclass(frozen=True, slots=True)
class TicketTypeRule:
    """A ticket type: ``price`` in minor units of ``currency``; no ``zones`` means every zone."""

    id: int
    price: int
    currency: str
    zones: frozenset[str]
    quantity: int | None
    sale_start_time: datetime | None
    sale_end_time: datetime | None
    customer_limit: int | None

    def sells(self, zone: str, now: datetime) -> bool:
        """Whether a place of ``zone`` can be bought with it at ``now``."""
        return self.covers(zone) and self.is_on_sale(now)

    def covers(self, zone: str) -> bool:
        """Whether it is valid for places of ``zone``."""
        return not self.zones or zone in self.zones

    def is_on_sale(self, now: datetime) -> bool:
        """Whether ``now`` lies in its own sale window; the performance's window applies besides."""
        return (self.sale_start_time is None or self.sale_start_time <= now) and (
            self.sale_end_time is None or now < self.sale_end_time
        )


@dataclass(frozen=True, slots=True)
class SaleRules:
    """Everything that decides a claim, but the seats themselves. Ticket types are in their order of position."""

    performance_id: int
    version: int
    on_sale: bool
    sale_start_time: datetime
    sale_end_time: datetime
    refund_deadline: datetime
    customer_limit: int
    hold_duration: timedelta
    max_hold_time: timedelta
    ticket_types: Mapping[int, TicketTypeRule]
    hall: Hall
    cancelled: bool = False
    waiting_room: bool = False
    """Whether a claim needs an admission."""


def load_rules(
    session: Session,
    performance_id: int,
    halls: Halls,
    max_hold_time: timedelta,
) -> SaleRules | None:
    """Read the rules of a performance, or None where it does not exist.

    Args:
        session: any transaction; the version is read first, so rules may be newer than it, never older.
        performance_id: the performance.
        halls: where the hall is taken from.
        max_hold_time: the longest time that one booking may be held, extensions included.
    """
    version = rules_version(session, performance_id)
    row = session.execute(
        select(Performance, Event.state)
        .join(Event, Event.id == Performance.event_id)
        .where(Performance.id == performance_id)
    ).one_or_none()
    if version is None or row is None:
        return None
    performance, event_state = row
    types = session.scalars(
        select(TicketType)
        .where(TicketType.performance_id == performance_id)
        .order_by(TicketType.position, TicketType.id)
    )
    return SaleRules(
        performance_id=performance_id,
        version=version,
        on_sale=event_state is EventState.PUBLISHED,
        cancelled=performance.state is PerformanceState.CANCELLED or event_state is EventState.CANCELLED,
        sale_start_time=performance.sale_start_time,
        sale_end_time=performance.sale_end_time,
        refund_deadline=performance.refund_deadline,
        customer_limit=performance.customer_limit,
        hold_duration=performance.hold_duration,
        max_hold_time=max_hold_time,
        ticket_types={kind.id: _rule(kind) for kind in types},
        hall=halls.get(session, performance.seat_map_id, performance.seat_map_version),
        waiting_room=bool(
            session.scalar(select(WaitingRoom.enabled).where(WaitingRoom.performance_id == performance_id))
        ),
    )


def rules_version(session: Session, performance_id: int) -> int | None:
    """The version of a performance's rules; None: there is no such performance."""
    return session.scalar(select(Inventory.rules_version).where(Inventory.performance_id == performance_id))


def touch_rules(session: Session, performance_id: int) -> None:
    """Make every batch that decided by the rules until now start again. Call it before changing them.

    It waits for the batches that are committing, and they wait for this transaction.
    """
    session.execute(
        update(Inventory)
        .where(Inventory.performance_id == performance_id)
        .values(rules_version=Inventory.rules_version + 1)
    )


def touch_rules_of_event(session: Session, event_id: int) -> None:
    """``touch_rules`` for every performance of an event, in the order in which batches lock inventories."""
    locks = (
        select(Inventory.performance_id)
        .where(Inventory.performance_id.in_(select(Performance.id).where(Performance.event_id == event_id)))
        .order_by(Inventory.performance_id)
        .with_for_update(key_share=True)
    )
    session.execute(
        update(Inventory)
        .where(Inventory.performance_id.in_(session.scalars(locks).all()))
        .values(rules_version=Inventory.rules_version + 1)
        .execution_options(synchronize_session=False)
    )


def _rule(kind: TicketType) -> TicketTypeRule:
    return TicketTypeRule(
        id=kind.id,
        price=kind.price,
        currency=kind.currency,
        zones=frozenset(kind.zones),
        quantity=kind.quantity,
        sale_start_time=kind.sale_start_time,
        sale_end_time=kind.sale_end_time,
        customer_limit=kind.customer_limit,
    )
