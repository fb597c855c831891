"""How long somebody is likely to wait still. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from server.waiting_room.cycle import Cycle, Terms, is_over, next_chance


def admitted_per_cycle(terms: Terms, samples: Sequence[int]) -> float:
    """How many a cycle admits, as the last ones did.

    Args:
        terms: what holds until there are samples.
        samples: how many were admitted in each of the last cycles that left somebody waiting.
    """
    if samples:
        return sum(samples) / len(samples)
    if terms.shopping_limit is None:
        return terms.admit_count
    return min(terms.admit_count, terms.shopping_limit)


def admission_time(
    position: int, per_cycle: float, terms: Terms, cycle: Cycle, *, now: datetime, opening: datetime
) -> datetime | None:
    """When the customer at ``position`` (1: the first in line) is likely to be admitted; None: nobody can tell."""
    if per_cycle <= 0 or position < 1:
        return None
    try:
        return _admission_time(position, per_cycle, terms, cycle, (now, opening))
    except OverflowError:
        return None


def _admission_time(
    position: int, per_cycle: float, terms: Terms, cycle: Cycle, times: tuple[datetime, datetime]
) -> datetime:
    now, opening = times
    chance = next_chance(cycle, now=now, opening=opening)
    if terms.shopping_limit is not None:
        # Places in the shop are given when somebody is done, which is at no particular time of a cycle.
        return chance + terms.admit_interval * ((position - 1) / per_cycle)
    at_once = 0 if now < opening or is_over(cycle, now) else cycle.left
    if position <= at_once:
        return chance
    if at_once and cycle.end_time is not None:
        chance = cycle.end_time
    return chance + terms.admit_interval * (ceil((position - at_once) / per_cycle) - 1)


def wait_until(time: datetime | None, now: datetime) -> timedelta | None:
    """The time from now, never negative."""
    return None if time is None else max(timedelta(0), time - now)
