"""What people type instead of a resource name, and what they mean when they type nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.performance_pb2 import Performance
from rowlock_client import calls
from rowlock_client.cli.options import EXIT_USAGE, Failure
from rowlock_client.cli.output import local_time
from rowlock_client.client import Client

PERFORMANCE: Final = re.compile(r"performances/\d+")
_RECENT: Final = timedelta(hours=3)


def performance_name(client: Client, given: str) -> str:
    """`performances/1` for that, or for `1`; if nothing was given, the next performance with places left."""
    if not given:
        return next_performance(client).name
    return f"performances/{given}" if given.isdecimal() else given


def title_of(about: Performance) -> str:
    """A performance in one line: what is on, where and when."""
    hall = f", {about.hall}" if about.hall else ""
    return f"{about.event_title} — {about.venue_display_name}{hall}, {local_time(about.start_time, about.time_zone)}"


def next_performance(client: Client) -> Performance:
    """The next performance with places left; if all are full, the next one."""
    start = datetime.now(UTC) - _RECENT
    for only_available in (True, False):
        found = client.performances(start=start, only_available=only_available, page_size=1).performances
        if found:
            return found[0]
    raise Failure("there is no performance to come")


def booking_name(client: Client, given: str, *states: Booking.State.ValueType) -> str:
    """The whole name of a booking of one's own.

    Args:
        client: logged in.
        given: the name, or a part of its id such as the last characters; empty: the newest one in `states`.
        states: which count when nothing was given.
    """
    if given.startswith("performances/"):
        return given
    found: list[str] = []
    for page in client.pages(calls.bookings(page_size=1000)):
        for booking in page.bookings:
            if not given and booking.state in states:
                return booking.name
            if given and given in booking.name.rpartition("/")[2]:
                found.append(booking.name)
    if len(found) == 1:
        return found[0]
    if found:
        raise Failure(f"{len(found)} of your bookings have {given!r} in their id; give more of it", EXIT_USAGE)
    what = f"has {given!r} in its id" if given else "is " + " or ".join(Booking.State.Name(s).lower() for s in states)
    raise Failure(f"no booking of yours {what}. See: rowlock bookings")


def ticket_type_name(client: Client, performance: str, given: str) -> str:
    """The whole name of a ticket type, given as that, or by what people call it."""
    if not given or given.startswith("performances/"):
        return given
    types = client.ticket_types(performance).ticket_types
    for one in types:
        if given.casefold() == one.display_name.casefold() or given == one.name.rpartition("/")[2]:
            return one.name
    known = ", ".join(one.display_name for one in types) or "none"
    raise Failure(f"{performance} has no ticket type {given!r}; it has: {known}", EXIT_USAGE)
