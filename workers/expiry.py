"""Ends holds whose time is over.

That nobody is refused because of one is the ledger's care (an expired hold counts as free in the claiming transaction);
this only tidies, so that screens and counts are right within seconds.
"""

from typing import Final
from uuid import UUID

from server.domain.bookings import run_out_holds
from server.seats.commands import Expire
from workers.ledger_sweep import sweep
from workers.runtime import WorkerRuntime
from workers.work import Work


async def expire_holds(runtime: WorkerRuntime) -> None:
    """Expire every hold that has run out."""
    most = runtime.settings.sweep_batch_size
    await sweep(runtime, run_out_holds, _expire, at_once=most, incomplete="expiry.incomplete")


def _expire(hold: tuple[int, UUID]) -> Expire:
    performance_id, booking_id = hold
    return Expire(performance_id=performance_id, booking_id=booking_id, actor_id=None, staff=True)


WORK: Final = Work("expire_holds", "expiry", lambda settings: settings.expiry_sweep_interval, expire_holds)
