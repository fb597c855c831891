"""What a scenario is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.progress import Progress


@dataclass(frozen=True)
class Options:
    """How thorough a run is.

    Attributes:
        rounds: how often each measurement is taken; what is reported is the median.
        seconds: how long a measurement lasts where its length can be chosen.
        progress: told what is going on.
    """

    rounds: int
    seconds: float
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """The figures, and what they come from."""

    result: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
