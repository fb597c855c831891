"""Combines callers' small pieces of work into one transaction (group commit), as the seat ledger does for commands.

While one transaction runs, new items gather, and the next transaction takes all that wait. Under load the cost of a
transaction is shared by dozens of callers; a single caller waits no longer than before.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import tracing
from server.db.engine import Database
from server.errors import Aborted, RowlockError, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)
_WAITING_LIMIT: Final = 10_000
_IMPATIENT: Final = text("SET LOCAL lock_timeout = '100ms'")


class Combined(Generic[Item, Answer]):
    """Work that is done for many callers at once. Belongs to one event loop.

    Args:
        database: where to run.
        work: does everything for the given items in the session it is given, and answers in their order: an answer, or
            the refusal of an item that is to have no effect. It may run again, as every transaction may.
        most: items in one transaction.
        read_only: whether it only reads: then it sees one snapshot.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Session, Sequence[Item]], Sequence[Answer | RowlockError]],
        *,
        most: int = 64,
        read_only: bool = False,
    ) -> None:
        self._transaction = database.read if read_only else database.transaction
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._callers: dict[asyncio.Future[Answer], tracing.Origin] = {}
        """The spans of those who wait, where there are traces."""

    async def __call__(self, item: Item) -> Answer:
        """Have one item worked on, together with whatever else waits.

        Raises:
            RowlockError: refused, and without effect; but OUTCOME_UNKNOWN if the database went away while committing.
        """
        if len(self._waiting) >= _WAITING_LIMIT:
            raise Unavailable("OVERLOADED", "too many requests wait; try again soon", retry_after=1)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None:
            # In a context of its own: it serves many callers, and must not inherit the deadline of the first.
            self._running = asyncio.get_running_loop().create_task(self._run(), context=Context())
        return await (self._traced(answer) if tracing.is_on() else answer)

    async def _traced(self, answer: "asyncio.Future[Answer]") -> Answer:
        self._callers[answer] = tracing.origin()
        try:
            return await answer
        finally:
            del self._callers[answer]

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                if batch:
                    with tracing.span("combined", links=self._origins(batch)):
                        await self._work_on(batch)
        finally:
            self._running = None

    def _origins(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> Sequence[tracing.Origin]:
        return [self._callers[answer] for _, answer in batch if answer in self._callers] if self._callers else ()

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """The next items, without those whose callers have gone."""
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._most:
            item, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((item, answer))
        return batch

    async def _work_on(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        items = [item for item, _ in batch]
        try:
            outcomes: Sequence[Answer | BaseException] = await self._together(items)
        except Aborted as error:
            # Somebody else holds a row that one of the items needs: the others are not to suffer for it.
            outcomes = [error] if len(items) == 1 else await self._one_by_one(items)
        except RowlockError as error:
            outcomes = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 - one poison item must fail alone
            if len(batch) > 1:
                _log.warning("combined.taken_apart", items=len(batch), exc_info=error)
            outcomes = await self._one_by_one(items)
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    def _impatiently(self, session: Session, item: Item) -> Sequence[Answer | RowlockError]:
        session.execute(_IMPATIENT)
        return self._work(session, [item])

    async def _together(self, items: Sequence[Item]) -> Sequence[Answer | RowlockError]:
        return await self._transaction(lambda session: self._work(session, items))

    async def _one_by_one(self, items: Sequence[Item]) -> list[Answer | BaseException]:
        """Each in a transaction of its own that hardly waits for locks: all others wait for this to end."""
        outcomes: list[Answer | BaseException] = []
        for item in items:
            try:
                outcomes += await self._transaction(lambda session, item=item: self._impatiently(session, item))  # type: ignore[misc]
            except Unavailable as error:
                # The database went away: it would say so to all the others, too, one after another.
                return outcomes + [error] * (len(items) - len(outcomes))
            except Exception as error:  # noqa: BLE001 - told to its caller
                outcomes.append(error)
        return outcomes
