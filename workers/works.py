"""Every kind of work there is: what the scheduler wakes, and what a worker can do."""

from typing import Final

from workers import admissions, allocations, deliveries, expiry, housekeeping, mail, payments, refunds, webhooks
from workers.work import Work

WORKS: Final[tuple[Work, ...]] = (
    expiry.WORK,
    admissions.WORK,
    allocations.WORK,
    payments.CARRY_ON,
    payments.END_ABANDONED,
    payments.COMPARE,
    refunds.WORK,
    webhooks.HANDLE,
    webhooks.DELETE,
    mail.WORK,
    deliveries.TELL,
    deliveries.DELETE,
    housekeeping.TRIM,
    housekeeping.DELETE,
    housekeeping.DELETE_STAFF_ACTIONS,
    housekeeping.WIND_UP,
)
