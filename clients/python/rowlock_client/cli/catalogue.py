"""`rowlock events`, `performances`, `seats`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from rowlock.v1.performance_pb2 import Performance, PerformanceSeat
from rowlock.v1.seat_map_pb2 import SeatState
from rowlock_client import calls
from rowlock_client.cli.naming import performance_name
from rowlock_client.cli.options import CaFile, Json, Server, connect, told
from rowlock_client.cli.output import local_time, money, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET

app = typer.Typer()

_AT_ONCE = 200

Text = Annotated[str, typer.Argument(help="Only those with these words.")]
Free = Annotated[bool, typer.Option("--free", help="Only those with places left.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


@app.command()
@told
def events(
    text: Text = "",
    *,
    category: Annotated[str, typer.Option(help="Only of this category: categories/1.")] = "",
    free: Free = False,
    limit: Limit = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List what is on, soonest first. No log-in is needed."""
    with connect(server, ca) as client:
        rpc = calls.events(text=text, category=category, only_available=free, page_size=min(limit, _AT_ONCE))
        found = list(islice((event for page in client.pages(rpc) for event in page.events), limit))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            event.name,
            event.title,
            local_time(event.next_start_time) if event.HasField("next_start_time") else "no date",
            money(event.lowest_price) if event.HasField("lowest_price") else "",
        )
        for event in found
    ]
    print_table(("event", "title", "next", "from"), rows, empty="Nothing is on.")


@app.command()
@told
def performances(
    event: Annotated[str, typer.Argument(help="Only of this event: events/1.")] = "",
    *,
    free: Free = False,
    limit: Limit = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List performances by their time, with the places that are left. No log-in is needed."""
    name = f"events/{event}" if event.isdecimal() else event
    with connect(server, ca) as client:
        rpc = calls.performances(event=name, only_available=free, page_size=min(limit, _AT_ONCE))
        found = list(islice((one for page in client.pages(rpc) for one in page.performances), limit))
    if as_json:
        print_json(found)
        return
    columns = ("performance", "event", "start", "venue", "free", "of", "from")
    print_table(columns, map(_performance_row, found), empty="There is no such performance.")


def _performance_row(one: Performance) -> tuple[str, ...]:
    cancelled = " (cancelled)" if one.state == Performance.CANCELLED else ""
    return (
        one.name,
        one.event_title + cancelled,
        local_time(one.start_time, one.time_zone),
        one.venue_display_name,
        f"{one.counts.available:,}",
        f"{one.counts.total:,}",
        money(one.lowest_price) if one.HasField("lowest_price") else "",
    )


class State(StrEnum):
    """What may be asked for."""

    AVAILABLE = "available"
    HELD = "held"
    SOLD = "sold"
    BLOCKED = "blocked"


@app.command()
@told
def seats(
    performance: Annotated[str, typer.Argument(help="The performance; without one: the next.")] = "",
    *,
    zone: Annotated[str, typer.Option(help="Only in this price zone.")] = "",
    section: Annotated[str, typer.Option(help="Only in this section.")] = "",
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    limit: Limit = 100_000,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List the places of a performance with the ids to book them by. No log-in is needed.

    To see them as a picture: rowlock watch --once
    """
    wanted = SeatState.Value(f"SEAT_STATE_{state.name}") if state else calls.ANY_STATE
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        rpc = calls.seats(name, zone=zone, section=section, state=wanted, page_size=min(limit, 1000))
        found = list(islice((seat for page in client.pages(rpc) for seat in page.seats), limit))
        if as_json:
            print_json(found)
            return
        rows = _seat_rows(client, name, found)
    print_table(("seat", "zone", "state", "ticket types"), rows, empty="No place is like that.")


def _seat_rows(client: Client, performance: str, found: list[PerformanceSeat]) -> list[tuple[str, ...]]:
    called = {
        one.name: f"{one.display_name} {money(one.price)}" for one in client.ticket_types(performance).ticket_types
    }

    def rows() -> Iterator[tuple[str, ...]]:
        for one in found:
            state = SeatState.Name(one.state).removeprefix("SEAT_STATE_").lower()
            types = ", ".join(called.get(name, name) for name in one.ticket_types)
            yield one.seat.id + (" (wheelchair)" if one.seat.accessible else ""), one.seat.zone, state, types

    return list(rows())
