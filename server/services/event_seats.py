"""EventService: the places of a performance: drawn, listed, counted, blocked."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from rowlock.v1 import performance_pb2 as pb
from rowlock.v1 import seat_map_pb2
from server import resources
from server.db.engine import Database
from server.domain import availability, performances
from server.domain.availability import Availability, SeatFilter, SeatPage, TypeAvailability
from server.domain.performances import SaleDefaults
from server.domain.zone_counts import ZoneCounts
from server.errors import FailedPrecondition
from server.interceptors.authentication import caller
from server.seats.commands import Block, Unblock
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.services.catalogue_messages import counts_message
from server.services.event_parts import Context, EventServiceParts, by_staff, view_scope
from server.services.paging import Page, page_of
from server.services.seat_map_layout import area_messages, seat_message, seat_messages, zone_messages
from server.services.seat_names import places_of_performance, seat_not_free
from server.services.staff_recording import record_of
from server.services.standing import request_key
from server.services.wire import money
from server.states import SeatState

_MAX_SEATS: Final = 20_000
_DRAWINGS: Final = 64
"""How many pages of drawings are kept as bytes; one of 20,000 seats has about 1.5 MB."""

_Drawing = tuple[int, int, int, int]
"""Seat map, version, first index, index behind the last."""


class SeatMethods(EventServiceParts):
    """The RPCs of a performance's places."""

    def __init__(self, database: Database, ledger: Ledger, defaults: SaleDefaults, halls: Halls) -> None:
        super().__init__(database, ledger, defaults, halls)
        self._zone_counts = ZoneCounts()
        self._drawings: OrderedDict[_Drawing, bytes] = OrderedDict()

    async def GetPerformanceSeatMap(self, request: pb.GetPerformanceSeatMapRequest, context: Context) -> bytes:
        """Read the drawing of a performance's places. A version never changes, so its bytes are kept."""
        performance_id = resources.parse_performance(request.performance, "performance")
        staff = by_staff()
        page = _drawing_page(request)
        start = 0 if page.after is None else page.after[0] + 1

        def work(session: Session) -> tuple[bytes, int]:
            performance = performances.require_readable(session, performance_id, staff=staff)
            hall = self._halls.get(session, performance.seat_map_id, performance.seat_map_version)
            stop = min(start + page.size, len(hall))
            key = (performance.seat_map_id, performance.seat_map_version, start, stop)
            drawn = self._drawings.get(key)
            if drawn is None:
                name = resources.seat_map(performance.venue_id, performance.seat_map_id)
                drawn = _draw(name, performance.seat_map_version, hall, range(start, stop))
                self._drawings[key] = drawn
                while len(self._drawings) > _DRAWINGS:
                    self._drawings.popitem(last=False)
            return drawn, len(hall)

        drawn, places = await self._database.read(work)
        indexes = range(start, min(start + page.limit, places))
        _, next_page_token = page.cut(indexes, key=lambda index: (index,))
        # Two messages behind each other are one: the token is the only part that is the caller's own.
        return drawn + pb.GetPerformanceSeatMapResponse(next_page_token=next_page_token).SerializeToString()

    async def ListSeats(self, request: pb.ListSeatsRequest, context: Context) -> pb.ListSeatsResponse:
        """List places with their states and the ticket types that can buy them."""
        performance_id = resources.parse_performance(request.parent, "parent")
        staff = by_staff()
        page = page_of(request, int, scope=view_scope(staff=staff))
        chosen = SeatFilter(request.zone, request.section, SeatState(request.state) if request.state else None)
        listed = await self._database.read(
            lambda session: availability.seats(
                session,
                performance_id,
                chosen,
                staff=staff,
                after=None if page.after is None else page.after[0],
                limit=page.limit,
                halls=self._halls,
            )
        )
        shown, next_page_token = page.cut(listed.seats, key=lambda seat: (seat[0],))
        return pb.ListSeatsResponse(
            seats=_seats(performance_id, listed, shown),
            next_page_token=next_page_token,
            total_size=listed.total,
            revision=listed.revision,
        )

    async def GetAvailability(self, request: pb.GetAvailabilityRequest, context: Context) -> pb.GetAvailabilityResponse:
        """Count what is left, by price zone and ticket type."""
        performance_id = resources.parse_performance(request.performance, "performance")
        staff = by_staff()
        counted = await self._database.read(
            lambda session: availability.availability(
                session, performance_id, staff=staff, halls=self._halls, zone_counts=self._zone_counts
            )
        )
        return _availability(performance_id, counted)

    async def BlockSeats(self, request: pb.BlockSeatsRequest, context: Context) -> pb.BlockSeatsResponse:
        """Take free places out of the sale, all or none."""
        revision, counts = await self._carry_out(Block(**await self._named(request)))
        return pb.BlockSeatsResponse(revision=revision, counts=counts)

    async def UnblockSeats(self, request: pb.UnblockSeatsRequest, context: Context) -> pb.UnblockSeatsResponse:
        """Put blocked places back on sale, all or none."""
        revision, counts = await self._carry_out(Unblock(**await self._named(request)))
        return pb.UnblockSeatsResponse(revision=revision, counts=counts)

    async def _named(self, request: pb.BlockSeatsRequest | pb.UnblockSeatsRequest) -> dict[str, Any]:
        """What a command on named places carries."""
        who = caller()
        performance_id = resources.parse_performance(request.performance, "performance")
        places, hall = await places_of_performance(self._database, self._ledger, performance_id, request.seats)
        return {
            "performance_id": performance_id,
            "places": places,
            "actor_id": who.user_id,
            "reason": request.reason,
            "hall": hall,
            "request": request_key(request, who),
            "record": record_of(request),
        }

    async def _carry_out(self, command: Block | Unblock) -> tuple[int, pb.SeatCounts]:
        try:
            await self._ledger.execute(command)
        except FailedPrecondition as refusal:
            raise seat_not_free(refusal) from None
        view = await self._database.read(lambda session: performances.get(session, command.performance_id, staff=True))
        return view.inventory.revision, counts_message(view.inventory)


