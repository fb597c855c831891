"""Acts on messages of payment providers; what is done with them is kept for a while and then deleted."""

from typing import Final

from server.domain.webhooks import delete_outdated
from server.payments.wake import WEBHOOKS
from workers.housekeeping import QUEUE
from workers.runtime import WorkerRuntime
from workers.work import Work


async def handle_webhooks(runtime: WorkerRuntime) -> None:
    """Take up every message that is due; see ``server.payments.webhook_handling``."""
    await runtime.webhooks.run()


async def delete_outdated_webhooks(runtime: WorkerRuntime) -> None:
    """Delete messages that were done with long ago."""
    retention, most = runtime.settings.webhook_retention, runtime.settings.sweep_batch_size
    while await runtime.database.transaction(lambda session: delete_outdated(session, retention, most)) == most:
        pass


HANDLE: Final = Work(WEBHOOKS.actor, WEBHOOKS.queue, lambda settings: settings.payment_sweep_interval, handle_webhooks)
DELETE: Final = Work(
    "delete_outdated_webhooks", QUEUE, lambda settings: settings.housekeeping_interval, delete_outdated_webhooks
)
