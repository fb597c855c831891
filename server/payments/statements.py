"""What a provider may offer beside the port: a list of everything that it moved, as on a bank statement.

With one it is also found what only the provider knows of. Without one it is asked about each payment that we know of.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from server.domain.book_lines import Direction


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of a provider's books.

    Args:
        direction: whether money came in or went back.
        key: ours: the payment's id, or the key that the refund was asked with; None: the provider does not say.
        reference: the provider's own name for it.
        amount: in minor units of ``currency``, positive.
        currency: ISO 4217.
        time: when it moved.
    """

    direction: Direction
    key: UUID | None
    reference: str
    amount: int
    currency: str
    time: datetime


@runtime_checkable
class GivesStatements(Protocol):
    """A provider that lists what it moved."""

    def movements(self, since: datetime | None) -> AsyncIterator[Movement]:
        """Everything that moved from ``since`` on; None: ever."""
        ...
