"""Gives places that were set aside back to the general sale when their time has come."""

import asyncio
from typing import Final

import structlog

from server.domain.allocations import due_allocations
from server.errors import RowlockError
from server.seats.commands import Release
from workers.runtime import WorkerRuntime
from workers.work import Work

_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 32
"""Few, because each may have a thousand places."""


async def release_allocations(runtime: WorkerRuntime) -> None:
    """Release every allocation that is due, through the seat ledger, which does it once whoever asks."""
    while True:
        due = await runtime.database.read(lambda session: due_allocations(session, _AT_ONCE))
        releases = (
            runtime.ledger.execute(
                Release(performance_id=performance_id, allocation_id=allocation_id, actor_id=None, due=True)
            )
            for performance_id, allocation_id in due
        )
        outcomes = await asyncio.gather(*releases, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, RowlockError)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, RowlockError):
                raise outcome
        if failed:
            _log.warning("allocations.not_released", failed=len(failed), reason=failed[0].reason)
        if failed or len(due) < _AT_ONCE:
            return


WORK: Final = Work(
    "release_allocations", "housekeeping", lambda settings: settings.expiry_sweep_interval, release_allocations
)
"""Beside the tidying, not beside the expiry: a wave of releases at a performance's start holds up no hold."""
