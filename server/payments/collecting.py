"""Carries payments on: what is due is taken up, the provider is asked, and the answer is written down.

Three short transactions at most, and the provider between them, never inside one. A worker may be killed between any
two: what it did is found again by whoever takes the payment up next, because the provider honours the key and the
ledger remembers what it confirmed.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import structlog

from server.db.combining import Combined
from server.db.engine import Database
from server.domain import payment_attempts, payment_doubts, payment_openings
from server.domain.payment_attempts import Attempt, Step, next_step, wait_before
from server.domain.payment_judging import Fate, judge
from server.errors import Aborted, FailedPrecondition, NotFound, RowlockError
from server.payments.port import (
    Absent,
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentProvider,
    Pending,
    Refunded,
    Unknown,
)
from server.seats.commands import Confirm, TakeBack
from server.seats.ledger import Ledger
from server.states import ConfirmedBy, PaymentState, Provider

_SOON: Final = timedelta(seconds=1)
_MOST_QUESTIONS: Final = 5

Answer = TypeVar("Answer")
Outcome = Created | Captured | Declined | Open | Cancelled | Unknown

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a provider.

    Args:
        call: longest wait for one answer.
        first_wait: before an unknown outcome is asked for again; doubled each time.
        longest_hold: for how long a booking waits for its payment.
        ask: before the provider is asked for the first time whether the customer has approved; doubled each time.
    """

    call: timedelta = timedelta(seconds=10)
    first_wait: timedelta = timedelta(seconds=5)
    longest_hold: timedelta = timedelta(minutes=10)
    ask: timedelta = timedelta(seconds=20)

    @property
    def lease(self) -> timedelta:
        """After how long another worker takes over: longer than the two answers that one needs as a rule."""
        return self.call * 3


