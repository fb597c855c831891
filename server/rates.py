"""Rates, as the settings have them: so many in so much time."""

import re
from dataclasses import dataclass
from typing import Final

_RATE: Final = re.compile(r"(\d{1,9})/(\d{0,9})(second|minute|hour|day)s?")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    period: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read ``600/minute``, ``5/10 minutes`` or the like."""
        match = _RATE.fullmatch("".join(text.lower().split()))
        if match is None or not int(match[1]) or not int(match[2] or 1):
            raise ValueError(f"{text!r} is not a rate such as 10/second or 5/10 minutes")
        return cls(int(match[1]), float(int(match[2] or 1) * _SECONDS[match[3]]))
