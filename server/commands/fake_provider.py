"""`rowlock fake-provider`: a PayPal to try, test and measure with."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from server.config import Environment, SettingsError, load_settings

app = typer.Typer()

_HOSTS: Final = ("127.0.0.1", "[::1]")


@app.command()
def fake_provider(
    address: Annotated[
        str, typer.Option(help="Where to listen (host:port), on this machine only; port 0: any that is free.")
    ] = "127.0.0.1:8443",
    webhook_url: Annotated[str, typer.Option(help="Where to send webhooks; without: nowhere.")] = "",
    fault_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of calls that end in silence, in an error, or late.")
    ] = 0.0,
    decline_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of captures that are declined.")] = 0.0,
    *,
    auto_approve: Annotated[bool, typer.Option(help="Approve every order at once, as no customer would.")] = False,
) -> None:
    """Play PayPal's part, for trying and testing: no money moves, and all is forgotten at the end.

    Start it, give the lines that it prints to `rowlock up` or `rowlock serve`, `worker` and `scheduler`, and pay with
    `rowlock pay --provider paypal`. GET /fake/books shows what was taken and given back.
    """
    import uvloop

    from server.fake_provider.behaviour import Behaviours
    from server.fake_provider.provider import FakeProvider
    from server.fake_provider.serving import application, listen, server_of, url_of

    if load_settings().environment is Environment.PRODUCTION:
        raise SettingsError("ROWLOCK_ENVIRONMENT=production: a fake provider has no business there")
    host, _, port = address.rpartition(":")
    if host not in _HOSTS or not port.isdecimal():
        raise SettingsError(f"--address {address}: must be 127.0.0.1:port or [::1]:port: it asks nobody who they are")
    try:
        listener = listen(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--address {address}: {error}") from None
    provider = FakeProvider(
        url_of(listener),
        behaviours=Behaviours(fault_rate=fault_rate, decline_rate=decline_rate),
        auto_approve=auto_approve,
        webhook_url=webhook_url or None,
    )
    identity = provider.identity
    for name, value in (
        ("MODE", "sandbox"),
        ("BASE_URL", provider.base_url),
        ("CLIENT_ID", identity.client_id),
        ("CLIENT_SECRET", identity.client_secret),
        ("WEBHOOK_ID", identity.webhook_id),
    ):
        print(f"ROWLOCK_PAYPAL_{name}={value}", flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server_of(application(provider)).serve([listener]))
