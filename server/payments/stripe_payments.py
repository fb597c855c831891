"""Stripe behind the port: one payment intent for each payment, captured by us and by nobody else.

The intent has the capture method ``manual``: the customer's browser confirms it with the client secret, Stripe
reserves the money, and it is taken when ``CapturePayment`` says so. Its metadata carries our name of the payment, so
that the books at Stripe can be held against ours, and a webhook says at once what it is about.

What makes a repetition harmless. Creating an intent and giving money back are made with an idempotency key, our id of
the payment or of the refund. Capturing and cancelling need none: an intent is captured in full once in its life, and
says so when it is asked again. A key would do harm there, because Stripe keeps a first answer for a day even if it was
a fault of its own, and would repeat the fault when the money could be taken long since. For the same reason nothing is
repeated inside the library: whoever calls decides when to ask again.
"""

import logging
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import stripe
import structlog
from stripe import Charge, HTTPXClient, PaymentIntent, Refund, StripeClient

from server.payments.port import (
    Absent,
    Cancelled,
    Captured,
    Created,
    Declined,
    Open,
    PaymentOrder,
    Pending,
    Refunded,
    Unknown,
)
from server.payments.statements import Movement
from server.payments.stripe_amounts import from_stripe, to_stripe
from server.payments.stripe_metadata import PAYMENT_ID_KEY, PAYMENT_KEY, REFUND_ID_KEY, id_in
from server.payments.stripe_statement import movements

_APPROVABLE: Final = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_DECIDED: Final = frozenset({"succeeded", "failed", "canceled"})
"""States of a refund."""
_REFUSED: Final = (stripe.CardError, stripe.InvalidRequestError)
"""A no: Stripe has understood, and did nothing. Everything else may have had its effect."""
_REPEATED_FAULT: Final = Unknown("Stripe repeats a fault that it made under this key")

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


