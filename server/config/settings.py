"""All settings together, and the one function that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from server.config.area import PREFIX, variable_name
from server.config.booking import BookingSettings
from server.config.console import ConsoleSettings
from server.config.errors import SettingsError
from server.config.gateway import GatewaySettings
from server.config.identity import IdentitySettings, RateSettings
from server.config.installation import Environment, InstallationSettings, StorageSettings
from server.config.mail import MailSettings
from server.config.partners import PartnerSettings
from server.config.payments import PaymentSettings, PayPalSettings, StripeSettings, WebhookSettings
from server.config.seats import FeedSettings, LedgerSettings
from server.config.serving import ObservabilitySettings, ServerSettings
from server.config.workers import WorkerSettings


class Settings(
    InstallationSettings,
    StorageSettings,
    ServerSettings,
    ObservabilitySettings,
    GatewaySettings,
    ConsoleSettings,
    BookingSettings,
    LedgerSettings,
    FeedSettings,
    IdentitySettings,
    RateSettings,
    PaymentSettings,
    PayPalSettings,
    StripeSettings,
    WebhookSettings,
    PartnerSettings,
    MailSettings,
    WorkerSettings,
):
    """All settings of one process. Times are `timedelta`s, sizes are bytes, an empty URL means "embedded".

    The areas are in the order in which they are documented.
    """

    @model_validator(mode="after")
    def _streams_end_before_their_connection(self) -> Self:
        if self.max_connection_age_grace <= self.stream_max_age:
            raise ValueError(
                f"{PREFIX}MAX_CONNECTION_AGE_GRACE ({self.max_connection_age_grace}) must be longer than "
                f"{PREFIX}STREAM_MAX_AGE ({self.stream_max_age}), or connections are cut under living streams"
            )
        return self

    @property
    def reflection_enabled(self) -> bool:
        """Whether server reflection is on: as set, otherwise only in development."""
        if self.reflection is not None:
            return self.reflection
        return self.environment is Environment.DEVELOPMENT

    @property
    def simulator_enabled(self) -> bool:
        """Whether payments may be simulated: as set, otherwise only in development."""
        if self.simulator is not None:
            return self.simulator
        return self.environment is Environment.DEVELOPMENT


def load_settings(
    given: Mapping[str, object] | None = None, *, env_file: Path | str | None = ".env", calls_only: bool = False
) -> Settings:
    """Read the settings from the environment and, under it, from `env_file`.

    Args:
        given: fields that win over both, such as those of the command line; None values count as not given.
        env_file: a file of `NAME=value` lines that the environment overrides; None or absent: none.
        calls_only: whether the program only calls servers, and has no database, no Redis and no keys of its own.

    Raises:
        SettingsError: with one line per wrong value.
    """
    overrides: dict[str, Any] = {name: value for name, value in (given or {}).items() if value is not None}
    try:
        settings = Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    needed = () if calls_only else ("database_url", "redis_url", "jwt_private_key_file")
    missing = [variable_name(name) for name in needed if not getattr(settings, name)]
    if missing and settings.environment is Environment.PRODUCTION:
        raise SettingsError(f"{PREFIX}ENVIRONMENT=production needs {', '.join(missing)}")
    return settings


def _explain(error: ValidationError) -> str:
    """One line per wrong value: the variable, what it was, what is accepted, what the setting means."""
    lines = []
    for fault in error.errors(include_url=False):
        message = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:
            lines.append(message)
            continue
        name = str(fault["loc"][0])
        field = Settings.model_fields[name]
        # Settings that may carry a password are never echoed.
        given = f"={fault.get('input')!r}" if field.repr else ""
        lines.append(f"{variable_name(name)}{given}: {message[:1].lower()}{message[1:]}. {field.description}")
    return "\n".join(lines)
