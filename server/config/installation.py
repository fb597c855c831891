"""What the installation is for, and where its database and its Redis are."""

from __future__ import annotations

import contextlib
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from server.config.area import Area, seconds, setting
from server.config.values import Duration, PositiveDuration

_DATABASE_SCHEMES = ("postgresql+psycopg2://", "postgresql://", "postgres://")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_REDIS_NODE = r"(\[[0-9a-f:.]+\]|[^,:/@\[\]?\s]+)(:\d{1,5})?"
_REDIS_CLUSTER = re.compile(rf"rediss?\+cluster://([^@/?]*@)?{_REDIS_NODE}(,{_REDIS_NODE})*/?(\?.*)?")


class Environment(StrEnum):
    """What the installation is for."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    """How log lines are written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _database_url(value: str) -> str:
    """Name the driver in full: SQLAlchemy takes the bare form for another one, which is not installed."""
    if not value:
        return value
    for scheme in _DATABASE_SCHEMES:
        if value.startswith(scheme):
            url = _DATABASE_SCHEMES[0] + value[len(scheme) :]
            with contextlib.suppress(ValueError):
                if (urlsplit(url).port or 0) >= 0:
                    return url
    raise ValueError("must be such as postgresql://user:password@host:5432/rowlock")


def _redis_url(value: str) -> str:
    if not value or _REDIS_CLUSTER.fullmatch(value):
        return value
    with contextlib.suppress(ValueError):
        if value.startswith(_REDIS_SCHEMES) and (urlsplit(value).port or 0) >= 0:
            return value
    raise ValueError(
        "must be such as redis://host:6379/0, rediss://… for TLS, unix:///run/valkey.sock?db=0, "
        "or redis+cluster://node:6379,node:6379"
    )


class InstallationSettings(Area):
    """What all programs share."""

    heading = "Installation"

    environment: Environment = setting(
        Environment.DEVELOPMENT,
        "What the installation is for. `production` turns reflection off and refuses to start without a "
        "database, a Redis and a signing key of its own.",
    )
    data_dir: Path = setting(
        Path(".rowlock"),
        "Folder of the embedded PostgreSQL and Valkey and of keys made on first start; created when absent.",
    )
    log_level: LogLevel = setting(LogLevel.INFO, "The least important log line that is written.")
    log_format: LogFormat = setting(LogFormat.CONSOLE, "`console` for people, `json` for one object per line.")


class StorageSettings(Area):
    """Where what lasts is, and what is quick."""

    heading = "Database and Redis"

    database_url: Annotated[str, AfterValidator(_database_url)] = setting(
        "",
        "PostgreSQL 18, such as postgresql://user:password@host:5432/rowlock. Empty: `rowlock up` and "
        "the tests start an embedded one; every other command refuses to start.",
        repr=False,
    )
    database_pool_timeout: PositiveDuration = setting(
        seconds(5),
        "Longest wait for a free connection; past it the call is UNAVAILABLE.",
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] = setting(
        "",
        "Redis 7 or Valkey 8 or later, such as redis://host:6379/0 or unix:///run/valkey.sock?db=0; a cluster by some "
        "of its nodes: redis+cluster://user:password@node:6379,node:6379. With TLS: rediss://, rediss+cluster://. "
        "Empty: embedded, as for the database.",
        repr=False,
    )
    redis_key_prefix: str = setting(
        "rowlock",
        "First part of every key and channel, so that installations can share one Redis.",
        pattern=r"^[a-z0-9_-]{1,40}$",
    )
    redis_timeout: PositiveDuration = setting(
        seconds(2),
        "Longest wait for an answer of Redis; past it work goes on without.",
    )
    start_timeout: Duration = setting(
        seconds(10),
        "How long a starting process waits for the database and Redis before it gives up with a message.",
    )