class StripePayments:
    """The provider.

    Args:
        secret_key: the account's, ``sk_…`` or a restricted one that may write payment intents and refunds.
        api_base: where the API is, without a path.
        timeout: longest wait for an answer; the caller limits it, too.
    """

    def __init__(self, secret_key: str, *, api_base: str, timeout: timedelta) -> None:
        # It logs every call, and below INFO what is in it.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._http = HTTPXClient(timeout=timeout.total_seconds())
        client = StripeClient(
            secret_key, base_addresses={"api": api_base}, http_client=self._http, max_network_retries=0
        )
        self._client = client
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def create(self, order: PaymentOrder) -> Created | Declined | Unknown:
        """Make the intent, or find it again by the key."""
        amount = to_stripe(order.amount, order.currency)
        if amount is None:
            return Declined("AMOUNT_NOT_CHARGEABLE")
        intent = await self._new_intent(order, amount, key=str(order.payment_id))
        if intent == _REPEATED_FAULT:
            # Under this key it will say so for a day. An intent whose secret nobody has is never paid, so if there is
            # one already, another does no harm.
            intent = await self._new_intent(order, amount, key=f"{order.payment_id}-again")
        match intent:
            case PaymentIntent():
                return Created(intent.id, client_secret=intent.client_secret)
            case Unknown():
                return intent
            case refusal:
                return Declined(_reason(refusal))

    async def capture(self, order: PaymentOrder) -> Captured | Declined | Open | Unknown:
        """Take the money. An intent whose card was refused in the browser is closed: no other card pays by it."""
        intent = await _asked(self._intents.capture_async(_reference(order), {"expand": ["latest_charge"]}))
        match intent:
            case PaymentIntent():
                found = _found(intent)
            case Unknown():
                return intent
            case _:
                # It was captured before, or the customer has not confirmed it, or the reservation lapsed.
                known = await self._retrieve(order)
                if not isinstance(known, PaymentIntent):
                    return known if isinstance(known, Unknown) else Declined(_reason(known))
                if known.status == "requires_payment_method" and known.last_payment_error is not None:
                    return await self._close_refused(order, known)
                found = _found(known)
                if found == Open(known.id, approved=True):
                    # It could be taken, and was refused all the same, for a reason that may pass.
                    return Unknown(_reason(intent))
        return Declined("CANCELLED") if isinstance(found, Cancelled) else found

    async def find(self, order: PaymentOrder) -> Open | Captured | Declined | Cancelled | Unknown:
        """Look the intent up."""
        known = await self._retrieve(order)
        match known:
            case PaymentIntent():
                return _found(known)
            case Unknown():
                return known
            case _ if _is_absent(known):
                return Cancelled()
            case refusal:
                return Unknown(_reason(refusal))

    async def cancel(self, order: PaymentOrder) -> Cancelled | Captured | Unknown:
        """Cancel the intent; what was reserved is free again at once."""
        intent = await _asked(self._intents.cancel_async(_reference(order)))
        if isinstance(intent, Unknown):
            return intent
        # What was refused is cancelled already, or captured.
        found = _found(intent) if isinstance(intent, PaymentIntent) else await self.find(order)
        if isinstance(found, Cancelled | Captured | Unknown):
            return found
        return Unknown("the intent was not cancelled")

    async def refund(self, order: PaymentOrder, refund_id: UUID, amount: int) -> Refunded | Declined | Unknown:
        """Give money back. What Stripe refuses is looked for first: the key may be forgotten and the refund done."""
        minor = to_stripe(amount, order.currency)
        if minor is None:
            return Declined("AMOUNT_NOT_CHARGEABLE")
        refund = await _asked(
            self._refunds.create_async(
                {
                    "payment_intent": _reference(order),
                    "amount": minor,
                    "metadata": {PAYMENT_KEY: order.name, REFUND_ID_KEY: str(refund_id)},
                },
                {"idempotency_key": str(refund_id)},
            )
        )
        match refund:
            case Refund():
                # What is said under a known key was true when it was said first: it may be done by now.
                is_decided = refund.status in _DECIDED
                return _refund_found(refund) if is_decided else await self._refund_by_name(refund.id)
            case Unknown():
                return refund
            case refusal:
                found = await self.find_refund(order, refund_id)
                return Declined(_reason(refusal)) if isinstance(found, Absent) else found

    async def find_refund(self, order: PaymentOrder, refund_id: UUID) -> Refunded | Declined | Absent | Unknown:
        """Look for the refund among those of the intent."""
        after = ""
        while True:
            page = await _asked(
                self._refunds.list_async(
                    {"payment_intent": _reference(order), "limit": 100, **({"starting_after": after} if after else {})}
                )
            )
            if isinstance(page, Unknown):
                return page
            if isinstance(page, stripe.StripeError):
                return Absent() if _is_absent(page) else Unknown(_reason(page))
            for refund in page.data:
                if _written(refund, REFUND_ID_KEY) == str(refund_id):
                    return _refund_found(refund)
            if not page.has_more or not page.data:
                return Absent()
            after = page.data[-1].id

    async def _new_intent(
        self, order: PaymentOrder, amount: int, *, key: str
    ) -> PaymentIntent | stripe.StripeError | Unknown:
        return await _asked(
            self._intents.create_async(
                {
                    "amount": amount,
                    "currency": order.currency.lower(),
                    "capture_method": "manual",
                    "automatic_payment_methods": {"enabled": True},
                    "metadata": {PAYMENT_KEY: order.name, PAYMENT_ID_KEY: str(order.payment_id)},
                },
                {"idempotency_key": key},
            )
        )

    def movements(self, since: datetime | None) -> AsyncIterator[Movement]:
        """What Stripe's books say; see ``stripe_statement``."""
        return movements(self._client, since)

    async def _refund_by_name(self, reference: str) -> Refunded | Declined | Unknown:
        refund = await _asked(self._refunds.retrieve_async(reference))
        if isinstance(refund, Refund):
            return _refund_found(refund)
        return refund if isinstance(refund, Unknown) else Unknown(_reason(refund))

    async def _retrieve(self, order: PaymentOrder) -> PaymentIntent | stripe.StripeError | Unknown:
        return await _asked(self._intents.retrieve_async(_reference(order), {"expand": ["latest_charge"]}))

    async def _close_refused(self, order: PaymentOrder, intent: PaymentIntent) -> Captured | Declined | Unknown:
        """End an intent whose card was refused, so that what is said of it stays true."""
        ended = await self.cancel(order)
        return Declined(_why_refused(intent)) if isinstance(ended, Cancelled) else ended


