"""Every kind of work there is: what the scheduler wakes, and what a worker can do."""

from typing import Final

from workers import expiry, housekeeping, payments, refunds
from workers.work import Work

WORKS: Final[tuple[Work, ...]] = (
    expiry.WORK,
    payments.CARRY_ON,
    payments.END_ABANDONED,
    refunds.WORK,
    housekeeping.TRIM,
    housekeeping.DELETE,
    housekeeping.WIND_UP,
)
