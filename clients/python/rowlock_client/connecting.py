"""How a connection to Rowlock is made: addresses, TLS, keepalive."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

DEFAULT_TARGET: Final = "127.0.0.1:50051"

# The server pings at its own pace and cuts off clients that ping more often than every 10 s without traffic
# (ROWLOCK_MIN_PING_INTERVAL); so ours is well above, and only while a call or a stream is open.
_KEEPALIVE_SECONDS: Final = 30
_KEEPALIVE_TIMEOUT_SECONDS: Final = 10
# A whole drawing of 60,000 seats in one message stays below.
_MAX_RECEIVE_BYTES: Final = 16 * 1024 * 1024

OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.keepalive_time_ms", _KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
    # gRPC's own pauses before it connects again. The default grows to two minutes, far longer than a restart.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Two clients of one process have a connection each, as they say they do.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, and who vouches for whom.

    Attributes:
        ca_file: PEM certificates that vouch for the server; None: those of the system.
        cert_file: PEM certificate chain of this client, where the server asks for one; with `key_file`.
        key_file: PEM private key of the certificate.
        server_name: the name that the server's certificate is checked for, where it is not that of the target.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC calls them; the files are read now.

        Raises:
            OSError: a file cannot be read.
            ValueError: only one of certificate and key is given, or `ca_file` has no certificate.
        """
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file must be given together")
        authorities = self.ca_file.read_bytes() if self.ca_file else None
        if authorities is not None and b"-----BEGIN CERTIFICATE-----" not in authorities:
            raise ValueError(f"{self.ca_file} has no PEM certificate")
        return grpc.ssl_channel_credentials(
            root_certificates=authorities,
            private_key=self.key_file.read_bytes() if self.key_file else None,
            certificate_chain=self.cert_file.read_bytes() if self.cert_file else None,
        )


def target_of(targets: str | Sequence[str]) -> str:
    """The gRPC name for one or several addresses.

    Args:
        targets: `host:port`, any gRPC name such as `dns:///rowlock.example:443`, or several `ip:port`, in a list or
            by commas. Calls are spread over all addresses that the name stands for.

    Raises:
        ValueError: several targets of which one is not an IP address with a port, or of different families.
    """
    several = targets.split(",") if isinstance(targets, str) else list(targets)
    several = [target.strip() for target in several if target.strip()]
    if not several:
        raise ValueError("no address of a server was given")
    if len(several) == 1:
        return several[0]
    families = {_family(target) for target in several}
    if len(families) > 1:
        raise ValueError("several targets must be all IPv4 or all IPv6 addresses")
    return f"ipv{families.pop()}:{','.join(several)}"


def open_channel(targets: str | Sequence[str], tls: Tls | None) -> grpc.Channel:
    """A channel for blocking calls; it connects at the first one."""
    target = target_of(targets)
    if tls is None:
        return grpc.insecure_channel(target, options=_options(tls))
    return grpc.secure_channel(target, tls.credentials(), options=_options(tls))


def open_aio_channel(
    targets: str | Sequence[str], tls: Tls | None, *, interceptors: Sequence[Any] = ()
) -> grpc.aio.Channel:
    """A channel for asyncio; it connects at the first call."""
    target = target_of(targets)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_options(tls), interceptors=interceptors)
    return grpc.aio.secure_channel(target, tls.credentials(), options=_options(tls), interceptors=interceptors)


def _options(tls: Tls | None) -> list[tuple[str, Any]]:
    override = [("grpc.ssl_target_name_override", tls.server_name)] if tls and tls.server_name else []
    return [*OPTIONS, *override]


def _family(target: str) -> int:
    host, separator, port = target.rpartition(":")
    try:
        if separator and port.isdecimal():
            return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        pass
    raise ValueError(
        f"{target!r} is not an IP address with a port. Several targets must be; or give one DNS name for all of them."
    )