class Collector:
    """Works off due payments.

    Args:
        database: where payments are.
        ledger: confirms bookings.
        providers: those that this installation is set up for.
        patience: how long to wait for them.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        providers: Mapping[Provider, PaymentProvider],
        patience: Patience,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._providers = providers
        self._patience = patience
        self._creations: Combined[tuple[Attempt, Created], Attempt] = Combined(
            database, lambda session, answers: payment_attempts.created(session, answers, patience.ask)
        )

    async def take(self, limit: int) -> Sequence[Attempt]:
        """Take up to ``limit`` due payments up."""
        lease = self._patience.lease
        return await self._database.transaction(lambda session: payment_attempts.take_due(session, limit, lease))

    async def carry_on(self, attempt: Attempt) -> None:
        """Bring one payment as far as it can be brought now."""
        try:
            await self._ask(attempt)
        except RowlockError as error:
            # Ours, not the provider's: the database went away, or too many reach for the same seats.
            _log.warning("payment.put_off", payment=str(attempt.order.payment_id), reason=error.reason)
            wait = wait_before(attempt.number, _SOON)
            await self._database.transaction(lambda session: payment_attempts.put_off(session, attempt, wait))

    @property
    def lease(self) -> timedelta:
        """After how long another worker takes over."""
        return self._patience.lease

    async def find(self, attempt: Attempt) -> Open | Captured | Declined | Cancelled | Unknown:
        """What the provider says became of a payment; without effect."""
        answer = await self._answer(attempt, Step.FIND)
        return Unknown("the provider spoke of something else") if isinstance(answer, Created) else answer

    async def find_refund(self, attempt: Attempt, key: UUID) -> Refunded | Declined | Absent | Unknown:
        """What the provider says became of a refund of a payment; without effect."""
        provider = self._providers.get(attempt.provider)
        if provider is None:
            return Unknown(f"this worker is not set up for {attempt.provider.name}")
        return await in_time(provider.find_refund(attempt.order, key), self._patience.call)

    async def came_in(self, attempt: Attempt, answer: Captured) -> None:
        """Use money that came in for a payment that was taken to be over without any, or give it back."""
        await self._captured(attempt, answer)

    async def _ask(self, attempt: Attempt) -> None:
        """Ask the provider, question by question, until there is nothing more to learn or to do now."""
        if attempt.order.amount == 0 and attempt.state is PaymentState.PROCESSING:
            await self._confirm(attempt, Captured("", 0, attempt.order.currency))
            return
        step = next_step(attempt)
        if step is Step.NOTHING:
            await self._database.transaction(lambda session: payment_attempts.settled(session, attempt))
        for _ in range(_MOST_QUESTIONS):
            if step is Step.NOTHING:
                return
            answer = await self._answer(attempt, step)
            if isinstance(answer, Created):
                attempt = await self._created(attempt, answer)
                step = Step.NOTHING if attempt.state is PaymentState.REQUIRES_ACTION else next_step(attempt)
            elif isinstance(answer, Open):
                attempt, step = await self._opened(attempt, answer, step)
            else:
                await self._write_down(attempt, answer)
                return
        raise Aborted("CONTENDED", "the provider and we do not come to an end")

    async def _answer(self, attempt: Attempt, step: Step) -> Outcome:
        provider = self._providers.get(attempt.provider)
        if provider is None:
            return Unknown(f"this worker is not set up for {attempt.provider.name}")
        order = attempt.order
        match step:
            case Step.CREATE:
                return await in_time(provider.create(order), self._patience.call)
            case Step.CAPTURE:
                return await in_time(provider.capture(order), self._patience.call)
            case Step.FIND:
                return await in_time(provider.find(order), self._patience.call)
            case _:
                return await in_time(provider.cancel(order), self._patience.call)

    async def _created(self, attempt: Attempt, answer: Created) -> Attempt:
        return await self._creations((attempt, answer))

    async def _opened(self, attempt: Attempt, answer: Open, asked: Step) -> tuple[Attempt, Step]:
        ask = self._patience.ask
        return await self._database.transaction(
            lambda session: payment_openings.opened(session, attempt, answer, asked, ask)
        )

    async def _write_down(self, attempt: Attempt, answer: Captured | Declined | Cancelled | Unknown) -> None:
        match answer:
            case Captured():
                await self._captured(attempt, answer)
            case Declined(reason):
                await self._database.transaction(lambda session: payment_attempts.declined(session, attempt, reason))
            case Cancelled():
                await self._database.transaction(lambda session: payment_attempts.cancelled(session, attempt))
            case Unknown(reason, retry_after):
                pending = isinstance(answer, Pending)
                said = "payment.pending" if pending else "payment.unknown"
                _log.info(said, payment=str(attempt.order.payment_id), reason=reason)
                patience = self._patience
                await self._database.transaction(
                    lambda session: payment_attempts.unknown(
                        session,
                        attempt,
                        pending=pending,
                        first_wait=patience.first_wait,
                        longest_hold=patience.longest_hold,
                        retry_after=retry_after or timedelta(0),
                    )
                )

    async def _captured(self, attempt: Attempt, answer: Captured) -> None:
        judgement = judge(attempt, answer)
        match judgement.fate:
            case Fate.BUYS:
                await self._confirm(attempt, answer)
            case Fate.GOES_BACK:
                await self._give_back(attempt, answer, judgement.reason)
            case Fate.WAITS:
                _log.error("payment.in_doubt", payment=attempt.order.name, doubt=judgement.reason)
                await self._database.transaction(
                    lambda session: payment_doubts.wait_for_staff(session, attempt, judgement.reason)
                )
            case Fate.IS_NOT_OURS:
                await self._database.transaction(lambda session: payment_doubts.put_aside(session, attempt))

    async def _confirm(self, attempt: Attempt, answer: Captured) -> None:
        """Sell the seats, in one transaction with the payment's success; or else give the money back.

        A booking that was left to its own clock meanwhile is sold if it is still held; one that has run out gets its
        places back under a successor, if all of them are free.
        """
        try:
            await self._sell(attempt, answer)
        except (FailedPrecondition, NotFound):
            if await self._database.transaction(lambda session: payment_attempts.hold_again(session, attempt)):
                await self._sell(attempt, answer)
            else:
                await self._take_back(attempt, answer)

    async def _take_back(self, attempt: Attempt, answer: Captured) -> None:
        """Sell what the booking had once more, or give the money back."""
        try:
            successor = await self._ledger.execute(
                TakeBack(
                    performance_id=attempt.performance_id,
                    booking_id=attempt.booking_id,
                    actor_id=None,
                    staff=True,
                    payment_id=attempt.order.payment_id,
                    provider_reference=answer.reference or None,
                    capture_reference=answer.capture_reference,
                )
            )
        except (FailedPrecondition, NotFound) as refusal:
            await self._give_back(attempt, answer, refusal.reason)
        else:
            _log.info("payment.came_late", payment=str(attempt.order.payment_id), bought=str(successor.id))

    async def _sell(self, attempt: Attempt, answer: Captured) -> None:
        await self._ledger.execute(
            Confirm(
                performance_id=attempt.performance_id,
                booking_id=attempt.booking_id,
                actor_id=None,
                staff=True,
                confirmed_by=ConfirmedBy.PROVIDER,
                payment_id=attempt.order.payment_id,
                provider_reference=answer.reference or None,
                capture_reference=answer.capture_reference,
            )
        )

    async def _give_back(self, attempt: Attempt, answer: Captured, refusal: str) -> None:
        _log.warning("payment.came_in_vain", payment=str(attempt.order.payment_id), reason=refusal)
        await self._database.transaction(
            lambda session: payment_attempts.came_in_vain(session, attempt, answer, refusal)
        )


async def in_time(call: Awaitable[Answer], limit: timedelta) -> Answer | Unknown:
    """What a provider answers within ``limit``; whatever goes wrong instead is an outcome that nobody knows."""
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await call
    except TimeoutError:
        return Unknown("no answer in time")
    except Exception as error:  # noqa: BLE001 - an adapter's fault must not be taken for a provider's no
        _log.exception("payment.provider_failed")
        return Unknown(f"{type(error).__name__}")
