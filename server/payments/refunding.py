"""Gives money back: takes due refunds up, asks the provider, writes the answer down. See ``collecting``."""

from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy.orm import Session

from server.db.combining import Combined
from server.db.engine import Database
from server.domain import refund_attempts, refund_pace
from server.domain.payment_attempts import wait_before
from server.domain.refund_attempts import RefundAttempt
from server.errors import RowlockError
from server.payments.collecting import Patience, in_time
from server.payments.port import Absent, Declined, PaymentProvider, Pending, Refunded, Unknown
from server.states import Provider

_log = structlog.get_logger(__name__)


class Refunder:
    """Works off due refunds.

    Args:
        database: where refunds are.
        providers: those that this installation is set up for.
        patience: how long to wait for them.
        rate: how many refunds a second all workers together ask each provider for; None: any number.
    """

    def __init__(
        self,
        database: Database,
        providers: Mapping[Provider, PaymentProvider],
        patience: Patience,
        *,
        rate: float | None = None,
    ) -> None:
        self._database = database
        self._providers = providers
        self._patience = patience
        self._rate = rate
        self._pause: float | None = None
        self._done: Combined[tuple[RefundAttempt, str], None] = Combined(database, _write_down)

    async def take(self, limit: int) -> Sequence[RefundAttempt]:
        """Take up to ``limit`` due refunds up, no more than the rate allows."""
        lease, rate = self._patience.lease, self._rate
        taken = await self._database.transaction(lambda session: refund_pace.take_due(session, limit, lease, rate))
        self._pause = taken.pause
        return taken.attempts

    def pause(self) -> float | None:
        """After how many seconds the rate allows more of what was due a moment ago; None: all of it was taken up."""
        return self._pause

    async def carry_on(self, attempt: RefundAttempt) -> None:
        """Ask for one refund, with its key, and write down what came of it."""
        try:
            await self._ask(attempt)
        except RowlockError as error:
            # Ours, not the provider's: the database went away. When the lease is over it is found out what was done.
            _log.warning("refund.put_off", refund=str(attempt.refund_id), reason=error.reason)

    async def _ask(self, attempt: RefundAttempt) -> None:
        match await self._answer(attempt):
            case Refunded(reference):
                await self._done((attempt, reference))
            case Declined(reason):
                _log.error("refund.failed", refund=str(attempt.refund_id), reason=reason)
                await self._database.transaction(lambda session: refund_attempts.failed(session, attempt, reason))
            case Unknown(reason, retry_after) as answer:
                wait = wait_before(attempt.number, self._patience.first_wait)
                wait = wait if retry_after is None else max(wait, retry_after)
                pending = isinstance(answer, Pending)
                said = "refund.pending" if pending else "refund.unknown"
                _log.info(said, refund=str(attempt.refund_id), reason=reason)
                # That it is being reviewed is no failure, and is shown as none.
                failure = None if pending else reason
                await self._database.transaction(
                    lambda session: refund_attempts.not_yet(session, attempt, failure, wait)
                )

    async def _answer(self, attempt: RefundAttempt) -> Refunded | Declined | Unknown:
        provider = self._providers.get(attempt.provider)
        if provider is None:
            return Unknown(f"this worker is not set up for {attempt.provider.name}")
        if attempt.number > 1:
            # It may have been done the first time, and providers do not remember a key for ever.
            found = await in_time(provider.find_refund(attempt.order, attempt.key), self._patience.call)
            if not isinstance(found, Absent):
                return found
        call = provider.refund(attempt.order, attempt.key, attempt.amount)
        return await in_time(call, self._patience.call)


def _write_down(session: Session, answers: Sequence[tuple[RefundAttempt, str]]) -> list[None]:
    refund_attempts.done(session, answers)
    return [None] * len(answers)
