"""What every area of the settings is made of: a class with a heading, one line of its documentation per setting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "ROWLOCK_"


class Area(BaseSettings):
    """The settings of one area. `Settings` is all of them; nothing else is made of an area."""

    heading: ClassVar[str]
    """What its settings stand under in the documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )


def variable_name(field: str) -> str:
    """The environment variable of a field: `hold_duration` → `ROWLOCK_HOLD_DURATION`."""
    return PREFIX + field.upper()


def setting(default: object, description: str, **constraints: Any) -> Any:
    """Declare one setting; `description` is its documentation.

    The return type is `Any` because pydantic replaces the value by what the annotation says.
    """
    return Field(default=default, description=description, **constraints)


def minutes(value: float) -> timedelta:
    """So many minutes, as a default."""
    return timedelta(minutes=value)


def seconds(value: float) -> timedelta:
    """So many seconds, as a default."""
    return timedelta(seconds=value)
