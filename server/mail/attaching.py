"""What goes with a mail: the tickets of a confirmed booking as a PDF, and the evening as a calendar entry."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from server.db.engine import Database
from server.domain import tickets
from server.domain.notification_facts import Facts
from server.domain.signing_keys import Keys
from server.mail.composing import Attachment
from server.resources import parse_booking
from server.seats.halls import Halls
from server.states import NotificationKind
from server.tickets.calendar_entries import calendar_entry
from server.tickets.documents import tickets_pdf

Files = Callable[[], Sequence[Attachment]]


class Attacher:
    """Makes the files of mails.

    Args:
        database: where tickets are.
        read_keys: what signs their codes; asked once, when it is needed.
        halls: names places.
        font_file: a TrueType font for scripts that the usual one lacks.
    """

    def __init__(
        self, database: Database, read_keys: Callable[[], Awaitable[Keys]], halls: Halls, font_file: Path | None = None
    ) -> None:
        self._database = database
        self._read_keys = read_keys
        self._halls = halls
        self._font_file = font_file
        self._keys: Keys | None = None

    async def files(self, facts: Facts) -> Files:
        """What makes the files of one mail, to be called off the event loop."""
        if facts.kind is not NotificationKind.BOOKING_CONFIRMED or facts.booking is None:
            return tuple
        if self._keys is None:
            self._keys = await self._read_keys()
        keys, (performance_id, booking_id) = self._keys, parse_booking(facts.booking.name)
        admissions = await self._database.read(
            lambda session: tickets.admissions(session, performance_id, booking_id, keys=keys, halls=self._halls)
        )

        def make() -> Sequence[Attachment]:
            if not admissions:
                return ()
            return (
                Attachment("tickets.pdf", "application/pdf", tickets_pdf(admissions, font_file=self._font_file)),
                Attachment("event.ics", "text/calendar", calendar_entry(admissions)),
            )

        return make
