"""Speaks to payment providers for customers who pay, and ends payments whose booking is over."""

from typing import Final

from server.domain.payments import give_up_abandoned
from server.payments.wake import PAYMENTS
from workers.runtime import WorkerRuntime
from workers.work import Work


async def carry_payments_on(runtime: WorkerRuntime) -> None:
    """Take up every payment that is due; see ``server.payments.collecting``."""
    await runtime.payments.run()


async def end_abandoned_payments(runtime: WorkerRuntime) -> None:
    """Cancel payments that wait for the customer of a booking that has ended."""
    most = runtime.settings.sweep_batch_size
    while await runtime.database.transaction(lambda session: give_up_abandoned(session, most)) == most:
        pass


async def compare_payments(runtime: WorkerRuntime) -> None:
    """Compare payments that ended a while ago with the books of their providers; see ``server.payments.comparing``."""
    await runtime.comparisons.run()


CARRY_ON: Final = Work(
    PAYMENTS.actor, PAYMENTS.queue, lambda settings: settings.payment_sweep_interval, carry_payments_on
)
END_ABANDONED: Final = Work(
    "end_abandoned_payments", PAYMENTS.queue, lambda settings: settings.payment_sweep_interval, end_abandoned_payments
)
COMPARE: Final = Work(
    "compare_payments", "comparisons", lambda settings: settings.payment_compare_interval, compare_payments
)
