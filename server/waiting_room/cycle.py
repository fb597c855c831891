"""When a line moves, and by how many. Pure: values in, values out; the time is an argument.

Time is cut into cycles of one interval. In each, at most N are admitted: at its begin, and later on too while fewer
than N were (nobody else had come, or too many were shopping). A cycle begins when somebody is to be admitted; what
was not used in an earlier one, and cycles in which nothing ran, are not made up for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_ROOM_CHECK: Final = timedelta(seconds=2)
"""How soon to look again whether somebody who was shopping is done."""
_OPENING_CHECK: Final = timedelta(seconds=30)
"""How soon to look again whether the opening was moved."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What staff have set: so many every so often, each for so long, at most so many at once (None: any number)."""

    admit_count: int
    admit_interval: timedelta
    admission_duration: timedelta
    shopping_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Cycle:
    """The running interval: its number, its end (None: there was none yet), and how many it may still admit."""

    number: int
    end_time: datetime | None
    left: int


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now: admit so many in ``cycle``, and look again at ``next_time`` (None: when somebody joins).

    ``begins``: the cycle begins with this step.
    """

    cycle: Cycle
    admit: int
    begins: bool
    next_time: datetime | None


def advance(
    terms: Terms, cycle: Cycle, *, now: datetime, opening: datetime, waiting: int, shopping: int | None
) -> Step:
    """Decide how far a line moves.

    Args:
        terms: what staff have set.
        cycle: the last one.
        now: the time.
        opening: from when on anybody is admitted.
        waiting: how many stand in line.
        shopping: how many are admitted and not done; may be None where there is no ``shopping_limit``.
    """
    if not waiting:
        return Step(cycle, 0, begins=False, next_time=None)
    if now < opening:
        return Step(cycle, 0, begins=False, next_time=next_look(cycle, now=now, opening=opening))
    begins = is_over(cycle, now)
    if begins:
        cycle = Cycle(cycle.number + 1, _begin(terms, cycle, now) + terms.admit_interval, terms.admit_count)
    room = waiting if terms.shopping_limit is None else max(0, terms.shopping_limit - (shopping or 0))
    admit = min(cycle.left, waiting, room)
    after = Cycle(cycle.number, cycle.end_time, cycle.left - admit)
    return Step(after, admit, begins, _next(after, now, waiting - admit))


def next_chance(cycle: Cycle, *, now: datetime, opening: datetime) -> datetime:
    """When whoever joins an empty line now can be admitted at the earliest."""
    if now < opening:
        return opening
    if cycle.left or is_over(cycle, now) or cycle.end_time is None:
        return now
    return cycle.end_time


def next_look(cycle: Cycle, *, now: datetime, opening: datetime) -> datetime:
    """When a worker has to look at a line in which somebody waits: soon, too, if the opening was brought forward."""
    chance = next_chance(cycle, now=now, opening=opening)
    return min(chance, now + _OPENING_CHECK) if now < opening else chance


def is_over(cycle: Cycle, now: datetime) -> bool:
    """Whether the next admission begins a new cycle."""
    return cycle.end_time is None or cycle.end_time <= now


def shortened(cycle: Cycle, terms: Terms, now: datetime) -> Cycle:
    """The running cycle under new terms: it lasts no longer than one of them would. Its number of admissions stays."""
    if cycle.end_time is None:
        return cycle
    return Cycle(cycle.number, min(cycle.end_time, now + terms.admit_interval), cycle.left)


def _begin(terms: Terms, cycle: Cycle, now: datetime) -> datetime:
    """Where a cycle that is begun now counts from: the end of the one before, unless that was long ago.

    So cycles do not drift by the moments that a worker is late, and two never begin within half an interval.
    """
    if cycle.end_time is not None and now - cycle.end_time < terms.admit_interval / 2:
        return cycle.end_time
    return now


def _next(cycle: Cycle, now: datetime, waiting: int) -> datetime | None:
    if not waiting or cycle.end_time is None:
        return None
    return min(cycle.end_time, now + _ROOM_CHECK) if cycle.left else cycle.end_time
