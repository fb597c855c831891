"""Lets calls wait until a worker has said something of their payments: one question for all that wait."""

import asyncio
from contextvars import Context
from typing import Final
from uuid import UUID

import structlog

from server.db.engine import Database
from server.domain.payment_reads import ShownPayment, by_keys
from server.errors import RowlockError

_LOOK_INTERVAL: Final = 0.03

_log = structlog.get_logger(__name__)


class PaymentOutcomes:
    """The payments of this process that somebody waits for. It asks only while there are any.

    Args:
        database: where the payments are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[int, UUID], set[asyncio.Future[ShownPayment]]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def wait(self, performance_id: int, payment_id: UUID, seconds: float) -> ShownPayment:
        """The payment when it is no longer PROCESSING, or as it is after ``seconds``."""
        key = (performance_id, payment_id)
        said: asyncio.Future[ShownPayment] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(said)
        if self._asking is None:
            # In a context of its own: it must not inherit the deadline of the call that came first.
            self._asking = asyncio.get_running_loop().create_task(self._ask(), context=Context())
        try:
            await asyncio.wait({said}, timeout=max(seconds, 0))
        finally:
            self._waiting[key].discard(said)
            if not self._waiting[key]:
                del self._waiting[key]
        if said.done():
            return said.result()
        (shown,) = await self._database.read(lambda session: by_keys(session, [key], decided=False))
        return shown

    async def _ask(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_LOOK_INTERVAL)
                try:
                    await self._look()
                except RowlockError as error:
                    _log.warning("payment_outcomes.look_failed", reason=error.reason)
        finally:
            self._asking = None

    async def _look(self) -> None:
        keys = list(self._waiting)
        for shown in await self._database.read(lambda session: by_keys(session, keys, decided=True)):
            for said in self._waiting.get((shown.payment.performance_id, shown.payment.id), ()):
                if not said.done():
                    said.set_result(shown)
