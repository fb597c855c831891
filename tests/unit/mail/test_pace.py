"""When the next mail may leave."""

import pytest

from server.mail import pace
from server.mail.pace import Outage


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
