"""Categories, venues, events, performances and ticket types as callers see them."""

from google.type.money_pb2 import Money

from rowlock.v1 import category_pb2, event_pb2, performance_pb2, ticket_type_pb2, venue_pb2
from server import resources
from server.db.models.catalogue import Category, Venue
from server.db.models.inventory import Inventory
from server.domain.etags import etag_of
from server.domain.events import EventView
from server.domain.performances import PerformanceView
from server.domain.prices import Price
from server.domain.ticket_types import TicketTypeView
from server.services.wire import duration, money, timestamp


def category_message(category: Category) -> category_pb2.Category:
    """A category."""
    return category_pb2.Category(
        name=resources.category(category.id),
        display_name=category.display_name,
        description=category.description,
        etag=etag_of(category.version),
        create_time=timestamp(category.create_time),
        update_time=timestamp(category.update_time),
    )


def venue_message(venue: Venue) -> venue_pb2.Venue:
    """A venue."""
    return venue_pb2.Venue(
        name=resources.venue(venue.id),
        display_name=venue.display_name,
        address=venue.address,
        time_zone=venue.time_zone,
        description=venue.description,
        etag=etag_of(venue.version),
        create_time=timestamp(venue.create_time),
        update_time=timestamp(venue.update_time),
    )


def event_message(view: EventView) -> event_pb2.Event:
    """An event."""
    event = view.event
    return event_pb2.Event(
        name=resources.event(event.id),
        title=event.title,
        description=event.description,
        category="" if event.category_id is None else resources.category(event.category_id),
        image_uris=event.image_uris,
        running_time=duration(event.running_time),
        state=event_pb2.Event.State.ValueType(event.state),
        next_start_time=timestamp(view.next_start_time),
        lowest_price=_price(view.lowest_price),
        etag=etag_of(event.version),
        create_time=timestamp(event.create_time),
        update_time=timestamp(event.update_time),
    )


def performance_message(view: PerformanceView) -> performance_pb2.Performance:
    """A performance."""
    performance = view.performance
    return performance_pb2.Performance(
        name=resources.performance(performance.id),
        event=resources.event(performance.event_id),
        venue=resources.venue(performance.venue_id),
        hall=performance.hall,
        seat_map=resources.seat_map(performance.venue_id, performance.seat_map_id),
        seat_map_version=performance.seat_map_version,
        start_time=timestamp(performance.start_time),
        end_time=timestamp(performance.end_time),
        time_zone=performance.time_zone,
        sale_start_time=timestamp(performance.sale_start_time),
        sale_end_time=timestamp(performance.sale_end_time),
        customer_limit=performance.customer_limit,
        hold_duration=duration(performance.hold_duration),
        refund_deadline=timestamp(performance.refund_deadline),
        state=performance_pb2.Performance.State.ValueType(performance.state),
        counts=counts_message(view.inventory),
        revision=view.inventory.revision,
        event_title=view.event_title,
        venue_display_name=view.venue_display_name,
        lowest_price=_price(view.lowest_price),
        etag=etag_of(performance.version),
        create_time=timestamp(performance.create_time),
        update_time=timestamp(performance.update_time),
    )


def counts_message(inventory: Inventory) -> performance_pb2.SeatCounts:
    """How many places of a performance are in which state."""
    return performance_pb2.SeatCounts(
        total=inventory.total,
        available=inventory.available,
        held=inventory.held,
        sold=inventory.sold,
        blocked=inventory.blocked,
    )


def ticket_type_message(view: TicketTypeView) -> ticket_type_pb2.TicketType:
    """A ticket type."""
    kind = view.ticket_type
    return ticket_type_pb2.TicketType(
        name=resources.ticket_type(kind.performance_id, kind.id),
        display_name=kind.display_name,
        description=kind.description,
        price=money(kind.price, kind.currency),
        zones=kind.zones,
        quantity=kind.quantity,
        sale_start_time=timestamp(kind.sale_start_time),
        sale_end_time=timestamp(kind.sale_end_time),
        customer_limit=kind.customer_limit,
        position=kind.position,
        claimed=view.claimed,
        etag=etag_of(kind.version),
        create_time=timestamp(kind.create_time),
        update_time=timestamp(kind.update_time),
    )


def _price(price: Price | None) -> Money | None:
    return None if price is None else money(price.amount, price.currency)
