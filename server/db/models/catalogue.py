"""What is shown, where and when: categories, venues, seat maps, events, performances, ticket types."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.db.models.base import Base, EnumNumber, Timestamps
from server.states import EventState, PerformanceState


class Category(Timestamps, Base):
    """A kind of event: film, concert, match."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    display_name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="", server_default="")

    __table_args__ = (Index("uq_categories_display_name", func.lower(text("display_name")), unique=True),)


class Venue(Timestamps, Base):
    """A place."""

    __tablename__ = "venues"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    display_name: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text, default="", server_default="")
    time_zone: Mapped[str] = mapped_column(Text, default="UTC", server_default="UTC")
    description: Mapped[str] = mapped_column(Text, default="", server_default="")


class SeatMap(Timestamps, Base):
    """A drawing of a venue's seats; its versions never change once a performance uses them."""

    __tablename__ = "seat_maps"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    venue_id: Mapped[int] = mapped_column(ForeignKey(Venue.id), index=True)
    display_name: Mapped[str] = mapped_column(Text)
    current_version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")


class SeatMapVersion(Base):
    """One immutable version: the normalized document that ``server.seats.hall.Hall`` is made of.

    ``zones`` sums the document up, so that lists need not read it: name, color and place_count of each price zone.
    """

    __tablename__ = "seat_map_versions"

    seat_map_id: Mapped[int] = mapped_column(ForeignKey(SeatMap.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    place_count: Mapped[int] = mapped_column(Integer)
    zones: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB, deferred=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(Timestamps, Base):
    """What is shown. ``publish_time`` stays when a published event is cancelled: people may still read of it."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    category_id: Mapped[int | None] = mapped_column(ForeignKey(Category.id), index=True)
    image_uris: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    running_time: Mapped[timedelta | None] = mapped_column(Interval)
    state: Mapped[EventState] = mapped_column(EnumNumber(EventState), default=EventState.DRAFT, server_default="1")
    publish_time: Mapped[datetime | None]


class Performance(Timestamps, Base):
    """One dated instance of an event in one hall. Its inventory's numbers live in ``inventories``.

    ``wind_up_time`` is set while a cancelled performance has bookings to be ended: when to go on with them.
    ``cancelled_bookings`` is how many were live when it was cancelled.
    """

    __tablename__ = "performances"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id), index=True)
    venue_id: Mapped[int] = mapped_column(ForeignKey(Venue.id))
    hall: Mapped[str] = mapped_column(Text, default="", server_default="")
    seat_map_id: Mapped[int] = mapped_column(ForeignKey(SeatMap.id))
    seat_map_version: Mapped[int] = mapped_column(Integer)
    start_time: Mapped[datetime]
    end_time: Mapped[datetime | None]
    time_zone: Mapped[str] = mapped_column(Text)
    sale_start_time: Mapped[datetime]
    sale_end_time: Mapped[datetime]
    customer_limit: Mapped[int] = mapped_column(Integer)
    hold_duration: Mapped[timedelta] = mapped_column(Interval)
    refund_deadline: Mapped[datetime]
    state: Mapped[PerformanceState] = mapped_column(
        EnumNumber(PerformanceState), default=PerformanceState.SCHEDULED, server_default="1"
    )
    cancel_reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    cancel_time: Mapped[datetime | None]
    cancelled_bookings: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    wind_up_time: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("sale_start_time < sale_end_time", name="sale_window"),
        CheckConstraint("end_time IS NULL OR end_time > start_time", name="ends_after_start"),
        CheckConstraint("customer_limit > 0", name="customer_limit"),
        CheckConstraint("hold_duration > interval '0'", name="hold_duration"),
        Index(None, "start_time", "id"),
        Index(None, "venue_id", "start_time"),
        Index(None, "seat_map_id", "seat_map_version"),
        Index(None, "wind_up_time", postgresql_where=text("wind_up_time IS NOT NULL")),
    )


class TicketType(Timestamps, Base):
    """What a price buys. ``zones`` empty: every zone. ``quantity`` null: as many as there are places."""

    __tablename__ = "ticket_types"

    performance_id: Mapped[int] = mapped_column(ForeignKey(Performance.id, ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    display_name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    price: Mapped[int]
    currency: Mapped[str] = mapped_column(Text)
    zones: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    quantity: Mapped[int | None] = mapped_column(Integer)
    sale_start_time: Mapped[datetime | None]
    sale_end_time: Mapped[datetime | None]
    customer_limit: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    __table_args__ = (
        UniqueConstraint("performance_id", "display_name"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("customer_limit > 0", name="customer_limit"),
        CheckConstraint("sale_start_time < sale_end_time", name="sale_window"),
    )
