"""The books: what money moved, for what, between which accounts. Rows are added and never changed.

The database holds to that by itself: a check that the legs of an entry sum to zero, and triggers that refuse UPDATE,
DELETE and TRUNCATE. Both are made by the migration. The view ``book_legs`` has one row a leg.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, Integer, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber
from server.states import EntryKind, Provider


class BookEntry(Base):
    """One movement: two accounts or more, and what each gained, in minor units of one currency, in sum nothing.

    The key is what moved the money, so a movement cannot be entered twice: the payment, the refund or the booking,
    and, where one booking can be a source more than once, the booking's version after it as ``number``.
    """

    __tablename__ = "book_entries"

    performance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[EntryKind] = mapped_column(EnumNumber(EntryKind), primary_key=True, autoincrement=False)
    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, default=0, server_default="0")
    booking_id: Mapped[UUID]
    accounts: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    amounts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    currency: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("sum_of_legs(amounts) = 0", name="legs_sum_to_zero"),
        CheckConstraint(
            "cardinality(amounts) >= 2 AND cardinality(accounts) = cardinality(amounts)"
            " AND array_position(accounts, NULL) IS NULL AND array_position(amounts, NULL) IS NULL"
            " AND 0 <> ALL (amounts)",
            name="legs",
        ),
        Index("ix_book_entries_time", "time"),
        # Returns whose cash is to be fetched.
        Index("ix_book_entries_cash_due", "time", "source_id", postgresql_where="kind = 5 AND accounts[2] = 32"),
    )


class RefundPace(Base):
    """When the next refund may be asked of a provider, so that all workers together keep to its rate."""

    __tablename__ = "refund_paces"

    provider: Mapped[Provider] = mapped_column(EnumNumber(Provider), primary_key=True, autoincrement=False)
    free_time: Mapped[datetime]
