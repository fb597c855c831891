"""Calendar entries (RFC 5545): one for each booking, so that a calendar shows an evening once."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from server.tickets.admission import Admission, short_name

_A_YEAR: Final = timedelta(days=366)
"""How far around the performance the rules of its time zone are told."""


def calendar_entry(admissions: Sequence[Admission]) -> bytes:
    """An iCalendar file with one entry for tickets of one booking. The same tickets make the same bytes.

    The codes are not in it: calendars are shared.

    Args:
        admissions: at least one, all of one booking.
    """
    first = admissions[0]
    zone = ZoneInfo(first.time_zone)
    entry = Event()
    entry.add("uid", f"{short_name(first.booking)}@rowlock.dev")
    entry.add("dtstamp", first.create_time.astimezone(UTC))
    entry.add("dtstart", first.start_time.astimezone(zone))
    if first.end_time is not None:
        entry.add("dtend", first.end_time.astimezone(zone))
    entry.add("summary", first.event)
    entry.add("location", ", ".join(part for part in (first.venue, first.hall, *first.address.splitlines()) if part))
    places = "\n".join(f"{admission.place} ({admission.ticket_type})" for admission in admissions)
    entry.add("description", f"{places}\nBooking {short_name(first.booking)}")
    entry.add("transp", "OPAQUE")
    calendar = Calendar()
    calendar.add("prodid", "-//Rowlock//Tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(entry)
    calendar.add_missing_timezones(first.start_time.date() - _A_YEAR, first.start_time.date() + _A_YEAR)
    return bytes(calendar.to_ical())
