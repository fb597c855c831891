"""Gives money back."""

from typing import Final

from server.payments.wake import REFUNDS
from workers.runtime import WorkerRuntime
from workers.work import Work


async def carry_refunds_on(runtime: WorkerRuntime) -> None:
    """Take up every refund that is due; see ``server.payments.refunding``."""
    await runtime.refunds.run()


WORK: Final = Work(REFUNDS.actor, REFUNDS.queue, lambda settings: settings.payment_sweep_interval, carry_refunds_on)
