"""Where a server listens and how it treats connections: ports, TLS, keepalive, ages, sizes."""

import errno
import socket
import ssl
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import structlog

from server.config import Settings, SettingsError, StartError, variable_name

_log = structlog.get_logger()

METADATA_BYTES: Final = 16 * 1024
"""Largest request metadata. Soft and hard limit are one, because between them gRPC refuses at random."""

_MOST_PENDING: Final = 100_000
"""Calls that may wait within gRPC until the event loop comes round to them."""


def channel_options(settings: Settings) -> list[tuple[str, Any]]:
    """What gRPC is told about connections and sizes."""

    def milliseconds(name: str) -> int:
        return int(getattr(settings, name).total_seconds() * 1000)

    return [
        # Twice our own limit: what is only a little too large gets our error, which says what is accepted.
        ("grpc.max_receive_message_length", 2 * settings.max_receive_bytes),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES),
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        # gRPC cancels calls at random, without a word, once a thousand wait to be taken up. We take them all up and
        # turn away with a reason, and a time to come again, those that are too many.
        ("grpc.server.max_pending_requests", _MOST_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
        # The server pings a silent connection, to notice dead watchers …
        ("grpc.keepalive_time_ms", milliseconds("keepalive_time")),
        ("grpc.keepalive_timeout_ms", milliseconds("keepalive_timeout")),
        ("grpc.http2.max_pings_without_data", 0),
        # … and lets clients do the same, down to an interval that must be below theirs, or they are sent away.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", milliseconds("min_ping_interval")),
        ("grpc.max_connection_age_ms", milliseconds("max_connection_age")),
        ("grpc.max_connection_age_grace_ms", milliseconds("max_connection_age_grace")),
        # Processes share the port; a new one may start before the old one drains.
        ("grpc.so_reuseport", 1),
        # For the operators' port, which is another server of the same process.
        ("grpc.enable_channelz", 1),
    ]


def listen(server: grpc.aio.Server, settings: Settings) -> int:
    """Bind the server to the address of the settings, with TLS if they say so; returns the port.

    Raises:
        StartError: the port is taken, or the address is not this machine's.
        SettingsError: a certificate cannot be used.
    """
    return bind(server, settings.grpc_address, variable_name("grpc_address"), tls_credentials(settings))


def bind(
    server: grpc.aio.Server,
    address: str,
    variable: str,
    credentials: grpc.ServerCredentials | None = None,
    *,
    shared: bool = True,
) -> int:
    """Bind a server to one address; returns the port, which matters where the address said 0.

    Args:
        server: not yet started.
        address: ``host:port``.
        variable: the setting that it comes from.
        credentials: TLS; None: plain text.
        shared: whether other processes of ours may listen there too.

    Raises:
        StartError: the address cannot be listened on; the text says why, and names ``variable``.
    """
    # gRPC only says "failed to bind" and may have logged the cause where nobody looks. So we look first.
    if problem := why_not(address, shared=shared):
        raise StartError(f"Cannot listen on {address}: {problem}. Free it, or choose another with {variable}.")
    try:
        if credentials is not None:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"Cannot listen on {address} ({variable}): {error}.") from None


def why_not(address: str, *, shared: bool) -> str | None:
    """Why an address ``host:port`` cannot be listened on, in words; None: it can."""
    host, _, port = address.rpartition(":")
    try:
        resolved = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        return "the name of the host is not known"
    family, kind, protocol, _, name = resolved[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        try:
            probe.bind(name)
        except PermissionError:
            return "this user may not use the port"
        except OSError as error:
            return (
                "another program uses the port"
                if error.errno == errno.EADDRINUSE
                else (error.strerror or str(error)).lower()
            )
    return None


def tls_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """TLS, or mTLS, with certificates that are read again when their files change; None: plain text.

    Raises:
        SettingsError: a file cannot be read or used.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    certificates = _Certificates(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
    return grpc.dynamic_ssl_server_credentials(
        certificates.first(),
        certificates.renewed,  # type: ignore[arg-type]  # None is documented: keep the present one
        require_client_authentication=settings.tls_client_ca_file is not None,
    )


class _Certificates:
    """The files of a certificate. gRPC asks at every handshake whether there are new ones."""

    def __init__(self, certificate: Path, key: Path, client_authority: Path | None) -> None:
        self._files = {"tls_cert_file": certificate, "tls_key_file": key}
        if client_authority is not None:
            self._files["tls_client_ca_file"] = client_authority
        self._stamp: tuple[int, ...] = ()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """What the files hold now.

        Raises:
            SettingsError: one cannot be read, or they hold no certificate and key that belong together.
        """
        for name, path in self._files.items():
            try:
                path.read_bytes()
            except OSError as error:
                raise SettingsError(f"{variable_name(name)}={path} cannot be read: {error.strerror}.") from None
        self._stamp = self._stamps()
        problem, configuration = self._read()
        if configuration is None:
            names = " and ".join(variable_name(name) for name in ("tls_cert_file", "tls_key_file"))
            raise SettingsError(f"{names} cannot be used: {problem}.")
        return configuration

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What the files hold, if they have changed and can be used; None: keep what is in use."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return None
            problem, configuration = self._read()
        except OSError as error:
            problem, configuration, stamp = str(error), None, self._stamp
        if configuration is None:
            # Between the writing of the two files they do not fit; the next handshake looks again.
            _log.warning("certificate_not_renewed", cause=problem)
            return None
        self._stamp = stamp
        _log.info("certificate_renewed", file=str(self._files["tls_cert_file"]))
        return configuration

    def _stamps(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns for path in self._files.values())

    def _read(self) -> tuple[str, grpc.ServerCertificateConfiguration | None]:
        """The configuration, or why there is none."""
        certificate, key = self._files["tls_cert_file"], self._files["tls_key_file"]
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
        except (ssl.SSLError, _PasswordNeededError) as error:
            return f"{certificate} and {key} are no certificate with its key ({error})", None
        authority = self._files.get("tls_client_ca_file")
        return "", grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())], authority.read_bytes() if authority else None
        )


class _PasswordNeededError(Exception):
    """The key file is encrypted."""


def _no_password() -> str:
    """Fail instead of asking at the terminal."""
    raise _PasswordNeededError("the key is encrypted; give one without a password")
