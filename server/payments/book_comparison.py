"""Our books beside the providers': every payment and every refund, both ways.

A provider that gives statements is compared line by line. Any other is asked about each payment that it has heard of:
what it took and what it gave back of it. What is under way may stand in one of the books only, and is counted apart.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.engine import Database
from server.domain import book_lines
from server.domain.book_lines import Account, Direction, Line
from server.payments.collecting import in_time
from server.payments.port import Captured, PaymentProvider, Unknown
from server.payments.statements import GivesStatements, Movement
from server.states import Provider

_MARGIN: Final = timedelta(days=1)
"""By how much earlier a provider may have entered what we entered at a time."""
_CALL_LIMIT: Final = timedelta(seconds=30)
_PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (0.5, 2, 5))
"""Before each further question, where a provider does not answer: its bad minute is no difference of books."""
_AT_ONCE: Final = 8
_SHOWN: Final = 1000

Key = tuple[int, UUID]
"""Performance and payment."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What one of the books says and the other does not.

    Attributes:
        provider: whose books.
        name: our name of the payment or the refund, or the provider's where only it knows of it.
        ours: what we say.
        theirs: what the provider says.
    """

    provider: Provider
    name: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.provider.name} {self.name}: ours {self.ours}, theirs {self.theirs}"


@dataclass(slots=True)
class Comparison:
    """What came of comparing.

    Attributes:
        compared: how many lines, or payments with their refunds, are the same in both books or differ.
        under_way: how many are not over yet, and were left out.
        difference_count: how many differ.
        differences: the first of them.
    """

    compared: int = 0
    under_way: int = 0
    difference_count: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the books say the same."""
        return not self.difference_count

    def differs(self, difference: Difference) -> None:
        """One more difference."""
        self.difference_count += 1
        if len(self.differences) < _SHOWN:
            self.differences.append(difference)


async def books_equal(database: Database, providers: Mapping[Provider, PaymentProvider]) -> bool:
    """Whether our books and those of the providers say the same, as far as nothing is under way."""
    return (await compare(database, providers)).equal


async def compare(
    database: Database, providers: Mapping[Provider, PaymentProvider], *, since: datetime | None = None
) -> Comparison:
    """Compare our books with those of each provider.

    Args:
        database: ours.
        providers: who is asked.
        since: from when on; None: from the beginning.
    """
    found = Comparison()
    for provider, connected in providers.items():
        if isinstance(connected, GivesStatements):
            await _by_statement(database, provider, connected, since, found)
        else:
            await _by_asking(database, provider, connected, since, found)
    return found


async def _by_statement(
    database: Database, provider: Provider, connected: GivesStatements, since: datetime | None, found: Comparison
) -> None:
    # What we enter from now on may be missing in a statement that is written now.
    now = await database.read(database_now)
    theirs: dict[tuple[Direction, UUID], Movement] = {}
    async for movement in connected.movements(None if since is None else since - _MARGIN):
        if movement.key is None:
            found.compared += 1
            found.differs(Difference(provider, movement.reference, "nothing", _said(movement)))
        else:
            theirs[movement.direction, movement.key] = movement

    await database.read(
        lambda session: _hold_ours(book_lines.lines(session, provider, since, now), provider, theirs, found)
    )
    left = {key: movement for key, movement in theirs.items() if since is None or movement.time >= since}
    await database.read(lambda session: _hold_the_rest(session, provider, left, found))


def _hold_ours(
    ours: Iterable[Line], provider: Provider, theirs: dict[tuple[Direction, UUID], Movement], found: Comparison
) -> None:
    """Hold each line of ours against theirs, and take it out of these."""
    for line in ours:
        movement = theirs.pop((line.direction, line.key), None)
        found.compared += 1
        if movement is None:
            found.differs(Difference(provider, line.name, _said(line), "nothing"))
        else:
            _hold(provider, line, movement, found)


def _hold_the_rest(
    session: Session, provider: Provider, theirs: Mapping[tuple[Direction, UUID], Movement], found: Comparison
) -> None:
    """Hold what only they seemed to have against ours of another time."""
    for (direction, key), movement in theirs.items():
        line = book_lines.line(session, direction, key)
        if line is None and book_lines.is_under_way(session, direction, key):
            found.under_way += 1
            continue
        found.compared += 1
        if line is None:
            found.differs(Difference(provider, movement.reference, "nothing", _said(movement)))
        else:
            _hold(provider, line, movement, found)


def _hold(provider: Provider, line: Line, movement: Movement, found: Comparison) -> None:
    if (line.amount, line.currency) != (movement.amount, movement.currency):
        found.differs(Difference(provider, line.name, _said(line), _said(movement)))


def _said(line: Line | Movement) -> str:
    return f"a {line.direction.value} of {line.amount} {line.currency}"


async def _by_asking(
    database: Database, provider: Provider, connected: PaymentProvider, since: datetime | None, found: Comparison
) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def hold(key: Key, account: Account) -> None:
        async with gate:
            said = None if account.under_way else await _asked(connected, account)
            if said is not None and said[0] != said[1]:
                # It may have moved between the two looks: both are taken again.
                account = await database.read(lambda session: book_lines.account(session, key))
                said = None if account.under_way else await _asked(connected, account)
        if said is None:
            found.under_way += 1
            return
        found.compared += 1
        if said[0] != said[1]:
            found.differs(Difference(provider, account.order.name, *said))

    async for page in _pages(database, provider, since):
        await asyncio.gather(*(hold(key, account) for key, account in page))


async def _asked(connected: PaymentProvider, account: Account) -> tuple[str, str]:
    """What we say of a payment, and what the provider says; asked again where it does not answer."""
    answer = await in_time(connected.find(account.order), _CALL_LIMIT)
    for pause in _PAUSES:
        if not isinstance(answer, Unknown):
            break
        await asyncio.sleep(pause.total_seconds())
        answer = await in_time(connected.find(account.order), _CALL_LIMIT)
    return _says(account.taken, account.given_back, account.currency), _theirs(answer)


async def _pages(
    database: Database, provider: Provider, since: datetime | None
) -> AsyncIterator[Sequence[tuple[Key, Account]]]:
    after: Key | None = None
    while True:
        rows = await database.read(lambda s, after=after: book_lines.accounts(s, provider, since, after))  # type: ignore[misc]
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _theirs(answer: object) -> str:
    match answer:
        case Captured(amount=amount, currency=currency, refunded=refunded):
            return _says(amount, refunded or 0, currency)
        case Unknown(reason=reason):
            return f"no answer ({reason})"
        case _:
            return "nothing"


def _says(taken: int, given_back: int, currency: str) -> str:
    return f"{taken} {currency} taken, {given_back} given back" if taken else "nothing"
