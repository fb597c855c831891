"""EventService: venues."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import venue_pb2 as pb
from server import resources
from server.domain import venues
from server.domain.venues import VenueValues
from server.services.catalogue_messages import venue_message
from server.services.event_parts import Context, EventServiceParts
from server.services.field_mask import apply, paths_of
from server.services.paging import page_of

_WRITABLE: Final = ("display_name", "address", "time_zone", "description")


class VenueMethods(EventServiceParts):
    """The RPCs of venues."""

    async def CreateVenue(self, request: pb.CreateVenueRequest, context: Context) -> pb.Venue:
        """Make a venue."""

        def work(session: Session) -> pb.Venue:
            return venue_message(venues.create(session, _values(request.venue)))

        return await self._once(request, pb.Venue, work)

    async def GetVenue(self, request: pb.GetVenueRequest, context: Context) -> pb.Venue:
        """Read a venue."""
        venue_id = resources.parse_venue(request.name)
        return await self._database.read(lambda session: venue_message(venues.get(session, venue_id)))

    async def ListVenues(self, request: pb.ListVenuesRequest, context: Context) -> pb.ListVenuesResponse:
        """List venues by name."""
        page = page_of(request, str, int)
        found = await self._database.read(
            lambda session: venues.page(session, text=request.text, after=page.after, limit=page.limit)
        )
        rows, next_page_token = page.cut(found.rows, key=lambda venue: (venue.display_name, venue.id))
        return pb.ListVenuesResponse(
            venues=map(venue_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateVenue(self, request: pb.UpdateVenueRequest, context: Context) -> pb.Venue:
        """Change a venue."""
        venue_id = resources.parse_venue(request.venue.name, "venue.name")
        paths = paths_of(request.update_mask, request.venue, _WRITABLE)

        def work(session: Session) -> pb.Venue:
            venue = venues.lock(session, venue_id, request.venue.etag)
            wanted = venue_message(venue)
            apply(paths, request.venue, wanted)
            venues.update(session, venue, _values(wanted))
            return venue_message(venue)

        return await self._once(request, pb.Venue, work)

    async def DeleteVenue(self, request: pb.DeleteVenueRequest, context: Context) -> Empty:
        """Delete a venue that has neither performances nor seat maps."""
        venue_id = resources.parse_venue(request.name)

        def work(session: Session) -> Empty:
            venues.delete(session, venue_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)


def _values(venue: pb.Venue) -> VenueValues:
    return VenueValues(venue.display_name, venue.address, venue.time_zone, venue.description)
