"""Every setting of Rowlock, and the only place that reads the environment.

`Settings` is frozen: a process reads it once at start and hands it down. `load_settings()` is what programs
call; it also reads `.env` in the working directory and turns a wrong value into a `SettingsError` whose text
names the environment variable, the value that was given and what is accepted.

The descriptions below are the documentation: `scripts/configuration.py` writes `docs/configuration.md` and
`.env.example` from them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

import idna
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    DirectoryPath,
    Field,
    FilePath,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "ROWLOCK_"


class Environment(StrEnum):
    """What the installation is for."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServerRole(StrEnum):
    """What one server process answers: unary calls and booking streams, or the seat streams, or both."""

    API = "api"
    EDGE = "edge"


class LedgerScope(StrEnum):
    """Which commands may share one transaction of the seat ledger."""

    DATABASE = "database"
    PERFORMANCE = "performance"


class PayPalMode(StrEnum):
    """Which PayPal money moves at."""

    SANDBOX = "sandbox"
    LIVE = "live"


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


class StartError(Exception):
    """A process cannot start; the text says what is wrong or missing, where, and how to mend it."""

    exit_status: ClassVar[int] = 69
    """What the program ends with: EX_UNAVAILABLE of sysexits.h. Starting again later may help."""


class SettingsError(StartError):
    """The environment holds a value that cannot be used; the text says which, and what is accepted."""

    exit_status = 78
    """EX_CONFIG of sysexits.h. Starting again does not help."""


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?")
_RATE = re.compile(r"(\d+)\s*/\s*(?:(\d+)\s*)?(second|minute|hour|day)s?")
_DATABASE_SCHEMES = ("postgresql+psycopg2://", "postgresql://", "postgres://")
_SMTP_SCHEMES = ("smtp://", "smtp+starttls://", "smtps://")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_REDIS_NODE = r"(\[[0-9a-f:.]+\]|[^,:/@\[\]?\s]+)(:\d{1,5})?"
_REDIS_CLUSTER = re.compile(rf"rediss?\+cluster://([^@/?]*@)?{_REDIS_NODE}(,{_REDIS_NODE})*/?(\?.*)?")


