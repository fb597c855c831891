"""Acts on providers' messages: asks the provider about what a message names, and has what is open looked at now.

A message changes nothing by itself. A payment or refund of ours that is still open is made due at once, and whoever
works it off asks the provider, compares and writes down, as if its time had come. One that is settled is compared with
the provider's books here; where those say something else, staff have to look at it. So a message that comes twice, too
early, out of order or days late finds nothing left to do.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from server.db.engine import Database
from server.db.models.payments import Payment, Refund
from server.domain import payment_attempts, refund_attempts, webhooks
from server.domain.payment_attempts import wait_before
from server.domain.payment_orders import order_of
from server.domain.webhooks import Message
from server.errors import RowlockError
from server.payments.collecting import Patience, in_time
from server.payments.port import Absent, Captured, Declined, PaymentProvider, Refunded, Unknown
from server.states import PaymentState, Provider, RefundState, WebhookSubject

_TRIES_FOR_THE_UNKNOWN: Final = 4
"""How often a payment is looked for of which a message has only the provider's name, which we may not know yet."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do; in a few words, why. ``due``: what was made due, and can be worked off now."""

    outcome: str
    due: type[Payment | Refund] | None = None


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """Only people can settle this."""

    outcome: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """It cannot be told now."""

    outcome: str


Verdict: TypeAlias = Done | NeedsAttention | NotYet


class WebhookHandler:
    """Works off stored messages.

    Args:
        database: where they are.
        providers: those that this installation is set up for.
        patience: how long to wait for them.
        most_attempts: how often a message is tried before it waits for staff.
        carry_on: has payments, and refunds, that are due worked off now.
    """

    def __init__(
        self,
        database: Database,
        providers: Mapping[Provider, PaymentProvider],
        patience: Patience,
        *,
        most_attempts: int,
        carry_on: Mapping[type[Payment | Refund], Callable[[], Awaitable[None]]],
    ) -> None:
        self._database = database
        self._providers = providers
        self._patience = patience
        self._most_attempts = most_attempts
        self._carry_on = carry_on

    async def take(self, limit: int) -> Sequence[Message]:
        """Take up to ``limit`` due messages up."""
        lease = self._patience.lease
        return await self._database.transaction(lambda session: webhooks.take_due(session, limit, lease))

    async def handle(self, message: Message) -> None:
        """Act on one message, or put it off."""
        try:
            verdict = await self._verdict(message)
        except RowlockError as error:
            verdict = NotYet(error.reason)
        except Exception as error:  # noqa: BLE001 - a message that we cannot handle must end up with staff
            _log.exception("webhook.failed", webhook=str(message.webhook_id))
            verdict = NotYet(f"failed: {type(error).__name__}")
        if isinstance(verdict, NotYet) and message.number >= self._most_attempts:
            verdict = NeedsAttention(verdict.outcome)
        await self._write_down(message, verdict)
        if isinstance(verdict, Done) and verdict.due is not None:
            await self._carry_on[verdict.due]()

    async def _write_down(self, message: Message, verdict: Verdict) -> None:
        outcome = verdict.outcome
        facts = {"webhook": str(message.webhook_id), "kind": message.event.kind, "outcome": outcome}
        match verdict:
            case Done():
                _log.info("webhook.done", **facts)
                await self._database.transaction(lambda session: webhooks.done(session, message, outcome))
            case NeedsAttention():
                _log.error("webhook.needs_attention", **facts, summary=message.event.summary)
                await self._database.transaction(lambda session: webhooks.needs_attention(session, message, outcome))
            case NotYet():
                _log.warning("webhook.put_off", **facts)
                wait = wait_before(message.number, self._patience.first_wait)
                await self._database.transaction(lambda session: webhooks.put_off(session, message, outcome, wait))

    async def _verdict(self, message: Message) -> Verdict:
        event = message.event
        if event.subject is WebhookSubject.OTHER:
            return Done("nothing of ours")
        payment = await self._database.read(lambda session: webhooks.payment_of(session, message))
        if payment is None:
            return _unknown_payment(message)
        if None not in (event.payment_reference, payment.provider_reference) and (
            event.payment_reference != payment.provider_reference
        ):
            return NeedsAttention(f"REFERENCE_MISMATCH: we know the payment as {payment.provider_reference}")
        if event.subject is WebhookSubject.DISPUTE:
            return NeedsAttention(f"DISPUTE: {event.summary}")
        if event.subject is WebhookSubject.REFUND:
            refund = await self._database.read(lambda session: webhooks.refund_of(session, message, payment))
            if refund is not None:
                return await self._judge_refund(payment, refund)
        return await self._judge_payment(payment)

    async def _judge_payment(self, payment: Payment) -> Verdict:
        """Have an open payment asked about, or hold one that succeeded against the provider's books."""
        is_open = await self._database.transaction(
            lambda session: payment_attempts.look_now(session, payment.performance_id, payment.id)
        )
        if is_open:
            return Done("the payment is asked about", due=Payment)
        current, given = await self._database.read(lambda session: webhooks.paid_and_refunded(session, payment))
        if current.state is not PaymentState.SUCCEEDED:
            return Done(f"the payment is {current.state.name}")
        provider = self._providers.get(current.provider)
        if provider is None:
            return NotYet(f"this worker is not set up for {current.provider.name}")
        found = await in_time(provider.find(order_of(current)), self._patience.call)
        return _compared(current, given, found)

    async def _judge_refund(self, payment: Payment, refund: Refund) -> Verdict:
        """Have an open refund asked about, or hold one that is settled against the provider's books."""
        if refund.state in (RefundState.REQUESTED, RefundState.PROCESSING):
            return await self._look_at(refund)
        provider = self._providers.get(payment.provider)
        if provider is None:
            return NotYet(f"this worker is not set up for {payment.provider.name}")
        found = await in_time(provider.find_refund(order_of(payment), refund.provider_key), self._patience.call)
        if isinstance(found, Unknown):
            return NotYet(found.reason)
        return await self._judge_settled(refund, found)

    async def _judge_settled(self, refund: Refund, found: Refunded | Declined | Absent) -> Verdict:
        made = refund_attempts.made_by_provider(refund)
        match found:
            case Refunded() if not made:
                return await self._done_after_all(refund, found)
            case Declined(reason) if made:
                return await self._taken_back(refund, reason)
            case Absent() if made:
                return NeedsAttention(f"REFUND_NOT_FOUND: refund {refund.id} was done, and the provider shows none")
        return Done("nothing new")

    async def _done_after_all(self, refund: Refund, found: Refunded) -> Verdict:
        """The provider had refused a refund, and made it all the same."""
        if not refund_attempts.is_settled(refund):
            return await self._look_at(refund)
        await self._database.transaction(lambda session: refund_attempts.done_as_well(session, refund, found.reference))
        return NeedsAttention(f"PAID_TWICE: refund {refund.id} was settled in another way, and is done as well")

    async def _taken_back(self, refund: Refund, reason: str) -> Verdict:
        """The provider had made a refund, and it has failed since."""
        now = await self._database.transaction(lambda session: refund_attempts.taken_back(session, refund, reason))
        if refund_attempts.made_by_provider(now) and now.provider_key == refund.provider_key:
            return NeedsAttention(f"REFUND_FAILED: the money of refund {refund.id} had been there twice; it failed")
        return Done("the refund was taken back, and is owed again")

    async def _look_at(self, refund: Refund) -> Verdict:
        await self._database.transaction(
            lambda session: refund_attempts.look_now(session, refund.performance_id, refund.id)
        )
        return Done("the refund is asked about", due=Refund)


