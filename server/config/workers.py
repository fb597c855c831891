"""How many workers there are, and how often they look for what is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from server.config.area import Area, minutes, seconds, setting
from server.config.values import PositiveDuration, read_duration


def _nothing_or_a_month(value: timedelta) -> timedelta:
    if value and value < timedelta(days=30):
        raise ValueError("must be 0, or 30 days or more")
    return value


RecordDuration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(_nothing_or_a_month)]


class WorkerSettings(Area):
    """How many workers there are, and how often they look for what is due."""

    heading = "Workers"

    worker_processes: int = setting(1, "Worker processes on this machine.", ge=1, le=64)
    worker_threads: int = setting(4, "Threads per worker process.", ge=1, le=64)
    expiry_sweep_interval: PositiveDuration = setting(seconds(1), "How often expired holds are looked for.")
    admission_sweep_interval: PositiveDuration = setting(
        seconds(1), "How often waiting rooms are looked at whose line has to move."
    )
    payment_sweep_interval: PositiveDuration = setting(seconds(2), "How often payments that are due are looked for.")
    payment_compare_interval: PositiveDuration = setting(
        minutes(10), "How often payments that are to be compared with the provider's books are looked for."
    )
    change_log_sweep_interval: PositiveDuration = setting(seconds(60), "How often the change log is trimmed.")
    staff_action_retention: RecordDuration = setting(
        timedelta(0),
        "How long the record of what staff did is kept. 0: for ever. At least 30 days: the database refuses to delete "
        "younger ones.",
    )
    housekeeping_interval: PositiveDuration = setting(
        minutes(10), "How often old request results, tokens and sessions are deleted."
    )
    sweep_batch_size: int = setting(500, "Most rows that one sweep takes.", ge=1, le=10_000)
