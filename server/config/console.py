"""The back office in the browser."""

from __future__ import annotations

from pathlib import Path

from server.config.area import Area, minutes, setting
from server.config.values import CommaList, OptionalAddress, PositiveDuration


class ConsoleSettings(Area):
    """The back office in the browser."""

    heading = "Console"

    console_address: OptionalAddress = setting(
        "127.0.0.1:8090",
        "Where the console serves the back office, host:port. `off`: `rowlock up` starts none.",
    )
    console_servers: CommaList = setting(
        (),
        "The gRPC servers that it calls in turn, as host:port, by commas; one name may stand for many. Empty: "
        "ROWLOCK_GRPC_ADDRESS. They must trust its address: ROWLOCK_TRUSTED_PROXIES.",
    )
    console_server_ca_file: Path | None = setting(
        None, "PEM authorities of the servers' certificates. Unset: they are called in plain text."
    )
    console_server_cert_file: Path | None = setting(
        None, "PEM certificate that it shows to servers which ask for one (mTLS)."
    )
    console_server_key_file: Path | None = setting(None, "That certificate's key.")
    console_tls_cert_file: Path | None = setting(None, "PEM certificate with which it serves HTTPS. Unset: HTTP.")
    console_tls_key_file: Path | None = setting(None, "The certificate's key.")
    console_idle_time: PositiveDuration = setting(minutes(60), "Who does nothing for so long has to sign in again.")
