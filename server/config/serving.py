"""What a server process answers, with how much, and what processes tell of themselves."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, ByteSize, model_validator
from pydantic_settings import NoDecode

from server.config.area import PREFIX, Area, minutes, seconds, setting
from server.config.values import Address, Duration, OptionalAddress, PositiveDuration, PublicUrl, read_commas


class ServerRole(StrEnum):
    """What one server process answers: unary calls and booking streams, or the seat streams, or both."""

    API = "api"
    EDGE = "edge"


class ServerSettings(Area):
    """The gRPC server."""

    heading = "Server"

    grpc_address: Address = setting(
        "127.0.0.1:50051",
        "Where gRPC is served, host:port. Use 0.0.0.0:50051 in a container.",
        min_length=1,
    )
    admin_address: OptionalAddress = setting(
        "127.0.0.1:50052",
        "Where channelz, health and reflection are served for operators, host:port; process N adds N to "
        "the port. `off`: nowhere. Keep it off public networks.",
    )
    metrics_address: OptionalAddress = setting(
        "127.0.0.1:9464",
        "Where Prometheus metrics are served over HTTP, host:port; process N adds N to the port. `off`: nowhere.",
    )
    processes: int = setting(1, "Server processes on this machine; they share the gRPC port.", ge=1, le=256)
    process_index: int = setting(
        0, "Number of this process, from 0. `rowlock up` and `rowlock serve` set it.", ge=0, le=255
    )
    roles: Annotated[frozenset[ServerRole], NoDecode, BeforeValidator(read_commas)] = setting(
        frozenset(ServerRole),
        "What a process answers, by commas: `api` (unary calls), `edge` (seat streams).",
        min_length=1,
    )
    executor_threads: int = setting(
        8,
        "Threads for blocking work, which is database work, and so database connections, per process.",
        ge=1,
        le=256,
    )
    password_threads: int = setting(
        2,
        "Threads for password hashing, so that sign-in cannot starve booking, per process.",
        ge=1,
        le=64,
    )
    password_memory: ByteSize = setting(
        ByteSize(19 * 1024 * 1024),
        "Memory of one password hash (argon2id), such as 19MiB; hashes made with other costs are renewed at log-in.",
        ge=64 * 1024,
        le=4 * 1024**3,
    )
    password_passes: int = setting(2, "How often a password hash works through its memory (argon2id).", ge=1, le=100)
    reflection: bool | None = setting(
        None, "Server reflection, for grpcurl. Unset: on in development, off in production."
    )
    max_receive_bytes: ByteSize = setting(
        ByteSize(256 * 1024),
        "Largest request, such as 256KiB; more is RESOURCE_EXHAUSTED.",
        ge=4096,
        le=2**31 - 1,
    )
    max_concurrent_streams: int = setting(1000, "Calls and streams open at once per connection.", ge=1, le=1_000_000)
    default_deadline: PositiveDuration = setting(seconds(30), "Deadline of a unary call whose caller gave none.")
    drain_time: Duration = setting(
        seconds(20),
        "On SIGTERM: how long calls under way may take to end. Streams are told to reconnect at once.",
    )
    keepalive_time: PositiveDuration = setting(seconds(60), "A connection without traffic for so long is pinged.")
    keepalive_timeout: PositiveDuration = setting(seconds(20), "A ping unanswered for so long ends the connection.")
    min_ping_interval: PositiveDuration = setting(
        seconds(10),
        "Clients that ping more often without traffic are cut off; clients must use a longer interval.",
    )
    max_connection_age: PositiveDuration = setting(
        minutes(30), "A connection is asked to reconnect at this age, so that load spreads again."
    )
    max_connection_age_grace: PositiveDuration = setting(
        minutes(16), "What calls on such a connection get to end; longer than a stream may live."
    )
    tls_cert_file: Path | None = setting(None, "PEM certificate chain; together with the key turns TLS on.")
    tls_key_file: Path | None = setting(None, "PEM private key of the certificate.")
    tls_client_ca_file: Path | None = setting(
        None,
        "PEM authorities; when given, clients must present a certificate of one of them (mTLS).",
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError(f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE must be given together")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError(f"{PREFIX}TLS_CLIENT_CA_FILE needs {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE")
        return self


class ObservabilitySettings(Area):
    """Metrics of what is no server, and traces."""

    heading = "Observability"

    worker_metrics_address: OptionalAddress = setting(
        "127.0.0.1:9564",
        "Where a worker serves Prometheus metrics over HTTP, host:port; process N adds N to the port. `off`: nowhere. "
        "A worker whose port is taken says so and works without.",
    )
    scheduler_metrics_address: OptionalAddress = setting(
        "127.0.0.1:9664",
        "Where the scheduler serves Prometheus metrics over HTTP, host:port: its own, and what waits to be done and "
        "for people in the whole installation. `off`: nowhere, and nobody looks for it.",
    )
    backlog_interval: PositiveDuration = setting(
        seconds(15),
        "How often the scheduler looks in the database what waits, for its metrics.",
    )
    tracing_endpoint: PublicUrl = setting(
        "",
        "The OpenTelemetry collector that gets traces by OTLP over HTTP, such as http://127.0.0.1:4318. Needs the "
        "extra `rowlock[tracing]`. Empty: no traces, and no cost.",
    )
    tracing_ratio: float = setting(
        0.1,
        "Share of traces that are sent, from 0 to 1, decided by the id of the trace, alike in every process.",
        ge=0,
        le=1,
    )
