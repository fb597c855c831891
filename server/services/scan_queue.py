"""Scans on their way to the database: those that wait while one transaction runs travel together in the next.

A door wants its answer in a few milliseconds and a stadium has two hundred doors; a transaction for each scan would
cost more than all the rest of it. A transaction that carries several waits hardly at all for a ticket that somebody
else has locked; if it fails, each scan is tried alone, so that nobody waits or fails for another's reason.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain.check_in_rules import DoorPolicy, Scan
from server.domain.check_ins import Recorded, record
from server.errors import Aborted, RowlockError, Unavailable

_TOGETHER: Final = 64
_IN_FLIGHT: Final = 2
_WAITING: Final = 2000
_ATTEMPTS: Final = 3

_Waiting = tuple[Scan, "asyncio.Future[Recorded]"]
_Outcome = Recorded | Exception


class ScanQueue:
    """Records scans, in the order of their arrival.

    Args:
        database: where to.
        policy: when doors are open.
    """

    def __init__(self, database: Database, policy: DoorPolicy) -> None:
        self._database = database
        self._policy = policy
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        # Counted apart from the tasks: one that has seen that nothing waits takes no more, although it is still there.
        self._working = 0

    async def record(self, scan: Scan) -> Recorded:
        """Record one scan.

        A caller that goes away does not stop it; sent again with its request_id, it ends in the same way.

        Raises:
            NotFound: no such performance, or no such ticket.
            InvalidArgument: REQUEST_ID_REUSED.
            Unavailable: OVERLOADED, or what the database says.
            Aborted: CONTENDED.
        """
        if len(self._waiting) >= _WAITING:
            raise Unavailable("OVERLOADED", "too many scans wait; try again in a moment", retry_after=1)
        outcome: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._waiting.append((scan, outcome))
        self._begin()
        return await outcome

    def record_together(self, session: Session, scans: Sequence[Scan]) -> list[Recorded]:
        """Record scans that came together, in a transaction of the caller's.

        Raises:
            RowlockError: why one of them cannot be recorded; then none is.
            IntegrityError: another process recorded one of them meanwhile; start again.
        """
        recorded = []
        for outcome in record(session, scans, self._policy):
            if isinstance(outcome, RowlockError):
                raise outcome
            recorded.append(outcome)
        return recorded

    async def close(self) -> None:
        """Record what waits, and end."""
        await asyncio.gather(*self._running)

    def _begin(self) -> None:
        """Have what waits carried: at once if nobody does, by a second transaction if there is more than one takes."""
        busy = self._working >= _IN_FLIGHT or (self._working and len(self._waiting) < _TOGETHER)
        if busy or not self._waiting:
            return
        self._working += 1
        # In a context of its own: a transaction serves many callers, and must not inherit the deadline of one.
        task = asyncio.get_running_loop().create_task(self._work(), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._record_batch([self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))])
        finally:
            self._working -= 1

    async def _record_batch(self, batch: Sequence[_Waiting]) -> None:
        scans = [scan for scan, _ in batch]
        outcomes: Sequence[_Outcome]
        try:
            outcomes = await self._database.transaction(
                lambda session: record(session, scans, self._policy, patient=False)
            )
        except (DBAPIError, Aborted):
            await self._record_each(batch)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it
            outcomes = [error] * len(batch)
        for (_, caller), outcome in zip(batch, outcomes, strict=True):
            _tell(caller, outcome)

    async def _record_each(self, batch: Sequence[_Waiting]) -> None:
        """Each alone and all at the same time; meanwhile the scans that wait are carried by others."""
        self._working -= 1
        self._begin()
        try:
            await asyncio.gather(*(self._record_alone(scan, caller) for scan, caller in batch))
        finally:
            self._working += 1

    async def _record_alone(self, scan: Scan, caller: "asyncio.Future[Recorded]") -> None:
        outcome: _Outcome = Aborted("CONTENDED", "the same request is being carried out; send it again")
        for _ in range(_ATTEMPTS):
            try:
                (outcome,) = await self._database.transaction(lambda session: record(session, [scan], self._policy))
            except IntegrityError:
                continue  # another process had the same request_id a moment earlier: its record is there by now
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
                outcome = error
            break
        _tell(caller, outcome)


def _tell(caller: "asyncio.Future[Recorded]", outcome: _Outcome) -> None:
    """Give a caller that still waits its outcome."""
    if caller.done():
        return
    if isinstance(outcome, Exception):
        caller.set_exception(outcome)
    else:
        caller.set_result(outcome)
