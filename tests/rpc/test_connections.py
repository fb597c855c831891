"""TLS, mTLS, renewed certificates, and keepalive between a real server and real clients."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.config import Settings, SettingsError
from server.health import Health
from server.listening import channel_options, listen
from tests.certificates import Authority


@pytest.fixture
def authority() -> Authority:
    return Authority()


def _store(folder: Path, certificate: bytes, key: bytes) -> tuple[Path, Path]:
    paths = folder / "server.pem", folder / "server.key"
    for path, content in zip(paths, (certificate, key), strict=True):
        path.write_bytes(content)
        # Two writes within one tick of the file system's clock would look like one.
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + int.from_bytes(os.urandom(2), "big")))
    return paths


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[int]:
    server = grpc.aio.server(options=channel_options(settings))
    health_pb2_grpc.add_HealthServicer_to_server(Health([]), server)
    port = listen(server, settings)
    await server.start()
    yield port
    await server.stop(None)


async def asks(port: int, name: str, **credentials: bytes | None) -> None:
    """One health check over a new TLS connection to the host called ``name``."""
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        grpc.ssl_channel_credentials(**credentials),
        options=[("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)],
    ) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)


async def test_tls_by_configuration(settings: Settings, authority: Authority, tmp_path: Path) -> None:
    certificate, key = _store(tmp_path, *authority.issue("rowlock.test"))
    tls = settings.model_copy(update={"tls_cert_file": certificate, "tls_key_file": key})
    async with listening(tls) as port:
        await asks(port, "rowlock.test", root_certificates=authority.pem)
        with pytest.raises(grpc.aio.AioRpcError):
            await asks(port, "rowlock.test", root_certificates=Authority().pem)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)


async def test_mutual_tls_wants_a_certificate_of_the_authority(
    settings: Settings, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = _store(tmp_path, *authority.issue("rowlock.test"))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    mutual = settings.model_copy(
        update={"tls_cert_file": certificate, "tls_key_file": key, "tls_client_ca_file": tmp_path / "ca.pem"}
    )
    async with listening(mutual) as port:
        for issuer, welcome in ((authority, True), (Authority(), False)):
            chain, private_key = issuer.issue("client")
            credentials = {"certificate_chain": chain, "private_key": private_key}
            if welcome:
                await asks(port, "rowlock.test", root_certificates=authority.pem, **credentials)
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await asks(port, "rowlock.test", root_certificates=authority.pem, **credentials)
        with pytest.raises(grpc.aio.AioRpcError):
            await asks(port, "rowlock.test", root_certificates=authority.pem)


async def test_a_new_certificate_is_taken_up_without_a_restart(
    settings: Settings, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = _store(tmp_path, *authority.issue("old.test"))
    tls = settings.model_copy(update={"tls_cert_file": certificate, "tls_key_file": key})
    async with listening(tls) as port:
        await asks(port, "old.test", root_certificates=authority.pem)
        # Half a change is no change: a certificate whose key is still the old one is not used.
        renewed, renewed_key = authority.issue("new.test")
        certificate.write_bytes(renewed)
        await asks(port, "old.test", root_certificates=authority.pem)
        _store(tmp_path, renewed, renewed_key)
        await asks(port, "new.test", root_certificates=authority.pem)


async def test_a_certificate_that_cannot_be_used_stops_the_start(
    settings: Settings, authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.issue("a.test")
    _, other_key = authority.issue("b.test")
    paths = _store(tmp_path, certificate, other_key)
    for update, says in (
        (
            {"tls_cert_file": paths[0], "tls_key_file": paths[1]},
            "ROWLOCK_TLS_CERT_FILE and ROWLOCK_TLS_KEY_FILE cannot be used: .* no certificate with its key",
        ),
        ({"tls_cert_file": tmp_path / "absent.pem", "tls_key_file": paths[1]}, "ROWLOCK_TLS_CERT_FILE=.*No such file"),
    ):
        with pytest.raises(SettingsError, match=says):
            async with listening(settings.model_copy(update=update)):
                pass


@pytest.mark.parametrize(("limit", "survives"), [(20, True), (60_000, False)])
async def test_clients_that_ping_less_often_than_the_limit_are_not_sent_away(
    settings: Settings, limit: int, survives: bool
) -> None:
    eager = settings.model_copy(update={"min_ping_interval": timedelta(milliseconds=limit)})
    async with listening(eager) as port:
        options = [
            ("grpc.keepalive_time_ms", 400),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            # A watch is quiet while nothing changes.
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            quiet = asyncio.create_task(watch.read())
            done, _ = await asyncio.wait([quiet], timeout=4 if survives else 60)
            assert (not done) is survives
            if survives:
                quiet.cancel()
                await asyncio.wait([quiet])
            else:
                assert isinstance(quiet.exception(), grpc.aio.AioRpcError)