def _unknown_payment(message: Message) -> Verdict:
    """What to do about money that is not ours, or not yet: the account may be used by others, too."""
    if message.event.payment_name is None and message.number < _TRIES_FOR_THE_UNKNOWN:
        return NotYet("UNKNOWN_PAYMENT")
    if message.event.subject is WebhookSubject.DISPUTE:
        return NeedsAttention(f"DISPUTE about an UNKNOWN_PAYMENT: {message.event.summary}")
    return Done("UNKNOWN_PAYMENT: it is not one of ours")


def _compared(payment: Payment, given: int, found: object) -> Verdict:
    """Hold a payment that succeeded, and the refunds asked for so far, against the provider's books. Pure."""
    if isinstance(found, Unknown):
        return NotYet(found.reason)
    if not isinstance(found, Captured):
        return NeedsAttention(f"NOT_CAPTURED: the provider says {type(found).__name__.upper()}")
    if (found.amount, found.currency) != (payment.amount, payment.currency):
        return NeedsAttention(f"AMOUNT_MISMATCH: {found.amount} {found.currency} at the provider")
    if found.payment_id not in (None, payment.id):
        return NeedsAttention(f"REFERENCE_MISMATCH: the provider took it for payment {found.payment_id}")
    if found.refunded is not None and found.refunded > given:
        return NeedsAttention(
            f"REFUNDED_ELSEWHERE: {found.refunded - given} minor units of {found.currency} went back that nobody "
            "asked for here"
        )
    return Done("nothing new")