def _drawing_page(request: pb.GetPerformanceSeatMapRequest) -> Page:
    """The page that is asked for; a drawing has larger ones than other lists."""
    page = page_of(request, int)
    return Page(min(request.page_size or _MAX_SEATS, _MAX_SEATS), page.after, page.query)


def _draw(name: str, version: int, hall: Hall, indexes: range) -> bytes:
    return pb.GetPerformanceSeatMapResponse(
        seat_map=name,
        version=version,
        place_count=len(hall),
        width=hall.size[0],
        height=hall.size[1],
        zones=zone_messages(hall),
        areas=area_messages(hall) if indexes.start == 0 else (),
        seats=seat_messages(hall, indexes),
    ).SerializeToString()


def _seats(performance_id: int, listed: SeatPage, shown: Sequence[tuple[int, SeatState]]) -> list[pb.PerformanceSeat]:
    names = {
        zone: [resources.ticket_type(performance_id, kind) for kind in kinds]
        for zone, kinds in listed.ticket_type_ids.items()
    }
    places = listed.hall.places
    return [
        pb.PerformanceSeat(
            seat=seat_message(places[index]),
            state=seat_map_pb2.SeatState.ValueType(state),
            ticket_types=names[places[index].zone],
        )
        for index, state in shown
    ]


def _availability(performance_id: int, counted: Availability) -> pb.GetAvailabilityResponse:
    return pb.GetAvailabilityResponse(
        performance=resources.performance(performance_id),
        revision=counted.inventory.revision,
        counts=counts_message(counted.inventory),
        zones=[
            pb.GetAvailabilityResponse.Zone(zone=zone, counts=_zone_counts(counts))
            for zone, counts in counted.zones.items()
        ],
        ticket_types=[_type_availability(kind) for kind in counted.ticket_types],
    )


def _zone_counts(counts: Mapping[SeatState, int]) -> pb.SeatCounts:
    return pb.SeatCounts(
        total=sum(counts.values()),
        available=counts[SeatState.AVAILABLE],
        held=counts[SeatState.HELD],
        sold=counts[SeatState.SOLD],
        blocked=counts[SeatState.BLOCKED],
    )


def _type_availability(counted: TypeAvailability) -> pb.GetAvailabilityResponse.TicketType:
    kind = counted.ticket_type
    return pb.GetAvailabilityResponse.TicketType(
        ticket_type=resources.ticket_type(kind.performance_id, kind.id),
        display_name=kind.display_name,
        price=money(kind.price, kind.currency),
        available=counted.available,
        on_sale=counted.on_sale,
    )