def _duration(value: object) -> object:
    """Read `15m`, `250ms`, `30 d` or plain seconds; leave the rest to pydantic (a timedelta passes)."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip().lower())
        if match is None:
            raise ValueError("must be a duration such as 250ms, 10s, 15m, 3h or 30d")
        return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("must not be negative")
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than zero")
    return value


def _nothing_or_a_month(value: timedelta) -> timedelta:
    if value and value < timedelta(days=30):
        raise ValueError("must be 0, or 30 days or more")
    return value


def _comma_list(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _rate(value: str) -> str:
    if _RATE.fullmatch(value.strip().lower()) is None:
        raise ValueError("must be a rate such as 10/second, 300/minute or 5/10 minutes")
    return value


def _networks(value: frozenset[str]) -> frozenset[str]:
    for network in value:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"{network!r} is not a network such as 10.0.0.0/8 or 2001:db8::/32") from None
    return value


def _optional_address(value: str) -> str:
    return "" if value in {"", "off"} else _address(value)


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:50051, [::]:50051 or 127.0.0.1:0 (any free port)")
    return value


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


def _smtp_url(value: str) -> str:
    if not value:
        return value
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        if value.startswith(_SMTP_SCHEMES) and url.hostname and (url.port or 0) >= 0:
            return value
    raise ValueError("must be such as smtp://host:25, smtp+starttls://user:password@host:587 or smtps://host:465")


def _mail_address(value: str) -> str:
    _, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        known = domain.isascii() or idna.encode(domain, uts46=True)
        if not value or (local and domain and known and value.isprintable() and not set(address) & set(' <>"')):
            return value
    raise ValueError("must be such as tickets@example.org or Box Office <tickets@example.org>")


def _public_url(value: str) -> str:
    if not value:
        return value
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        if url.scheme in {"http", "https"} and url.hostname and not (url.query or url.fragment):
            return value.rstrip("/")
    raise ValueError("must be such as https://tickets.example.org")


def _optional_rate(value: str) -> str:
    return "" if value in {"", "off"} else _rate(value)


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_not_negative)]
RecordDuration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_nothing_or_a_month)]
PositiveDuration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
Rate = Annotated[str, AfterValidator(_rate)]
OptionalAddress = Annotated[str, AfterValidator(_optional_address)]


def _setting(group: str, default: object, description: str, **constraints: Any) -> Any:
    """Declare one setting; `group` is its heading in the documentation.

    The return type is `Any` because pydantic replaces the value by what the annotation says.
    """
    return Field(default=default, description=description, json_schema_extra={"group": group}, **constraints)


def _minutes(value: float) -> timedelta:
    return timedelta(minutes=value)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


class Settings(BaseSettings):
    """All settings of one process. Times are `timedelta`s, sizes are bytes, an empty URL means "embedded"."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    # -- Installation --------------------------------------------------------------------------------------
    environment: Environment = _setting(
        "Installation",
        Environment.DEVELOPMENT,
        "What the installation is for. `production` turns reflection off and refuses to start without a "
        "database, "
        "a Redis and a signing key of its own.",
    )
    data_dir: Path = _setting(
        "Installation",
        Path(".rowlock"),
        "Folder of the embedded PostgreSQL and Valkey and of keys made on first start; created when absent.",
    )
    log_level: LogLevel = _setting("Installation", LogLevel.INFO, "The least important log line that is written.")
    log_format: LogFormat = _setting(
        "Installation", LogFormat.CONSOLE, "`console` for people, `json` for one object per line."
    )

    # -- Database and Redis --------------------------------------------------------------------------------
    database_url: Annotated[str, AfterValidator(_database_url)] = _setting(
        "Database and Redis",
        "",
        "PostgreSQL 18, such as postgresql://user:password@host:5432/rowlock. Empty: `rowlock up` and "
        "the tests "
        "start an embedded one; every other command refuses to start.",
        repr=False,
    )
    database_pool_timeout: PositiveDuration = _setting(
        "Database and Redis",
        _seconds(5),
        "Longest wait for a free connection; past it the call is UNAVAILABLE.",
    )
    redis_url: Annotated[str, AfterValidator(_redis_url)] = _setting(
        "Database and Redis",
        "",
        "Redis 7 or Valkey 8 or later, such as redis://host:6379/0 or unix:///run/valkey.sock?db=0; a cluster by some "
        "of its nodes: redis+cluster://user:password@node:6379,node:6379. With TLS: rediss://, rediss+cluster://. "
        "Empty: embedded, as for the database.",
        repr=False,
    )
    redis_key_prefix: str = _setting(
        "Database and Redis",
        "rowlock",
        "First part of every key and channel, so that installations can share one Redis.",
        pattern=r"^[a-z0-9_-]{1,40}$",
    )
    redis_timeout: PositiveDuration = _setting(
        "Database and Redis",
        _seconds(2),
        "Longest wait for an answer of Redis; past it work goes on without.",
    )

    start_timeout: Duration = _setting(
        "Database and Redis",
        _seconds(10),
        "How long a starting process waits for the database and Redis before it gives up with a message.",
    )

    # -- Server --------------------------------------------------------------------------------------------
    grpc_address: Annotated[str, AfterValidator(_address)] = _setting(
        "Server",
        "127.0.0.1:50051",
        "Where gRPC is served, host:port. Use 0.0.0.0:50051 in a container.",
        min_length=1,
    )
    admin_address: OptionalAddress = _setting(
        "Server",
        "127.0.0.1:50052",
        "Where channelz, health and reflection are served for operators, host:port; process N adds N to "
        "the port. "
        "`off`: nowhere. Keep it off public networks.",
    )
    metrics_address: OptionalAddress = _setting(
        "Server",
        "127.0.0.1:9464",
        "Where Prometheus metrics are served over HTTP, host:port; process N adds N to the port. `off`: nowhere.",
    )
    processes: int = _setting("Server", 1, "Server processes on this machine; they share the gRPC port.", ge=1, le=256)
    process_index: int = _setting(
        "Server", 0, "Number of this process, from 0. `rowlock up` and `rowlock serve` set it.", ge=0, le=255
    )
    roles: Annotated[frozenset[ServerRole], NoDecode, BeforeValidator(_comma_list)] = _setting(
        "Server",
        frozenset(ServerRole),
        "What a process answers, by commas: `api` (unary calls), `edge` (seat streams).",
        min_length=1,
    )
    executor_threads: int = _setting(
        "Server",
        8,
        "Threads for blocking work, which is database work, and so database connections, per process.",
        ge=1,
        le=256,
    )
    password_threads: int = _setting(
        "Server",
        2,
        "Threads for password hashing, so that sign-in cannot starve booking, per process.",
        ge=1,
        le=64,
    )
    password_memory: ByteSize = _setting(
        "Server",
        ByteSize(19 * 1024 * 1024),
        "Memory of one password hash (argon2id), such as 19MiB; hashes made with other costs are renewed at log-in.",
        ge=64 * 1024,
        le=4 * 1024**3,
    )
    password_passes: int = _setting(
        "Server", 2, "How often a password hash works through its memory (argon2id).", ge=1, le=100
    )
    reflection: bool | None = _setting(
        "Server", None, "Server reflection, for grpcurl. Unset: on in development, off in production."
    )
    max_receive_bytes: ByteSize = _setting(
        "Server",
        ByteSize(256 * 1024),
        "Largest request, such as 256KiB; more is RESOURCE_EXHAUSTED.",
        ge=4096,
    )
    max_concurrent_streams: int = _setting(
        "Server", 1000, "Calls and streams open at once per connection.", ge=1, le=1_000_000
    )
    default_deadline: PositiveDuration = _setting(
        "Server", _seconds(30), "Deadline of a unary call whose caller gave none."
    )
    drain_time: Duration = _setting(
        "Server",
        _seconds(20),
        "On SIGTERM: how long calls under way may take to end. Streams are told to reconnect at once.",
    )
    keepalive_time: PositiveDuration = _setting(
        "Server", _seconds(60), "A connection without traffic for so long is pinged."
    )
    keepalive_timeout: PositiveDuration = _setting(
        "Server", _seconds(20), "A ping unanswered for so long ends the connection."
    )
    min_ping_interval: PositiveDuration = _setting(
        "Server",
        _seconds(10),
        "Clients that ping more often without traffic are cut off; clients must use a longer interval.",
    )
    max_connection_age: PositiveDuration = _setting(
        "Server", _minutes(30), "A connection is asked to reconnect at this age, so that load spreads again."
    )
    max_connection_age_grace: PositiveDuration = _setting(
        "Server", _minutes(16), "What calls on such a connection get to end; longer than a stream may live."
    )
    tls_cert_file: Path | None = _setting("Server", None, "PEM certificate chain; together with the key turns TLS on.")
    tls_key_file: Path | None = _setting("Server", None, "PEM private key of the certificate.")
    tls_client_ca_file: Path | None = _setting(
        "Server",
        None,
        "PEM authorities; when given, clients must present a certificate of one of them (mTLS).",
    )

    # -- Observability -------------------------------------------------------------------------------------
    worker_metrics_address: OptionalAddress = _setting(
        "Observability",
        "127.0.0.1:9564",
        "Where a worker serves Prometheus metrics over HTTP, host:port; process N adds N to the port. `off`: nowhere. "
        "A worker whose port is taken says so and works without.",
    )
    scheduler_metrics_address: OptionalAddress = _setting(
        "Observability",
        "127.0.0.1:9664",
        "Where the scheduler serves Prometheus metrics over HTTP, host:port: its own, and what waits to be done and "
        "for people in the whole installation. `off`: nowhere, and nobody looks for it.",
    )
    backlog_interval: PositiveDuration = _setting(
        "Observability",
        _seconds(15),
        "How often the scheduler looks in the database what waits, for its metrics.",
    )
    tracing_endpoint: Annotated[str, AfterValidator(_public_url)] = _setting(
        "Observability",
        "",
        "The OpenTelemetry collector that gets traces by OTLP over HTTP, such as http://127.0.0.1:4318. Needs the "
        "extra `rowlock[tracing]`. Empty: no traces, and no cost.",
    )
    tracing_ratio: float = _setting(
        "Observability",
        0.1,
        "Share of traces that are sent, from 0 to 1, decided by the id of the trace, alike in every process.",
        ge=0,
        le=1,
    )

    # -- REST gateway --------------------------------------------------------------------------------------
    gateway_address: OptionalAddress = _setting(
        "REST gateway",
        "127.0.0.1:8080",
        "Where the gateway serves REST, its documentation and the screens, host:port. `off`: `rowlock up` starts none.",
    )
    gateway_servers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)] = _setting(
        "REST gateway",
        (),
        "The gRPC servers that it calls in turn, as host:port, by commas; one name may stand for many. Empty: "
        "ROWLOCK_GRPC_ADDRESS.",
    )
    gateway_metrics_address: OptionalAddress = _setting(
        "REST gateway",
        "127.0.0.1:9480",
        "Where the gateway serves Prometheus metrics over HTTP, host:port. `off`: nowhere.",
    )
    gateway_server_ca_file: Path | None = _setting(
        "REST gateway", None, "PEM authorities of the servers' certificates. Unset: they are called in plain text."
    )
    gateway_server_cert_file: Path | None = _setting(
        "REST gateway", None, "PEM certificate that it shows to servers which ask for one (mTLS)."
    )
    gateway_server_key_file: Path | None = _setting("REST gateway", None, "That certificate's key.")
    gateway_tls_cert_file: Path | None = _setting(
        "REST gateway", None, "PEM certificate with which it serves HTTPS. Unset: HTTP."
    )
    gateway_tls_key_file: Path | None = _setting("REST gateway", None, "The certificate's key.")
    gateway_cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)] = _setting(
        "REST gateway",
        (),
        "Web origins whose pages may call it, such as https://tickets.example.org, by commas; `*`: all.",
    )
    gateway_trusted_proxies: Annotated[
        frozenset[str], NoDecode, BeforeValidator(_comma_list), AfterValidator(_networks)
    ] = _setting(
        "REST gateway",
        frozenset(),
        "Networks in front of it whose X-Forwarded-For it believes. The servers must trust the gateway in turn: "
        "ROWLOCK_TRUSTED_PROXIES.",
    )
    gateway_body_limit: int = _setting("REST gateway", 262_144, "Longest request body, in bytes.", ge=1024)
    gateway_call_timeout: PositiveDuration = _setting(
        "REST gateway", _seconds(20), "Longest time of a call that is no stream."
    )
    gateway_write_timeout: PositiveDuration = _setting(
        "REST gateway", _seconds(30), "A reader that takes nothing for so long is cut off."
    )
    gateway_drain_time: Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_not_negative)] = _setting(
        "REST gateway", _seconds(15), "How long calls and streams under way may take to end when it stops."
    )
    gateway_kiosk_dir: Path | None = _setting(
        "REST gateway", None, "Folder of the screens that it serves at /kiosk/. Unset: those that come with Rowlock."
    )
    gateway_binary: Path | None = _setting(
        "REST gateway", None, "A gateway that was built already. Unset: `rowlock gateway` builds it on first use."
    )

    # -- Console -------------------------------------------------------------------------------------------
    console_address: OptionalAddress = _setting(
        "Console",
        "127.0.0.1:8090",
        "Where the console serves the back office, host:port. `off`: `rowlock up` starts none.",
    )
    console_servers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)] = _setting(
        "Console",
        (),
        "The gRPC servers that it calls in turn, as host:port, by commas; one name may stand for many. Empty: "
        "ROWLOCK_GRPC_ADDRESS. They must trust its address: ROWLOCK_TRUSTED_PROXIES.",
    )
    console_server_ca_file: Path | None = _setting(
        "Console", None, "PEM authorities of the servers' certificates. Unset: they are called in plain text."
    )
    console_server_cert_file: Path | None = _setting(
        "Console", None, "PEM certificate that it shows to servers which ask for one (mTLS)."
    )
    console_server_key_file: Path | None = _setting("Console", None, "That certificate's key.")
    console_tls_cert_file: Path | None = _setting(
        "Console", None, "PEM certificate with which it serves HTTPS. Unset: HTTP."
    )
    console_tls_key_file: Path | None = _setting("Console", None, "The certificate's key.")
    console_idle_time: PositiveDuration = _setting(
        "Console", _minutes(60), "Who does nothing for so long has to sign in again."
    )

    # -- Booking -------------------------------------------------------------------------------------------
    hold_duration: PositiveDuration = _setting(
        "Booking",
        _minutes(15),
        "How long a booking is held for its customer, unless its performance says otherwise.",
    )
    max_hold_time: PositiveDuration = _setting(
        "Booking", _minutes(30), "Longest hold of one booking, extensions included."
    )
    doors_open: PositiveDuration = _setting(
        "Booking", _minutes(180), "How long before a performance begins its tickets are let in at the doors."
    )
    doors_close: PositiveDuration = _setting(
        "Booking",
        _minutes(720),
        "How long after its begin the doors of a performance close, where it is not known when it ends.",
    )
    ticket_font_file: Path | None = _setting(
        "Booking",
        None,
        "TrueType font of printed tickets, for scripts other than Latin, Greek and Cyrillic, which the usual one has.",
    )
    customer_limit: int = _setting(
        "Booking",
        4,
        "Places one customer may hold or own of a performance, unless it says otherwise.",
        ge=1,
        le=1000,
    )
    refund_deadline: Duration = _setting(
        "Booking",
        timedelta(hours=3),
        "No refund later than this before the start, unless a performance says so.",
    )
    require_verified_email: bool = _setting(
        "Booking",
        False,
        "Whether a customer must have verified the e-mail address before holding seats.",
    )
    request_result_retention: PositiveDuration = _setting(
        "Booking", timedelta(hours=24), "How long a repeated `request_id` gets the first answer again."
    )

    # -- Seat ledger ---------------------------------------------------------------------------------------
    ledger_batch_size: int = _setting("Seat ledger", 128, "Most commands in one transaction.", ge=1, le=1000)
    ledger_gather_time: Duration = _setting(
        "Seat ledger",
        timedelta(milliseconds=5),
        "How long a transaction waits for more commands if the one before it had many. 0: not at all.",
    )
    ledger_batches_in_flight: int = _setting(
        "Seat ledger", 1, "Transactions of the ledger at once, per process.", ge=1, le=64
    )
    ledger_scope: LedgerScope = _setting(
        "Seat ledger",
        LedgerScope.DATABASE,
        "Which commands share a transaction: all of the `database`, or one `performance`'s (sharded databases).",
    )
    ledger_queue_limit: int = _setting(
        "Seat ledger",
        2000,
        "Most commands waiting in one process; beyond it calls are turned away at once with UNAVAILABLE (OVERLOADED).",
        ge=1,
        le=1_000_000,
    )

    # -- Seat feed -----------------------------------------------------------------------------------------
    stream_max_age: PositiveDuration = _setting(
        "Seat feed", _minutes(15), "A stream ends itself at this age and tells its client to reconnect."
    )
    stream_age_jitter: float = _setting(
        "Seat feed",
        0.2,
        "Share of that age by which a stream may end earlier, so that they do not end together.",
        ge=0,
        le=0.9,
    )
    stream_heartbeat: PositiveDuration = _setting(
        "Seat feed", _seconds(15), "Longest silence on a stream: a heartbeat follows."
    )
    stream_pending_frames: int = _setting(
        "Seat feed",
        1,
        "Revisions that a watcher may be behind and is still told one by one; past them it is told all in one message.",
        ge=1,
        le=100_000,
    )
    stream_write_timeout: PositiveDuration = _setting(
        "Seat feed", _seconds(20), "A watcher that takes nothing for so long is cut off."
    )
    stream_ring_frames: int = _setting(
        "Seat feed", 2048, "Recent frames kept in memory per performance, for resumes.", ge=1, le=1_000_000
    )
    stream_poll_interval: PositiveDuration = _setting(
        "Seat feed",
        _seconds(1),
        "How often revisions are compared with the database, in case Redis was silent.",
    )
    stream_token_check_interval: PositiveDuration = _setting(
        "Seat feed", _seconds(30), "How often a stream checks that its token is neither expired nor revoked."
    )
    max_streams: int = _setting("Seat feed", 20_000, "Streams per process.", ge=1, le=1_000_000)
    max_streams_per_account: int = _setting("Seat feed", 50, "Streams per customer or key, per process.", ge=1)
    change_log_retention: PositiveDuration = _setting(
        "Seat feed", timedelta(hours=1), "How long changes can be resumed from; older: a fresh snapshot."
    )

    # -- Identity ------------------------------------------------------------------------------------------
    jwt_issuer: str = _setting("Identity", "https://rowlock.dev", "`iss` of access tokens.", min_length=1)
    jwt_audience: str = _setting("Identity", "rowlock", "`aud` of access tokens.", min_length=1)
    jwt_private_key_file: Path | None = _setting(
        "Identity",
        None,
        "PEM file with the Ed25519 private key that signs access tokens; further keys in it are accepted, not used. "
        "Unset: one is made and kept in the database (development).",
    )
    access_token_ttl: PositiveDuration = _setting("Identity", _minutes(15), "Validity of an access token.")
    refresh_token_ttl: PositiveDuration = _setting("Identity", timedelta(days=30), "Validity of a refresh token.")
    refresh_reuse_window: Duration = _setting(
        "Identity",
        _seconds(10),
        "A refresh token presented again within this time gets the same successor (a lost answer); "
        "later it counts "
        "as stolen and ends the session.",
    )
    token_cache_size: int = _setting(
        "Identity", 100_000, "Verified access tokens remembered per process.", ge=0, le=10_000_000
    )
    revocation_poll_interval: PositiveDuration = _setting(
        "Identity", _seconds(5), "How often a process reads which sessions were revoked."
    )

    # -- Rate limits ---------------------------------------------------------------------------------------
    rate_limits: bool = _setting("Rate limits", True, "Whether rate limits apply.")
    rate_limit_account: Rate = _setting("Rate limits", "600/minute", "Calls per account.")
    rate_limit_address: Rate = _setting("Rate limits", "6000/minute", "Calls per network address.")
    rate_limit_credentials: Rate = _setting(
        "Rate limits", "30/minute", "Sign-ups, log-ins and password resets per network address."
    )
    rate_limit_webhooks: Rate = _setting(
        "Rate limits",
        "60000/minute",
        "Messages of payment providers per network address; many come at once when a performance is cancelled.",
    )
    rate_limit_joins: Rate = _setting(
        "Rate limits", "30/minute", "Calls of JoinQueue per account, per process: coming twice gives no second place."
    )
    rate_limit_log_in: Rate = _setting(
        "Rate limits", "30/10 minutes", "Log-ins per e-mail address, from wherever they come."
    )
    rate_limit_mail: Rate = _setting(
        "Rate limits",
        "5/hour",
        "Sign-ups, verification and reset mails per e-mail address that is mailed to, wherever they are asked for.",
    )
    rate_limit_inquiries: Rate = _setting("Rate limits", "5/hour", "Inquiries to the house per network address.")

    trusted_proxies: Annotated[frozenset[str], NoDecode, BeforeValidator(_comma_list), AfterValidator(_networks)] = (
        _setting(
            "Rate limits",
            frozenset(),
            "Networks of gateways and load balancers, by commas, such as 10.0.0.0/8: only their `x-forwarded-for` is "
            "believed when a caller's network address is read.",
        )
    )

    # -- Payments ------------------------------------------------------------------------------------------
    payment_call_timeout: PositiveDuration = _setting(
        "Payments",
        _seconds(10),
        "Longest wait for one answer of the provider; past it the outcome is unknown.",
    )
    payment_max_time: PositiveDuration = _setting(
        "Payments", _minutes(10), "A payment keeps its hold alive for at most this long."
    )
    payment_resolve_interval: PositiveDuration = _setting(
        "Payments",
        _seconds(5),
        "First wait before an unknown outcome is asked for again; it doubles up to 5 min.",
    )
    payment_ask_interval: PositiveDuration = _setting(
        "Payments",
        _seconds(20),
        "First wait before a provider is asked whether the customer has approved there, which no webhook is needed "
        "for; it doubles up to 5 min, and the provider is asked once more when the hold ends.",
    )
    payment_compare_after: PositiveDuration = _setting(
        "Payments",
        timedelta(days=1),
        "How long after its end a payment is compared with the provider's books.",
    )
    refund_rate: float = _setting(
        "Payments",
        20.0,
        "Most refunds a second that all workers together ask of each provider; 0: any number. A cancelled performance "
        "makes thousands at once.",
        ge=0,
        le=10_000,
    )
    simulator: bool | None = _setting(
        "Payments",
        None,
        "Whether customers may pay with the simulator, which moves no money. Unset: on in development, off in "
        "production.",
    )
    simulator_success_rate: float = _setting(
        "Payments", 0.8, "Share of simulated payments that succeed when no outcome was scripted.", ge=0, le=1
    )
    simulator_delay: Duration = _setting("Payments", timedelta(0), "How long the simulator takes to answer.")

    # -- PayPal --------------------------------------------------------------------------------------------
    paypal_mode: PayPalMode | None = _setting(
        "PayPal",
        None,
        "Which PayPal customers may pay with: `sandbox`, where no money moves, or `live`. Unset: neither.",
    )
    paypal_client_id: str = _setting("PayPal", "", "Client id of the REST app, from PayPal's developer dashboard.")
    paypal_client_secret: str = _setting("PayPal", "", "Secret of the same app.", repr=False)
    paypal_return_uri: str = _setting(
        "PayPal",
        "",
        "Where PayPal sends customers after the approval if their payment names no place. PayPal shows them an error "
        "there if neither does.",
        pattern=r"^(https://\S+)?$",
    )
    paypal_webhook_id: str = _setting(
        "PayPal",
        "",
        "Id of the webhook that PayPal was told of, such as 1JE4291016473214C; its messages are refused if this is "
        "empty, and outcomes are then found by asking alone.",
    )
    paypal_webhook_tolerance: PositiveDuration = _setting(
        "PayPal",
        timedelta(days=4),
        "A webhook that was sent longer ago is not believed. PayPal repeats one for three days.",
    )
    paypal_base_url: Annotated[str, AfterValidator(_provider_base_url)] = _setting(
        "PayPal",
        "",
        "Where PayPal is, if not where it always is: `rowlock fake-provider` for trying and testing. Certificates of "
        "webhooks are then believed from there only.",
    )

    # -- Stripe --------------------------------------------------------------------------------------------
    stripe_secret_key: Annotated[str, AfterValidator(_stripe_key)] = _setting(
        "Stripe",
        "",
        "Secret key of the Stripe account, or a restricted key that may write payment intents and refunds. Empty: "
        "nobody pays with Stripe.",
        repr=False,
    )
    stripe_webhook_secrets: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_comma_list), AfterValidator(_signing_secrets)
    ] = _setting(
        "Stripe",
        (),
        "Signing secrets of the webhook endpoint (whsec_…), by commas: two while one takes the place of the other. "
        "Empty: Stripe's webhooks are turned away, and payments are found out about by asking.",
        repr=False,
    )
    stripe_webhook_tolerance: PositiveDuration = _setting(
        "Stripe", _minutes(5), "A webhook whose signature is older is not believed."
    )
    stripe_api_base: Annotated[str, AfterValidator(_provider_base_url)] = _setting(
        "Stripe", "https://api.stripe.com", "Where Stripe's API is; to be changed for tests only."
    )

    # -- Webhooks ------------------------------------------------------------------------------------------
    webhook_attempts: int = _setting(
        "Webhooks",
        30,
        "How often a provider's message is worked on, at growing intervals, before it waits for staff.",
        ge=1,
        le=1000,
    )
    webhook_retention: PositiveDuration = _setting(
        "Webhooks",
        timedelta(days=90),
        "How long messages that are done with are kept. Longer than a provider delivers again, which is some days.",
    )

    # -- Partners ------------------------------------------------------------------------------------------
    change_retention: Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(days=4))] = _setting(
        "Partners",
        timedelta(days=14),
        "How long changes of bookings, payments, tickets and performances can be read by partners and delivered again. "
        "At least 4 days: a delivery is tried for three.",
    )
    delivery_retention: PositiveDuration = _setting(
        "Partners", timedelta(days=14), "How long attempts to deliver to partners' webhook end points can be looked at."
    )
    delivery_timeout: Annotated[
        timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), le=timedelta(seconds=30))
    ] = _setting("Partners", _seconds(10), "Longest time for one message to a webhook end point. At most 30s.")
    delivery_private_networks: bool = _setting(
        "Partners",
        False,
        "Whether webhook end points may be in private networks, and without TLS: for tests, and where all partners are "
        "of the house. Whoever may make one can then have Rowlock call whatever it can reach.",
    )
    delivery_ca_file: FilePath | None = _setting(
        "Partners",
        None,
        "PEM authorities that the certificates of webhook end points are checked by. Unset: those of the system.",
    )
    delivery_sweep_interval: PositiveDuration = _setting(
        "Partners", _seconds(0.5), "How often new changes are looked for, to be read and delivered."
    )

    # -- Mail ----------------------------------------------------------------------------------------------
    smtp_url: Annotated[str, AfterValidator(_smtp_url)] = _setting(
        "Mail",
        "",
        "The mail server: `smtp://` (encrypted if the server offers it), `smtp+starttls://` (must be encrypted) or "
        "`smtps://` (TLS from the first byte), such as smtp+starttls://user:password@host:587. Empty: `rowlock up` "
        "catches mails in `.rowlock/mail`; everywhere else they wait in the database until it is set.",
        repr=False,
    )
    smtp_ca_file: FilePath | None = _setting(
        "Mail", None, "PEM authorities that the mail server's certificate is checked by. Unset: those of the system."
    )
    smtp_timeout: PositiveDuration = _setting(
        "Mail", _seconds(60), "Longest wait for one answer of the mail server; past it the connection is given up."
    )
    smtp_connections: int = _setting(
        "Mail", 4, "Most connections to the mail server at once, per worker process.", ge=1, le=64
    )
    mail_from: Annotated[str, AfterValidator(_mail_address)] = _setting(
        "Mail", "Rowlock <tickets@localhost>", "Whom mails come from; bounces go there, too.", min_length=3
    )
    mail_reply_to: Annotated[str, AfterValidator(_mail_address)] = _setting(
        "Mail", "", "Whom answers to mails go to. Empty: whom they come from."
    )
    mail_rate: Annotated[str, AfterValidator(_optional_rate)] = _setting(
        "Mail", "", "Most mails in a time, per worker process, such as 10/second. Empty or `off`: no limit."
    )
    mail_retry_interval: PositiveDuration = _setting(
        "Mail",
        _seconds(30),
        "First wait after the mail server put a mail off; it doubles up to 30 min.",
    )
    mail_give_up_after: Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(hours=24))] = _setting(
        "Mail",
        timedelta(days=3),
        "A mail that the server still puts off after so long is FAILED, and waits for staff. At least 24h. The time in "
        "which the server cannot be reached at all ends no mail.",
    )
    mail_repeat_uncertain: bool = _setting(
        "Mail",
        False,
        "Whether a mail that may or may not have been taken (the connection ended in the moment of the handover) is "
        "sent again by itself, under the same Message-ID. Off: it is FAILED, and staff decide.",
    )
    mail_templates_dir: DirectoryPath | None = _setting(
        "Mail", None, "Folder with templates of your own; those that are not in it are Rowlock's. See docs/mail.md."
    )
    mail_sweep_interval: PositiveDuration = _setting(
        "Mail", _seconds(1), "How often mails that are due are looked for."
    )
    public_url: Annotated[str, AfterValidator(_public_url)] = _setting(
        "Mail",
        "",
        "Where customers find you on the web, such as https://tickets.example.org: links in mails begin with it. "
        "Empty: mails have no links, and codes to be typed.",
    )

    # -- Workers -------------------------------------------------------------------------------------------
    worker_processes: int = _setting("Workers", 1, "Worker processes on this machine.", ge=1, le=64)
    worker_threads: int = _setting("Workers", 4, "Threads per worker process.", ge=1, le=64)
    expiry_sweep_interval: PositiveDuration = _setting(
        "Workers", _seconds(1), "How often expired holds are looked for."
    )
    admission_sweep_interval: PositiveDuration = _setting(
        "Workers", _seconds(1), "How often waiting rooms are looked at whose line has to move."
    )
    payment_sweep_interval: PositiveDuration = _setting(
        "Workers", _seconds(2), "How often payments that are due are looked for."
    )
    payment_compare_interval: PositiveDuration = _setting(
        "Workers", _minutes(10), "How often payments that are to be compared with the provider's books are looked for."
    )
    change_log_sweep_interval: PositiveDuration = _setting(
        "Workers", _seconds(60), "How often the change log is trimmed."
    )
    staff_action_retention: RecordDuration = _setting(
        "Workers",
        timedelta(0),
        "How long the record of what staff did is kept. 0: for ever. At least 30 days: the database refuses to delete "
        "younger ones.",
    )
    housekeeping_interval: PositiveDuration = _setting(
        "Workers", _minutes(10), "How often old request results, tokens and sessions are deleted."
    )
    sweep_batch_size: int = _setting("Workers", 500, "Most rows that one sweep takes.", ge=1, le=10_000)

    @model_validator(mode="after")
    def _agree_with_each_other(self) -> Self:
        if self.max_hold_time < self.hold_duration:
            raise ValueError(
                f"{PREFIX}MAX_HOLD_TIME ({self.max_hold_time}) must not be shorter than "
                f"{PREFIX}HOLD_DURATION ({self.hold_duration})"
            )
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError(f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE must be given together")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError(f"{PREFIX}TLS_CLIENT_CA_FILE needs {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE")
        if self.paypal_mode is not None and not (self.paypal_client_id and self.paypal_client_secret):
            raise ValueError(f"{PREFIX}PAYPAL_MODE needs {PREFIX}PAYPAL_CLIENT_ID and {PREFIX}PAYPAL_CLIENT_SECRET")
        if self.paypal_mode is PayPalMode.LIVE and self.paypal_base_url:
            raise ValueError(f"{PREFIX}PAYPAL_MODE=live is PayPal itself: unset {PREFIX}PAYPAL_BASE_URL")
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


def variable_name(field: str) -> str:
    """The environment variable of a field: `hold_duration` → `ROWLOCK_HOLD_DURATION`."""
    return PREFIX + field.upper()


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
