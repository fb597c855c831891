"""Gives places that were set aside back to the general sale when their time has come."""

from typing import Final
from uuid import UUID

from server.domain.allocations import due_allocations
from server.seats.commands import Release
from workers.ledger_sweep import sweep
from workers.runtime import WorkerRuntime
from workers.work import Work

_AT_ONCE: Final = 32
"""Few, because each may have a thousand places."""


async def release_allocations(runtime: WorkerRuntime) -> None:
    """Release every allocation that is due, through the seat ledger, which does it once whoever asks."""
    await sweep(runtime, due_allocations, _release, at_once=_AT_ONCE, incomplete="allocations.not_released")


def _release(allocation: tuple[int, UUID]) -> Release:
    performance_id, allocation_id = allocation
    return Release(performance_id=performance_id, allocation_id=allocation_id, actor_id=None, due=True)


WORK: Final = Work(
    "release_allocations", "housekeeping", lambda settings: settings.expiry_sweep_interval, release_allocations
)
"""Beside the tidying, not beside the expiry: a wave of releases at a performance's start holds up no hold."""
