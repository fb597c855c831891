"""The port behind which each provider's webhooks are verified: what a message says, and why one is not believed.

A webhook is a hint and nothing more. What it says of amounts and states is not even read here: it names a payment, and
the provider is asked about that. So a verifier's whole task is to tell that a message is the provider's, that it was
sent lately, and what it is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from server.states import WebhookSubject

_FROM_THE_FUTURE: Final = timedelta(minutes=5)
"""How far the provider's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """What a believed message says.

    Args:
        event_id: the provider's own id of what happened. Stays the same when it is delivered again: what comes under
            an id that is known is a repetition.
        kind: the provider's word, such as "payment_intent.succeeded".
        event_time: when it happened, by the provider's clock.
        subject: what it is about, and so what is to be looked at.
        payment_name: our resource name, as ``PaymentOrder.name`` left it at the provider; None: the message does not
            have it, or has something else in its place.
        payment_reference: the provider's name for the payment, as in ``Payment.provider_reference``.
        refund_id: ours, of one refund; None: the message does not have it, or it is not about a refund.
        refund_reference: the provider's name for the refund.
        dispute_reference: the provider's name for the dispute.
        summary: a few words for staff, such as "dispute over 25.00 EUR: fraudulent"; no secrets, at most 200
            characters.
    """

    event_id: str
    kind: str
    event_time: datetime
    subject: WebhookSubject
    payment_name: str | None = None
    payment_reference: str | None = None
    refund_id: UUID | None = None
    refund_reference: str | None = None
    dispute_reference: str | None = None
    summary: str = ""


class UntrustedWebhook(Exception):
    """The message is not the provider's, or is not what the provider sent, or is too old.

    Args:
        said: which, in a few words for the log. The sender is told none of it.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class WebhookVerifier(Protocol):
    """Tells one provider's messages from forgeries."""

    kept_headers: frozenset[str]
    """Lower-case names of the headers that are stored beside the body: those that the signature needs."""

    async def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """Say what the message is about, or that it is not to be believed.

        Called outside any transaction, with whatever the internet sends: headers by lower-case name, a body of any
        content. What is signed but cannot be read is ``UntrustedWebhook``, too.

        Args:
            body: byte for byte as it came.
            headers: by lower-case name; more than needed may be there.
            now: by our clock.

        Raises:
            UntrustedWebhook: see there.
            Unavailable: it cannot be told now (a certificate could not be had); the provider delivers it again.
        """
        ...


def require_recent(sent: datetime, now: datetime, tolerance: timedelta) -> None:
    """Refuse what was sent too long ago, or from the future.

    Raises:
        UntrustedWebhook: it was.
    """
    if now - sent > tolerance:
        raise UntrustedWebhook("it was sent too long ago")
    if sent - now > _FROM_THE_FUTURE:
        raise UntrustedWebhook("it was sent in the future")


def word(value: object, longest: int) -> str | None:
    """A text of a provider's that can be stored, of 1 to ``longest`` characters; None: it is something else."""
    is_word = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
    return str(value) if is_word else None


def required_word(value: object, longest: int) -> str:
    """The same, where there has to be one.

    Raises:
        ValueError: there is none.
    """
    found = word(value, longest)
    if found is None:
        raise ValueError("a word is missing")
    return found
