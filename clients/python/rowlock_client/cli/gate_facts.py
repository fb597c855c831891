"""What a gate has to know of its performance, and how it says that."""

from __future__ import annotations

from dataclasses import dataclass, field

from rowlock.v1.auth_pb2 import ROLE_ADMIN, ROLE_STAFF, GetJwksResponse
from rowlock.v1.performance_pb2 import GetPerformanceSeatMapResponse, Performance
from rowlock.v1.ticket_pb2 import EntryList
from rowlock.v1.ticket_type_pb2 import ListTicketTypesResponse
from rowlock_client import aio, calls
from rowlock_client.cli.naming import title_of
from rowlock_client.errors import PermissionDenied


@dataclass(slots=True)
class DoorFacts:
    """What a gate has to know of its performance.

    Attributes:
        performance: what is on, and when.
        ticket_types: what is sold.
        drawing: the places.
        keys: who signs tickets.
        lists: entry lists, as signed: a whole one, then what has changed since.
        staff: whether whoever works the gate may take check-ins back.
    """

    performance: Performance
    ticket_types: ListTicketTypesResponse
    drawing: GetPerformanceSeatMapResponse
    keys: GetJwksResponse
    lists: list[EntryList] = field(default_factory=list)
    staff: bool = False


async def fetch(client: aio.Client, performance: str) -> DoorFacts:
    """All that a gate needs to know of a performance.

    Raises:
        RowlockError: the server cannot be reached, or does not let this gate work.
    """
    types = ListTicketTypesResponse()
    async for page in client.pages(calls.ticket_types(performance)):
        types.ticket_types.extend(page.ticket_types)
    return DoorFacts(
        await client.performance(performance),
        types,
        await client.seat_map(performance),
        await client.jwks(),
        [await client.entry_list(performance)],
        staff=await is_staff(client),
    )


async def is_staff(client: aio.Client) -> bool:
    """Whether whoever works the gate may take check-ins back: a device may not."""
    try:
        me = await client.me()
    except PermissionDenied:
        return False  # a device
    return me.role in {ROLE_STAFF, ROLE_ADMIN}


class DoorWords:
    """Says places, ticket types and performances as people do.

    Args:
        facts: of the performance.
    """

    def __init__(self, facts: DoorFacts) -> None:
        self._types = {one.name: one.display_name for one in facts.ticket_types.ticket_types}
        self._seats = {seat.index: seat for seat in facts.drawing.seats}
        self._titles: dict[str, str] = {}

    def seat(self, index: int | None) -> str:
        """A place by its index; empty: it is not known."""
        seat = self._seats.get(index) if index is not None else None
        if seat is None:
            return ""
        if not seat.row:
            return seat.section or seat.id
        return f"{seat.section} · row {seat.row} · seat {seat.number}" if seat.section else seat.id

    def zone(self, index: int | None) -> str:
        """The price zone of a place; empty: it is not known."""
        seat = self._seats.get(index) if index is not None else None
        return "" if seat is None else seat.zone

    def ticket_type(self, name: str) -> str:
        """A ticket type by its resource name; empty: it is not known."""
        return self._types.get(name, "")

    def knows(self, performance: str) -> bool:
        """Whether another performance's title is known."""
        return performance in self._titles

    def learn(self, about: Performance) -> None:
        """Take in another performance's title."""
        self._titles[about.name] = title_of(about)

    def other(self, performance: str) -> str:
        """Which other performance a ticket is for."""
        return f"it is for {self._titles.get(performance, performance)}"
