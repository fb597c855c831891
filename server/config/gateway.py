"""The REST gateway, which is told all of its settings as flags."""

from __future__ import annotations

from pathlib import Path

from server.config.area import Area, seconds, setting
from server.config.values import CommaList, Duration, Networks, OptionalAddress, PositiveDuration


class GatewaySettings(Area):
    """REST in front of the servers."""

    heading = "REST gateway"

    gateway_address: OptionalAddress = setting(
        "127.0.0.1:8080",
        "Where the gateway serves REST, its documentation and the screens, host:port. `off`: `rowlock up` starts none.",
    )
    gateway_servers: CommaList = setting(
        (),
        "The gRPC servers that it calls in turn, as host:port, by commas; one name may stand for many. Empty: "
        "ROWLOCK_GRPC_ADDRESS.",
    )
    gateway_metrics_address: OptionalAddress = setting(
        "127.0.0.1:9480",
        "Where the gateway serves Prometheus metrics over HTTP, host:port. `off`: nowhere.",
    )
    gateway_server_ca_file: Path | None = setting(
        None, "PEM authorities of the servers' certificates. Unset: they are called in plain text."
    )
    gateway_server_cert_file: Path | None = setting(
        None, "PEM certificate that it shows to servers which ask for one (mTLS)."
    )
    gateway_server_key_file: Path | None = setting(None, "That certificate's key.")
    gateway_tls_cert_file: Path | None = setting(None, "PEM certificate with which it serves HTTPS. Unset: HTTP.")
    gateway_tls_key_file: Path | None = setting(None, "The certificate's key.")
    gateway_cors_origins: CommaList = setting(
        (),
        "Web origins whose pages may call it, such as https://tickets.example.org, by commas; `*`: all.",
    )
    gateway_trusted_proxies: Networks = setting(
        frozenset(),
        "Networks in front of it whose X-Forwarded-For it believes. The servers must trust the gateway in turn: "
        "ROWLOCK_TRUSTED_PROXIES.",
    )
    gateway_body_limit: int = setting(262_144, "Longest request body, in bytes.", ge=1024)
    gateway_call_timeout: PositiveDuration = setting(seconds(20), "Longest time of a call that is no stream.")
    gateway_write_timeout: PositiveDuration = setting(
        seconds(30), "A reader that takes nothing for so long is cut off."
    )
    gateway_drain_time: Duration = setting(
        seconds(15), "How long calls and streams under way may take to end when it stops."
    )
    gateway_kiosk_dir: Path | None = setting(
        None, "Folder of the screens that it serves at /kiosk/. Unset: those that come with Rowlock."
    )
    gateway_binary: Path | None = setting(
        None, "A gateway that was built already. Unset: `rowlock gateway` builds it on first use."
    )
