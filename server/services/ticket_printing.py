"""Making documents on a thread of its own, so that a run on tickets cannot hold up bookings."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from server.errors import Unavailable
from server.tickets.admission import Admission
from server.tickets.calendar_entries import calendar_entry
from server.tickets.documents import tickets_pdf
from server.tickets.fonts import fonts

_WAITING: Final = 100
"""Documents that may wait; one takes some ten milliseconds, so the last waits for about a second."""


class TicketPrinting:
    """One thread, because documents are made of Python, which runs on one processor at a time anyway.

    Args:
        font_file: a TrueType font for scripts that the usual one lacks.

    Raises:
        FontError: it cannot be used.
    """

    def __init__(self, font_file: Path | None = None) -> None:
        fonts(font_file)
        self._font_file = font_file
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="printing")
        self._running = 0

    async def pdf(self, admission: Admission) -> bytes:
        """A ticket to print.

        Raises:
            Unavailable: OVERLOADED, too many wait already.
        """
        return await self._run(lambda: tickets_pdf([admission], font_file=self._font_file))

    async def calendar_entry(self, admissions: Sequence[Admission]) -> bytes:
        """An entry for a calendar, of tickets of one booking.

        Raises:
            Unavailable: OVERLOADED, too many wait already.
        """
        return await self._run(lambda: calendar_entry(admissions))

    def close(self) -> None:
        """End the thread when what it does is done."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], bytes]) -> bytes:
        if self._running >= _WAITING:
            raise Unavailable("OVERLOADED", "too many documents at once; come back in a moment", retry_after=1)
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._running -= 1
