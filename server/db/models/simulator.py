"""The books of the simulated payment provider: another company's tables, as it were.

Nothing but ``server.payments.simulator`` and the tests read or write them, in transactions that are not ours; but for
the script, which is how somebody who tries Rowlock tells the other company what to do.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import SimulatedOrder, SimulatedOutcome


class SimulatorOrder(Base):
    """What the simulator knows of one payment; ``payment_id`` is the idempotency key that it was made with."""

    __tablename__ = "simulator_orders"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(Text, unique=True)
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    state: Mapped[SimulatedOrder] = mapped_column(EnumNumber(SimulatedOrder))
    decline_reason: Mapped[str | None] = mapped_column(Text)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    capture_time: Mapped[datetime | None]


class SimulatorRefund(Base):
    """Money that the simulator gave back; ``refund_id`` is the idempotency key that it was asked with."""

    __tablename__ = "simulator_refunds"

    refund_id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(index=True)
    reference: Mapped[str] = mapped_column(Text)
    amount: Mapped[int]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class SimulatorScript(Base):
    """How the next call about a payment is to end, instead of by chance. A time-out is used up by one call."""

    __tablename__ = "simulator_scripts"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    call: Mapped[str] = mapped_column(Text, primary_key=True)
    outcome: Mapped[SimulatedOutcome] = mapped_column(EnumNumber(SimulatedOutcome))
