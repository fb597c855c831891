"""How long a write counts as waiting."""

import asyncio

import pytest

from rowlock.v1 import seat_feed_pb2
from server.interceptors import streams
from server.interceptors.method import Method
from server.interceptors.streams import OpenStream, OpenStreams

_WATCH_SEATS = Method(
    service="rowlock.v1.EventService",
    name="WatchSeats",
    path="/rowlock.v1.EventService/WatchSeats",
    request_class=seat_feed_pb2.WatchSeatsRequest,
    response_class=seat_feed_pb2.WatchSeatsResponse,
    server_streaming=True,
    mutating=False,
)


class _Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(streams, "time", clock)
    return clock


def _cut_off(stream: OpenStream) -> bool:
    return stream.stalled


async def _one_that_writes(open_streams: OpenStreams, opened: asyncio.Future[OpenStream]) -> None:
    with open_streams.opened(_WATCH_SEATS, "ada") as stream:
        stream.writing = True
        opened.set_result(stream)
        await asyncio.sleep(60)


@pytest.mark.fault
async def test_a_process_that_stood_still_does_not_blame_its_readers(clock: _Clock) -> None:
    open_streams = OpenStreams(most=10, most_per_account=3, write_timeout=30)
    opened: asyncio.Future[OpenStream] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_one_that_writes(open_streams, opened))
    stream = await opened

    clock.now += 90
    open_streams.check()
    assert not _cut_off(stream)

    for _ in range(30):
        clock.now += 1
        open_streams.check()
    assert _cut_off(stream)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_write_that_ends_starts_the_next_one_afresh(clock: _Clock) -> None:
    open_streams = OpenStreams(most=10, most_per_account=3, write_timeout=3)
    opened: asyncio.Future[OpenStream] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_one_that_writes(open_streams, opened))
    stream = await opened
    for _ in range(20):
        clock.now += 1
        stream.sent_messages += 1
        open_streams.check()
        clock.now += 1
        open_streams.check()
    assert not _cut_off(stream)
    task.cancel()
