"""How payments are driven, and the providers that customers pay with."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, model_validator
from pydantic_settings import NoDecode

from server.config.area import PREFIX, Area, minutes, seconds, setting
from server.config.values import Duration, PositiveDuration, read_commas


class PayPalMode(StrEnum):
    """Which PayPal money moves at."""

    SANDBOX = "sandbox"
    LIVE = "live"


def _provider_base_url(value: str) -> str:
    """Money and secrets go there: nothing but TLS, unless it is this machine."""
    if not value:
        return value
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in {"127.0.0.1", "::1", "localhost"})
        bare = url.path in {"", "/"} and not (url.query or url.fragment or url.username)
        if safe and bare and url.hostname and (url.port or 0) >= 0:
            return value.rstrip("/")
    raise ValueError("must be such as https://api.example, or http:// at 127.0.0.1, without a path")


def _stripe_key(value: str) -> str:
    if not value or value.startswith(("sk_", "rk_")):
        return value
    raise ValueError("must be a secret key (sk_…) or a restricted one (rk_…), not a publishable one")


def _signing_secrets(value: tuple[str, ...]) -> tuple[str, ...]:
    if all(secret.startswith("whsec_") for secret in value):
        return value
    raise ValueError("must be signing secrets of a webhook endpoint, each beginning with whsec_")


ProviderBaseUrl = Annotated[str, AfterValidator(_provider_base_url)]


class PaymentSettings(Area):
    """What holds for every provider, and the simulator."""

    heading = "Payments"

    payment_call_timeout: PositiveDuration = setting(
        seconds(10),
        "Longest wait for one answer of the provider; past it the outcome is unknown.",
    )
    payment_max_time: PositiveDuration = setting(minutes(10), "A payment keeps its hold alive for at most this long.")
    payment_resolve_interval: PositiveDuration = setting(
        seconds(5),
        "First wait before an unknown outcome is asked for again; it doubles up to 5 min.",
    )
    payment_ask_interval: PositiveDuration = setting(
        seconds(20),
        "First wait before a provider is asked whether the customer has approved there, which no webhook is needed "
        "for; it doubles up to 5 min, and the provider is asked once more when the hold ends.",
    )
    payment_compare_after: PositiveDuration = setting(
        timedelta(days=1),
        "How long after its end, and after a refund of it, a payment is compared with the provider's books.",
    )
    refund_rate: float = setting(
        20.0,
        "Most refunds a second that all workers together ask of each provider; 0: any number. A cancelled performance "
        "makes thousands at once.",
        ge=0,
        le=10_000,
    )
    simulator: bool | None = setting(
        None,
        "Whether customers may pay with the simulator, which moves no money. Unset: on in development, off in "
        "production.",
    )
    simulator_success_rate: float = setting(
        0.8, "Share of simulated payments that succeed when no outcome was scripted.", ge=0, le=1
    )
    simulator_delay: Duration = setting(timedelta(0), "How long the simulator takes to answer.")


class PayPalSettings(Area):
    """The account at PayPal."""

    heading = "PayPal"

    paypal_mode: PayPalMode | None = setting(
        None,
        "Which PayPal customers may pay with: `sandbox`, where no money moves, or `live`. Unset: neither.",
    )
    paypal_client_id: str = setting("", "Client id of the REST app, from PayPal's developer dashboard.")
    paypal_client_secret: str = setting("", "Secret of the same app.", repr=False)
    paypal_return_uri: str = setting(
        "",
        "Where PayPal sends customers after the approval if their payment names no place. PayPal shows them an error "
        "there if neither does.",
        pattern=r"^(https://\S+)?$",
    )
    paypal_webhook_id: str = setting(
        "",
        "Id of the webhook that PayPal was told of, such as 1JE4291016473214C; its messages are refused if this is "
        "empty, and outcomes are then found by asking alone.",
    )
    paypal_webhook_tolerance: PositiveDuration = setting(
        timedelta(days=4),
        "A webhook that was sent longer ago is not believed. PayPal repeats one for three days.",
    )
    paypal_base_url: ProviderBaseUrl = setting(
        "",
        "Where PayPal is, if not where it always is: `rowlock fake-provider` for trying and testing. Certificates of "
        "webhooks are then believed from there only.",
    )

    @model_validator(mode="after")
    def _paypal_is_whole(self) -> Self:
        if self.paypal_mode is not None and not (self.paypal_client_id and self.paypal_client_secret):
            raise ValueError(f"{PREFIX}PAYPAL_MODE needs {PREFIX}PAYPAL_CLIENT_ID and {PREFIX}PAYPAL_CLIENT_SECRET")
        if self.paypal_mode is PayPalMode.LIVE and self.paypal_base_url:
            raise ValueError(f"{PREFIX}PAYPAL_MODE=live is PayPal itself: unset {PREFIX}PAYPAL_BASE_URL")
        return self


class StripeSettings(Area):
    """The account at Stripe."""

    heading = "Stripe"

    stripe_secret_key: Annotated[str, AfterValidator(_stripe_key)] = setting(
        "",
        "Secret key of the Stripe account, or a restricted key that may write payment intents and refunds. Empty: "
        "nobody pays with Stripe.",
        repr=False,
    )
    stripe_webhook_secrets: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(read_commas), AfterValidator(_signing_secrets)
    ] = setting(
        (),
        "Signing secrets of the webhook endpoint (whsec_…), by commas: two while one takes the place of the other. "
        "Empty: Stripe's webhooks are turned away, and payments are found out about by asking.",
        repr=False,
    )
    stripe_webhook_tolerance: PositiveDuration = setting(
        minutes(5), "A webhook whose signature is older is not believed."
    )
    stripe_api_base: ProviderBaseUrl = setting(
        "https://api.stripe.com", "Where Stripe's API is; to be changed for tests only."
    )


class WebhookSettings(Area):
    """What providers tell."""

    heading = "Webhooks"

    webhook_attempts: int = setting(
        30,
        "How often a provider's message is worked on, at growing intervals, before it waits for staff.",
        ge=1,
        le=1000,
    )
    webhook_retention: PositiveDuration = setting(
        timedelta(days=90),
        "How long messages that are done with are kept. Longer than a provider delivers again, which is some days.",
    )
