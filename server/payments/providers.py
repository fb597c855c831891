"""The payment providers that an installation is set up for."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from server.config import PayPalMode, Settings
from server.db.engine import Database
from server.payments.paypal import LIVE_URL, SANDBOX_URL, PayPal
from server.payments.paypal_api import Credentials, PayPalApi
from server.payments.paypal_certificates import PayPalCertificates
from server.payments.paypal_webhooks import PayPalWebhooks
from server.payments.port import PaymentProvider
from server.payments.simulator import Simulator
from server.payments.stripe_webhooks import StripeWebhooks
from server.payments.webhook_port import WebhookVerifier
from server.states import Provider


def offered(settings: Settings) -> frozenset[Provider]:
    """Those that a new payment may be made with."""
    set_up = {
        Provider.SIMULATOR: settings.simulator_enabled,
        Provider.PAYPAL: settings.paypal_mode is not None,
        Provider.STRIPE: bool(settings.stripe_secret_key),
    }
    return frozenset(provider for provider, is_set_up in set_up.items() if is_set_up)


def connect_providers(settings: Settings, database: Database) -> Mapping[Provider, PaymentProvider]:
    """What speaks to each; nothing is connected before it is needed.

    The simulator is there even where it is not offered: a payment made with it earlier is still carried on.
    """
    providers: dict[Provider, PaymentProvider] = {
        Provider.SIMULATOR: Simulator(
            database, success_rate=settings.simulator_success_rate, delay=settings.simulator_delay
        )
    }
    if settings.paypal_mode is not None:
        providers[Provider.PAYPAL] = connect_paypal(settings)
    if settings.stripe_secret_key:
        # Stripe's library takes a quarter of a second to load, and not every installation needs it.
        from server.payments.stripe_payments import StripePayments  # noqa: PLC0415

        providers[Provider.STRIPE] = StripePayments(
            settings.stripe_secret_key, api_base=settings.stripe_api_base, timeout=settings.payment_call_timeout
        )
    return providers


def connect_verifiers(settings: Settings) -> Mapping[Provider, WebhookVerifier]:
    """What tells each provider's webhooks from forgeries, for those whose webhooks can be believed."""
    verifiers: dict[Provider, WebhookVerifier] = {}
    if settings.stripe_webhook_secrets:
        verifiers[Provider.STRIPE] = StripeWebhooks(
            settings.stripe_webhook_secrets, tolerance=settings.stripe_webhook_tolerance
        )
    if settings.paypal_mode is not None and settings.paypal_webhook_id:
        certificates = PayPalCertificates(
            settings.paypal_base_url,
            live=settings.paypal_mode is PayPalMode.LIVE,
            timeout=settings.payment_call_timeout,
        )
        verifiers[Provider.PAYPAL] = PayPalWebhooks(
            settings.paypal_webhook_id, certificates, tolerance=settings.paypal_webhook_tolerance
        )
    return verifiers


def connect_paypal(settings: Settings) -> PayPal:
    """PayPal, sandbox or live as the settings say, or whoever plays its part."""
    usual = LIVE_URL if settings.paypal_mode is PayPalMode.LIVE else SANDBOX_URL
    credentials = Credentials(settings.paypal_client_id, settings.paypal_client_secret)
    api = PayPalApi(settings.paypal_base_url or usual, credentials, settings.payment_call_timeout)
    return PayPal(api, settings.paypal_return_uri or None)


@runtime_checkable
class Connected(Protocol):
    """A provider that keeps connections open."""

    async def close(self) -> None:
        """Close them."""
        ...


async def close_providers(providers: Mapping[Provider, PaymentProvider]) -> None:
    """Close what the providers keep open."""
    for provider in providers.values():
        if isinstance(provider, Connected):
            await provider.close()
