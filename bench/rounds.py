"""Measures things in turn, so that a busy minute of the machine falls on all of them alike."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

from bench.progress import Progress

T = TypeVar("T")


def interleave(
    rounds: int, measures: Mapping[str, Callable[[], T]], progress: Progress, shown: Callable[[T], str]
) -> dict[str, list[T]]:
    """Carry out each measurement once per round, in turn.

    Args:
        rounds: how often.
        measures: what to carry out, by name, in this order.
        progress: told what is going on.
        shown: a measurement in a word.
    """
    found: dict[str, list[T]] = {name: [] for name in measures}
    last = ""
    for number in range(1, rounds + 1):
        for name, measure in measures.items():
            progress(f"round {number} of {rounds}: {name}{last}")
            found[name].append(measure())
            last = f"   (last: {name} {shown(found[name][-1])})"
    return found


def middle(values: list[float], digits: int = 3) -> float:
    """The median, rounded."""
    return round(median(values), digits)
