"""Keeps the log of changes, and tells webhook endpoints of them."""

from typing import Final

from server.domain import changes, deliveries, key_uses
from server.payments.wake import DELIVERIES
from workers.housekeeping import QUEUE
from workers.runtime import WorkerRuntime
from workers.work import Work

_ROWS_AT_ONCE: Final = 1_000


async def tell_partners(runtime: WorkerRuntime) -> None:
    """Give changes their positions, and deliver what is due; see ``server.partners.delivering``."""
    await runtime.deliverer.place()
    await runtime.deliveries.run()


async def delete_outdated_changes(runtime: WorkerRuntime) -> None:
    """Delete changes, records of deliveries and uses of API keys that are older than they are to be kept."""
    settings, database = runtime.settings, runtime.database
    while (
        await database.transaction(
            lambda session: changes.delete_outdated(session, settings.change_retention, _ROWS_AT_ONCE)
        )
        == _ROWS_AT_ONCE
    ):
        pass
    while (
        await database.transaction(
            lambda session: deliveries.delete_outdated(session, settings.delivery_retention, _ROWS_AT_ONCE)
        )
        == _ROWS_AT_ONCE
    ):
        pass
    await database.transaction(key_uses.delete_outdated)


TELL: Final = Work(DELIVERIES.actor, DELIVERIES.queue, lambda settings: settings.delivery_sweep_interval, tell_partners)
DELETE: Final = Work(
    "delete_outdated_changes", QUEUE, lambda settings: settings.housekeeping_interval, delete_outdated_changes
)
