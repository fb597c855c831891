"""When the next mail may leave."""

import asyncio
from collections.abc import Callable

import pytest

from server.mail import pace
from server.mail.pace import Outage, Pace
from server.rates import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_while_the_server_is_away_one_asks_at_longer_and_longer_intervals(clock: Clock) -> None:
    outage = Outage()
    assert outage.room(8) == 8
    pauses = []
    for _ in range(9):
        pauses.append(outage.failed("away"))
        assert outage.room(8) == 0
        clock.now += pauses[-1]
        assert outage.room(8) == 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    outage.worked()
    assert outage.room(8) == 8
    assert outage.failed("away again") == 1


def test_those_that_were_in_work_together_count_as_one_failure(clock: Clock) -> None:
    outage = Outage()
    assert [outage.failed("away") for _ in range(8)] == [1.0] * 8


async def leave(steps: int, pace_: Pace, clock: Clock, between: Callable[[int], float] = lambda _: 0) -> list[float]:
    """When each of so many mails leaves, in seconds since the first one asked."""
    begin, times = clock.now, []
    for number in range(steps):
        clock.now += between(number)
        await pace_.turn()
        times.append(clock.now - begin)
    return times


@pytest.fixture
def sleeping(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    async def fall_asleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(asyncio, "sleep", fall_asleep)
    return clock


async def test_a_second_s_worth_leaves_at_once_and_then_one_after_the_other(sleeping: Clock) -> None:
    times = await leave(30, Pace(Rate.parse("10/second")), sleeping)
    assert times == pytest.approx([max(0, (number - 9) / 10) for number in range(30)])


async def test_a_pause_earns_no_more_than_a_second_s_worth(sleeping: Clock) -> None:
    limited = Pace(Rate.parse("10/second"))
    await leave(10, limited, sleeping)
    sleeping.now += 3600
    assert sum(time == 0 for time in await leave(30, limited, sleeping)) == 10


async def test_a_slow_rate_lets_one_leave_and_makes_the_next_wait(sleeping: Clock) -> None:
    times = await leave(3, Pace(Rate.parse("6/minute")), sleeping)
    assert times == pytest.approx([0, 10, 20])


async def test_without_a_rate_nobody_waits(sleeping: Clock) -> None:
    assert await leave(100, Pace(None), sleeping) == [0] * 100
