"""Streams over REST: as lines of JSON and as Server-Sent Events, to their end, whoever ends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from server.config import Settings
from server.db.engine import Database
from server.metrics import STREAMS
from tests.eventually import eventually
from tests.gateway.conftest import Door, bearer, serving
from tests.gateway_process import Gateway, gateway_process, reason

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Lines:
    """A stream as lines of JSON."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next message."""
        line: dict[str, Any] = json.loads(await anext(self._lines))
        assert list(line) == ["result"], line
        result: dict[str, Any] = line["result"]
        return result

    async def until(self, event: str) -> dict[str, Any]:
        """The next message of this kind."""
        while event not in (message := await self.next()):
            pass
        return message

    async def over(self) -> bool:
        """Whether nothing comes any more."""
        return await anext(self._lines, None) is None


@asynccontextmanager
async def watching(door: Door, gateway: Gateway | None = None, **headers: str) -> AsyncIterator[Lines]:
    """The hall, live."""
    url = f"{(gateway or door.gateway).url}/v1/{door.performance}:watchSeats"
    sent = {**bearer(door.anna), "Accept": "application/x-ndjson", **headers}
    async with httpx.AsyncClient(timeout=60) as http, http.stream("GET", url, headers=sent) as answer:
        yield Lines(answer)


def open_streams() -> float:
    (metric,) = STREAMS.labels("rowlock.v1.EventService", "WatchSeats").collect()
    return float(metric.samples[0].value)


async def test_each_message_is_a_line_at_once(door: Door) -> None:
    async with watching(door) as stream:
        assert stream.answer.status_code == 200
        assert stream.answer.headers["content-type"] == "application/x-ndjson"
        snapshot = await stream.until("snapshot")
        await door.book(door.staff, 3)
        changed = await stream.until("changes")
    assert int(changed["revision"]) == int(snapshot["revision"]) + 1
    assert changed["changes"]["changes"] == [{"index": 3, "state": "SEAT_STATE_HELD"}]


async def test_a_stream_is_json_lines_unless_events_are_asked_for(door: Door) -> None:
    async with watching(door, Accept="*/*") as stream:
        assert stream.answer.headers["content-type"] == "application/x-ndjson"
    async with watching(door, Accept="text/html, text/event-stream;q=0.9") as stream:
        assert stream.answer.headers["content-type"] == "text/event-stream"


async def test_events_carry_their_revision_and_go_on_from_it(door: Door) -> None:
    await door.book(door.staff, 7)  # from revision 0 nothing can go on: it asks for a snapshot
    url = f"/v1/{door.performance}:watchSeats"
    sent = {**bearer(door.anna), "Accept": "text/event-stream"}
    async with door.http.stream("GET", url, headers=sent) as answer:
        lines = answer.aiter_lines()
        first = [await anext(lines) for _ in range(3)]
    revision = first[0].removeprefix("id: ")
    assert first[0].startswith("id: ")
    assert json.loads(first[1].removeprefix("data: "))["revision"] == revision
    assert first[2] == ""

    await door.book(door.staff, 4)
    async with door.http.stream("GET", url, headers={**sent, "Last-Event-ID": revision}) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == f"id: {int(revision) + 1}"
        told = json.loads((await anext(lines)).removeprefix("data: "))
    assert "changes" in told, told
    assert told["changes"]["changes"] == [{"index": 4, "state": "SEAT_STATE_HELD"}]


async def test_a_booking_is_followed_to_its_end(door: Door) -> None:
    name = (await door.book(door.anna, 5)).json()["name"]
    async with door.http.stream("GET", f"/v1/{name}:watch", headers=bearer(door.anna)) as answer:
        stream = Lines(answer)
        assert (await stream.until("booking"))["booking"]["state"] == "HELD"
        await door.http.post(f"/v1/{name}:cancel", json={}, headers=bearer(door.anna))
        assert (await stream.until("booking"))["booking"]["state"] == "CANCELLED"
        assert (await stream.until("reconnect"))["reconnect"] == {"reason": "FINISHED"}
        assert await stream.over()


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
async def test_a_stream_that_cannot_begin_is_refused_like_any_call(door: Door, accept: str) -> None:
    for url, headers, status, why in (
        ("performances/999999999:watchSeats", bearer(door.anna), 404, "NOT_FOUND"),
        (f"{door.performance}:watchSeats", {}, 401, "TOKEN_MISSING"),
        (f"{door.performance}:watchSeats?resumeRevision=999999", bearer(door.anna), 400, "REVISION_IN_FUTURE"),
        (f"{door.performance}:watchSeats?resumeRevision=now", bearer(door.anna), 400, "INVALID_FIELD"),
    ):
        answer = await door.http.get(f"/v1/{url}", headers={**headers, "Accept": accept})
        assert (answer.status_code, reason(answer)) == (status, why), answer.text
        assert answer.headers["content-type"] == "application/json"


async def test_head_of_a_stream_does_not_wait_for_its_end(door: Door) -> None:
    answer = await door.http.head(f"/v1/{door.performance}:watchSeats", headers=bearer(door.anna))
    assert answer.status_code == 501


async def test_the_server_sees_that_a_reader_has_gone(door: Door) -> None:
    await eventually(lambda: open_streams() == 0)  # of tests before, too
    async with watching(door) as stream:
        await stream.until("snapshot")
        assert open_streams() == 1
    await eventually(lambda: open_streams() == 0)


async def test_a_stream_outlives_the_longest_call(door: Door) -> None:
    async with (
        gateway_process([door.address], "-call-timeout=1s", "-write-timeout=1s") as gateway,
        watching(door, gateway) as stream,
    ):
        await stream.until("snapshot")
        await asyncio.sleep(2.5)
        await door.book(door.staff, 6)
        await stream.until("changes")


async def test_a_gateway_that_stops_tells_its_streams_where_to_go_on(door: Door) -> None:
    async with gateway_process([door.address], "-drain-time=60s") as gateway:
        async with watching(door, gateway) as stream, watching(door, gateway, Accept="text/event-stream") as events:
            revision = (await stream.until("snapshot"))["revision"]
            stopped = asyncio.create_task(gateway.stop())
            assert await stream.until("reconnect") == {"revision": revision, "reconnect": {"reason": "DRAIN"}}
            assert await stream.over()
            assert "DRAIN" in (await events.answer.aread()).decode()
        assert await stopped == 0
        assert gateway.log[-1]["event"] == "stopped"


async def test_streams_never_keep_calls_waiting(door: Door, settings: Settings, database: Database) -> None:
    """A server has one connection carry so many calls; more screens than that come, and an unary call beside them."""
    limits = {"max_concurrent_streams": 410, "max_streams_per_account": 1_000}
    request = (
        f"GET /v1/{door.performance}:watchSeats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.anna.access}\r\n\r\n"
    ).encode()
    async with serving(settings, database, **limits) as (_, address), gateway_process([address]) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")

        async def joined() -> asyncio.StreamWriter:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            await reader.readuntil(b'"snapshot"')
            return writer

        screens = await asyncio.gather(*(joined() for _ in range(420)))
        async with httpx.AsyncClient(timeout=60) as http:
            assert (await http.get(f"{gateway.url}/v1/{door.performance}")).status_code == 200
        for screen in screens:
            screen.close()