async def _asked(call: Awaitable[Answer]) -> Answer | stripe.StripeError | Unknown:
    """The answer; or the error with which Stripe refused; or that it is not known what Stripe did."""
    try:
        return await call
    except _REFUSED as refusal:
        return refusal
    except stripe.RateLimitError as error:
        return Unknown("rate limit", _retry_after(error))
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.IdempotencyError) as error:
        # A wrong key, or a fault of ours: it has to be mended, and nobody's payment fails because of it.
        _log.error("stripe.not_allowed", error=type(error).__name__, said=str(error))
        return Unknown(type(error).__name__)
    except stripe.StripeError as error:
        if (error.headers or {}).get("idempotent-replayed") == "true":
            return _REPEATED_FAULT
        return Unknown(f"{type(error).__name__} {error.http_status or ''}".strip(), _retry_after(error))


def _found(intent: PaymentIntent) -> Open | Captured | Cancelled | Unknown:
    """What an intent's status means to us."""
    if intent.status == "succeeded":
        return _captured(intent)
    if intent.status == "canceled":
        return Cancelled()
    if intent.status == "requires_capture":
        return Open(intent.id, approved=True)
    if intent.status in _APPROVABLE:
        return Open(intent.id)
    if intent.status == "processing":
        return Pending("the intent is processing")
    return Unknown(f"the intent is {intent.status}")


def _captured(intent: PaymentIntent) -> Captured:
    currency = intent.currency.upper()
    charge = intent.latest_charge
    return Captured(
        reference=intent.id,
        amount=from_stripe(intent.amount_received, currency),
        currency=currency,
        capture_reference=charge.id if isinstance(charge, Charge) else charge,
        payment_id=id_in(_written(intent, PAYMENT_ID_KEY)),
        refunded=from_stripe(charge.amount_refunded, currency) if isinstance(charge, Charge) else None,
    )


def _refund_found(refund: Refund) -> Refunded | Declined | Unknown:
    if refund.status == "succeeded":
        return Refunded(refund.id)
    if refund.status in ("failed", "canceled"):
        return Declined(getattr(refund, "failure_reason", None) or refund.status)
    return Pending(f"the refund is {refund.status}")


def _reference(order: PaymentOrder) -> str:
    assert order.reference is not None, "it is created first"  # noqa: S101
    return order.reference


def _written(thing: PaymentIntent | Refund, key: str) -> str | None:
    """What we wrote into the metadata of something at Stripe."""
    written = thing.metadata.to_dict() if thing.metadata else {}
    value = written.get(key)
    return value if isinstance(value, str) else None


def _why_refused(intent: PaymentIntent) -> str:
    error = intent.last_payment_error
    for name in ("decline_code", "code", "type"):
        word = getattr(error, name, None)
        if word:
            return str(word)
    return "declined"


def _reason(error: stripe.StripeError) -> str:
    """Stripe's word for a refusal: the bank's, if there is one."""
    body = error.error
    return str(getattr(body, "decline_code", None) or error.code or type(error).__name__)


def _is_absent(error: stripe.StripeError) -> bool:
    return error.http_status == 404


def _retry_after(error: stripe.StripeError) -> timedelta | None:
    said = (error.headers or {}).get("retry-after", "")
    return timedelta(seconds=int(said)) if said.isdecimal() and len(said) < 6 else None
