"""The gateway as those who run it meet it: several servers, stops and losses, TLS, metrics, the log."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from server.config import Settings
from tests.certificates import Authority
from tests.gateway.conftest import Door, bearer
from tests.gateway.test_streams import Lines
from tests.gateway_process import gateway_process
from tests.ports import free_port
from tests.server_processes import server_process

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_calls_go_on_when_one_of_two_servers_stops(door: Door, settings: Settings) -> None:
    urls = settings.database_url, settings.redis_url
    answers: list[int] = []
    ended = False
    async with (
        server_process(*urls) as one,
        server_process(*urls) as other,
        gateway_process([one.address, other.address]) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):

        async def call() -> None:
            while not ended:
                answers.append((await http.get(f"/v1/{door.performance}")).status_code)

        async def answered(count: int) -> None:
            wanted = len(answers) + count
            while len(answers) < wanted:  # noqa: ASYNC110 - nobody tells of an answer
                await asyncio.sleep(0.01)

        calling = [asyncio.create_task(call()) for _ in range(4)]
        await answered(50)
        one.process.terminate()
        await one.process.wait()
        await answered(50)
        ended = True
        await asyncio.gather(*calling)
    assert set(answers) == {200}


@pytest.mark.fault
async def test_a_stream_whose_server_is_killed_ends_with_an_error_to_try_again_after(
    door: Door, settings: Settings
) -> None:
    async with (
        server_process(settings.database_url, settings.redis_url) as server,
        gateway_process([server.address]) as gateway,
        httpx.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{gateway.url}/v1/{door.performance}:watchSeats", headers=bearer(door.anna)) as answer,
    ):
        lines = answer.aiter_lines()
        assert "snapshot" in await anext(lines)
        await server.kill()
        last = [line async for line in lines][-1]
    assert '"error":' in last
    assert '"reason":"SERVER_UNREACHABLE"' in last.replace(" ", "")
    assert "127.0.0.1" not in last


async def test_it_serves_over_tls(door: Door, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("localhost")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    pair = (f"-tls-cert-file={tmp_path / 'cert.pem'}", f"-tls-key-file={tmp_path / 'key.pem'}")
    async with gateway_process([door.address], *pair) as gateway:
        url = gateway.url.replace("127.0.0.1", "localhost")
        async with httpx.AsyncClient(base_url=url, verify=trusting, timeout=60) as http:
            assert (await http.get("/v1/events")).status_code == 200
            stream = http.stream("GET", f"/v1/{door.performance}:watchSeats", headers=bearer(door.anna))
            async with stream as answer:
                await Lines(answer).until("snapshot")


async def test_the_screens_are_served_and_no_list_of_their_files(door: Door, tmp_path: Path) -> None:
    (tmp_path / "style").mkdir()
    (tmp_path / "index.html").write_text("<h1>Kiosk</h1>")
    (tmp_path / "style" / "all.css").write_text("h1 { color: teal }")
    folder = f"-kiosk-dir={tmp_path}"
    async with (
        gateway_process([door.address], folder) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        page = await http.get("/kiosk/")
        assert (page.status_code, page.text) == (200, "<h1>Kiosk</h1>")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert (await http.get("/kiosk/style/all.css")).headers["content-type"].startswith("text/css")
        for elsewhere in ("/kiosk/style/", "/kiosk/none.js", "/kiosk/../gateway", "/kiosk/%2e%2e/%2e%2e/etc/passwd"):
            answer = await http.get(elsewhere, follow_redirects=True)
            assert (answer.status_code, "all.css" in answer.text) == (404, False), elsewhere


async def test_metrics_tell_what_was_served_on_an_address_of_their_own(door: Door) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with (
        gateway_process([door.address], f"-metrics-address={address}") as gateway,
        httpx.AsyncClient(timeout=60) as http,
    ):
        await http.get(f"{gateway.url}/v1/events")
        await http.get(f"{gateway.url}/v1/{door.performance}x/y")
        assert (await http.get(f"{gateway.url}/metrics")).status_code == 404
        text = (await http.get(f"http://{address}/metrics")).text
    assert 'rowlock_gateway_requests_total{rpc="rowlock.v1.EventService/ListEvents",status="200"} 1' in text
    assert 'rowlock_gateway_requests_total{rpc="none",status="404"} 2' in text
    assert 'rowlock_gateway_request_seconds_bucket{rpc="rowlock.v1.EventService/ListEvents"' in text


async def test_each_request_is_one_line_of_the_log_without_names_or_secrets(door: Door) -> None:
    await door.http.get("/v1/events?secretName=Ada", headers=bearer(door.anna))
    line = await door.gateway.logged(event="http", reason="INVALID_FIELD")
    assert set(line) == {
        *("time", "level", "event", "method", "rpc", "status", "reason", "duration_ms", "bytes", "address", "trace_id")
    }
    assert (line["level"], line["method"], line["status"], line["address"]) == ("info", "GET", 400, "127.0.0.1")
    everything = str(door.gateway.log)
    assert "Ada" not in everything
    assert door.anna.access not in everything
