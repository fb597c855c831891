"""Ends holds whose time is over.

That nobody is refused because of one is the ledger's care (an expired hold counts as free in the claiming transaction);
this only tidies, so that screens and counts are right within seconds.
"""

import asyncio
from typing import Final

import structlog

from server.domain.bookings import run_out_holds
from server.errors import RowlockError
from server.seats.commands import Expire
from workers.runtime import WorkerRuntime
from workers.work import Work

_log = structlog.get_logger(__name__)


async def expire_holds(runtime: WorkerRuntime) -> None:
    """Expire every hold that has run out, as many in one transaction as the ledger combines."""
    most = runtime.settings.sweep_batch_size
    while True:
        due = await runtime.database.read(lambda session: run_out_holds(session, most))
        ends = (
            runtime.ledger.execute(
                Expire(performance_id=performance_id, booking_id=booking_id, actor_id=None, staff=True)
            )
            for performance_id, booking_id in due
        )
        outcomes = await asyncio.gather(*ends, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, RowlockError)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, RowlockError):
                raise outcome
        if failed:
            _log.warning("expiry.incomplete", failed=len(failed), reason=failed[0].reason)
        if failed or len(due) < most:
            return


WORK: Final = Work("expire_holds", "expiry", lambda settings: settings.expiry_sweep_interval, expire_holds)
