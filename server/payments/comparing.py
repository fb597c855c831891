"""Compares payments that are over with the provider's books. See ``server.domain.payment_comparison``."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from server.db.engine import Database
from server.db.models.payments import Refund
from server.domain import payment_comparison, refund_attempts
from server.domain.payment_comparison import Comparison
from server.payments.collecting import Collector
from server.payments.port import Captured, Declined, Unknown
from server.states import PaymentState

_NOT_NOW: Final = timedelta(hours=1)
"""When to try again if the provider does not answer, or a refund is under way."""

_log = structlog.get_logger(__name__)


class Comparer:
    """Works off payments that are to be compared.

    Args:
        database: where payments are.
        collector: asks the providers, and knows what to do with money that came in after all.
        after: how long after its end a payment is compared.
    """

    def __init__(self, database: Database, collector: Collector, after: timedelta) -> None:
        self._database = database
        self._collector = collector
        self._after = after

    async def take(self, limit: int) -> Sequence[Comparison]:
        """Take up to ``limit`` payments up."""
        lease = self._collector.lease
        return await self._database.transaction(
            lambda session: payment_comparison.take_comparable(session, limit, self._after, lease)
        )

    async def carry_on(self, comparison: Comparison) -> None:
        """Compare one payment."""
        attempt = comparison.attempt
        if attempt.order.reference is None:
            await self._compared(comparison, None)
            return
        answer = await self._collector.find(attempt)
        if isinstance(answer, Unknown) or comparison.refunded is None:
            await self._later(comparison, _NOT_NOW)
        elif isinstance(answer, Captured) and attempt.state is not PaymentState.SUCCEEDED:
            _log.error("payment.captured_after_its_end", payment=attempt.order.name, state=attempt.state.name)
            # The next comparison is of what becomes of it: its end sets the time anew.
            await self._collector.came_in(attempt, answer)
        elif isinstance(answer, Captured) and await self._took_refunds_back(comparison, answer):
            await self._later(comparison, timedelta(0))
        else:
            await self._compared(comparison, payment_comparison.discrepancy(comparison, answer))

    async def _took_refunds_back(self, comparison: Comparison, answer: Captured) -> bool:
        """Whether the provider gave back less than we know of, because refunds failed after they were done."""
        if answer.refunded is None or comparison.refunded is None or answer.refunded >= comparison.refunded:
            return False
        attempt = comparison.attempt
        made = await self._database.read(
            lambda session: refund_attempts.made_for(session, attempt.performance_id, attempt.order.payment_id)
        )
        taken_back = False
        for refund in made:
            found = await self._collector.find_refund(attempt, refund.provider_key)
            if isinstance(found, Declined):
                taken_back |= await self._take_back(refund, found.reason)
        return taken_back

    async def _take_back(self, refund: Refund, reason: str) -> bool:
        now = await self._database.transaction(lambda session: refund_attempts.taken_back(session, refund, reason))
        return not refund_attempts.made_by_provider(now)

    async def _later(self, comparison: Comparison, wait: timedelta) -> None:
        after = self._after
        await self._database.transaction(
            lambda session: payment_comparison.compare_later(session, comparison, after, wait)
        )

    async def _compared(self, comparison: Comparison, found: str | None) -> None:
        if found is not None:
            _log.error("payment.discrepancy", payment=comparison.attempt.order.name, found=found)
        await self._database.transaction(
            lambda session: payment_comparison.compared(session, comparison, found, self._after)
        )
