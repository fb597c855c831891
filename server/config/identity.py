"""Who calls, and how often."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from server.config.area import Area, minutes, seconds, setting
from server.config.values import Duration, Networks, PositiveDuration, Rate


class IdentitySettings(Area):
    """Access tokens and sessions."""

    heading = "Identity"

    jwt_issuer: str = setting("https://rowlock.dev", "`iss` of access tokens.", min_length=1)
    jwt_audience: str = setting("rowlock", "`aud` of access tokens.", min_length=1)
    jwt_private_key_file: Path | None = setting(
        None,
        "PEM file with the Ed25519 private key that signs access tokens; further keys in it are accepted, not used. "
        "Unset: one is made and kept in the database (development).",
    )
    access_token_ttl: PositiveDuration = setting(minutes(15), "Validity of an access token.")
    refresh_token_ttl: PositiveDuration = setting(timedelta(days=30), "Validity of a refresh token.")
    refresh_reuse_window: Duration = setting(
        seconds(10),
        "A refresh token presented again within this time gets the same successor (a lost answer); "
        "later it counts as stolen and ends the session.",
    )
    token_cache_size: int = setting(100_000, "Verified access tokens remembered per process.", ge=0, le=10_000_000)
    revocation_poll_interval: PositiveDuration = setting(
        seconds(5), "How often a process reads which sessions were revoked."
    )


class RateSettings(Area):
    """How often anybody may call."""

    heading = "Rate limits"

    rate_limits: bool = setting(True, "Whether rate limits apply.")
    rate_limit_account: Rate = setting("600/minute", "Calls per account.")
    rate_limit_address: Rate = setting("6000/minute", "Calls per network address.")
    rate_limit_credentials: Rate = setting("30/minute", "Sign-ups, log-ins and password resets per network address.")
    rate_limit_webhooks: Rate = setting(
        "60000/minute",
        "Messages of payment providers per network address; many come at once when a performance is cancelled.",
    )
    rate_limit_joins: Rate = setting(
        "30/minute", "Calls of JoinQueue per account, per process: coming twice gives no second place."
    )
    rate_limit_log_in: Rate = setting("30/10 minutes", "Log-ins per e-mail address, from wherever they come.")
    rate_limit_mail: Rate = setting(
        "5/hour",
        "Sign-ups, verification and reset mails per e-mail address that is mailed to, wherever they are asked for; and "
        "as many tickets that are mailed again.",
    )
    rate_limit_inquiries: Rate = setting("5/hour", "Inquiries to the house per network address.")

    trusted_proxies: Networks = setting(
        frozenset(),
        "Networks of gateways and load balancers, by commas, such as 10.0.0.0/8: only their `x-forwarded-for` is "
        "believed when a caller's network address is read.",
    )
