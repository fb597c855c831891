"""What a process looks at before it serves: a database with the right schema, and a Redis.

Each check waits a little (`ROWLOCK_START_TIMEOUT`), since everything may be starting at once, and then says what
is missing, where it was looked for and how to mend it. Passwords are never shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from redis.exceptions import RedisError
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from server.config import Environment, Settings, StartError
from server.db.migrate import Fit, fit
from server.embedded import running_settings
from server.redis_clients import connect_blocking

_PAUSE = 0.25

_log = structlog.get_logger(__name__)


def ready_settings(settings: Settings) -> Settings:
    """Settings with both URLs, after checking that both servers answer and the schema will do.

    Raises:
        StartError: something is missing.
    """
    complete = running_settings(settings)
    if complete is None:
        missing = [
            name
            for name, url in (
                ("ROWLOCK_DATABASE_URL", settings.database_url),
                ("ROWLOCK_REDIS_URL", settings.redis_url),
            )
            if not url
        ]
        raise StartError(
            f"{' and '.join(missing)} not set, and no `rowlock up` runs on {settings.data_dir.resolve()}. "
            "Set the URLs (see .env.example), or run `rowlock up`, which brings its own servers."
        )
    wait_for_database(complete)
    wait_for_redis(complete)
    require_schema(complete)
    return complete


def require_schema(settings: Settings) -> None:
    """Return if the database has the schema of this version, or a newer one with which this version can go on.

    Raises:
        StartError: it has another one.
    """
    found, shown = fit(settings.database_url), shown_database(settings.database_url)
    if found is Fit.NEWER:
        _log.warning("schema.newer", database=shown, effect="it suits this version, too; finish the upgrade")
    elif found is Fit.BEHIND:
        raise StartError(f"The database at {shown} does not have the schema of this version. Run `rowlock migrate`.")
    elif found is Fit.TOO_NEW:
        raise StartError(
            f"The database at {shown} has the schema of a newer version, with which this one cannot work. "
            "Run the newer version."
        )


def warnings(settings: Settings) -> list[str]:
    """What will not work as the settings are, though a process can start with them; each with how to mend it."""
    found = []
    if settings.environment is Environment.PRODUCTION and settings.require_verified_email and not settings.smtp_url:
        found.append(
            "ROWLOCK_REQUIRE_VERIFIED_EMAIL is set and ROWLOCK_SMTP_URL is not: no mail with a code can be sent, so "
            "nobody new can verify an address, and nobody new can book. Set ROWLOCK_SMTP_URL; see docs/mail.md."
        )
    return found


def wait_for_database(settings: Settings) -> None:
    """Return once PostgreSQL accepts a connection.

    Raises:
        StartError: it did not within the time of the settings.
    """
    if not settings.database_url:
        raise StartError("ROWLOCK_DATABASE_URL is not set.")
    engine = create_engine(settings.database_url, connect_args={"connect_timeout": 3})

    def connect() -> None:
        with engine.connect():
            pass

    try:
        _wait(connect, OperationalError, settings)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StartError(
            f"No PostgreSQL at {shown_database(settings.database_url)}: {reason}. "
            "Start it, or correct ROWLOCK_DATABASE_URL; unset, `rowlock up` brings its own."
        ) from None
    finally:
        engine.dispose()


def wait_for_redis(settings: Settings) -> None:
    """Return once Redis answers.

    Raises:
        StartError: it did not within the time of the settings.
    """
    if not settings.redis_url:
        raise StartError("ROWLOCK_REDIS_URL is not set.")

    def ask() -> None:
        with connect_blocking(settings.redis_url, timeout=3, retries=0) as client:
            client.ping()

    try:
        _wait(ask, RedisError, settings)
    except RedisError as error:
        raise StartError(
            f"No Redis or Valkey at {shown_redis(settings.redis_url)}: {error}. "
            "Start it, or correct ROWLOCK_REDIS_URL; unset, `rowlock up` brings its own."
        ) from None


def shown_database(url: str) -> str:
    """A database URL as it may be shown: without the password."""
    return make_url(url).render_as_string(hide_password=True)


def shown_redis(url: str) -> str:
    """A Redis URL as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wait(attempt: Callable[[], object], failure: type[Exception], settings: Settings) -> None:
    deadline = time.monotonic() + settings.start_timeout.total_seconds()
    while True:
        try:
            attempt()
        except failure:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return
