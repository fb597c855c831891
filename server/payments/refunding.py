"""Gives money back: takes due refunds up, asks the provider, writes the answer down. See ``collecting``."""

from collections.abc import Mapping, Sequence

import structlog

from server.db.engine import Database
from server.domain import refunds
from server.domain.payment_attempts import wait_before
from server.domain.refunds import RefundAttempt
from server.payments.collecting import Patience, in_time
from server.payments.port import Declined, PaymentProvider, Refunded, Unknown
from server.states import Provider

_log = structlog.get_logger(__name__)


class Refunder:
    """Works off due refunds.

    Args:
        database: where refunds are.
        providers: those that this installation is set up for.
        patience: how long to wait for them.
    """

    def __init__(self, database: Database, providers: Mapping[Provider, PaymentProvider], patience: Patience) -> None:
        self._database = database
        self._providers = providers
        self._patience = patience

    async def take(self, limit: int) -> Sequence[RefundAttempt]:
        """Take up to ``limit`` due refunds up."""
        lease = self._patience.lease
        return await self._database.transaction(lambda session: refunds.take_due(session, limit, lease))

    async def carry_on(self, attempt: RefundAttempt) -> None:
        """Ask for one refund, with its id as the key, and write down what came of it."""
        match await self._answer(attempt):
            case Refunded(reference):
                await self._database.transaction(lambda session: refunds.done(session, attempt, reference))
            case Declined(reason):
                _log.error("refund.failed", refund=str(attempt.refund_id), reason=reason)
                await self._database.transaction(lambda session: refunds.failed(session, attempt, reason))
            case Unknown(reason):
                wait = wait_before(attempt.number, self._patience.first_wait)
                _log.info("refund.unknown", refund=str(attempt.refund_id), reason=reason)
                await self._database.transaction(lambda session: refunds.not_yet(session, attempt, reason, wait))

    async def _answer(self, attempt: RefundAttempt) -> Refunded | Declined | Unknown:
        provider = self._providers.get(attempt.provider)
        if provider is None:
            return Unknown(f"this worker is not set up for {attempt.provider.name}")
        call = provider.refund(attempt.order, attempt.key, attempt.amount)
        return await in_time(call, self._patience.call)
