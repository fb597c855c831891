"""What happened in a race, counted as the customers were told it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The story so far.

    Attributes:
        counts: by what happened.
        sold: who was told to have bought each seat; more than one name is what must never be.
        surprises: answers that nobody should get, by their words.
    """

    counts: Counter[str] = field(default_factory=Counter)
    sold: dict[str, set[str]] = field(default_factory=dict)
    surprises: Counter[str] = field(default_factory=Counter)

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] += 1

    def buys(self, customer: str, seats: list[str]) -> None:
        """A customer was told that these seats are theirs."""
        for seat in seats:
            self.sold.setdefault(seat, set()).add(customer)

    def gives_back(self, customer: str, seats: list[str]) -> None:
        """A customer has given bought seats back."""
        for seat in seats:
            self.sold.get(seat, set()).discard(customer)

    @property
    def sold_twice(self) -> int:
        """How many customers were told to have a seat that another one has."""
        return sum(len(names) - 1 for names in self.sold.values() if len(names) > 1)
