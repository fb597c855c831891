"""Has the seat ledger carry out what is due, page by page, as many in one transaction as it combines."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from server.errors import RowlockError
from server.seats.commands import Expire, Release
from workers.runtime import WorkerRuntime

Row = TypeVar("Row")

_log = structlog.get_logger(__name__)


async def sweep(
    runtime: WorkerRuntime,
    due: Callable[[Session, int], Sequence[Row]],
    command: Callable[[Row], Expire | Release],
    *,
    at_once: int,
    incomplete: str,
) -> None:
    """Carry a command out for every row that is due; what is refused is due again, and ends the sweep.

    Args:
        runtime: of this worker.
        due: reads so many due rows at most.
        command: what is to be done about one.
        at_once: rows of a page.
        incomplete: what is logged where some were refused.
    """
    while True:
        rows = await runtime.database.read(lambda session: due(session, at_once))
        outcomes = await asyncio.gather(*(runtime.ledger.execute(command(row)) for row in rows), return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, RowlockError)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, RowlockError):
                raise outcome
        if failed:
            _log.warning(incomplete, failed=len(failed), reason=failed[0].reason)
        if failed or len(rows) < at_once:
            return
