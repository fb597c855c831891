import pytest

from server.interceptors.rate_limit import LocalBuckets
from server.rates import Rate


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "calls", "period"),
    [
        ("10/second", 10, 1),
        ("600/minute", 600, 60),
        ("5/10 minutes", 5, 600),
        ("1 / 2 hours", 1, 7200),
        ("3/day", 3, 86_400),
    ],
)
def test_rates_are_read_as_the_settings_write_them(text: str, calls: int, period: float) -> None:
    assert Rate.parse(text) == Rate(calls, period)


@pytest.mark.parametrize("text", ["", "10", "10/fortnight", "0/minute", "5/0 minutes", "-1/minute"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        Rate.parse(text)


def test_so_many_calls_pass_at_once_and_then_as_fast_as_the_bucket_fills() -> None:
    clock = Clock()
    buckets = LocalBuckets(Rate(6, 60), clock=clock)
    assert [buckets.wait("a") for _ in range(6)] == [0] * 6
    assert buckets.wait("a") == pytest.approx(10)
    clock.now += 4
    assert buckets.wait("a") == pytest.approx(6)
    clock.now += 6
    assert buckets.wait("a") == 0
    assert buckets.wait("a") == pytest.approx(10)


def test_it_is_told_what_is_left() -> None:
    clock = Clock()
    buckets = LocalBuckets(Rate(6, 60), clock=clock)
    assert [buckets.take("a") for _ in range(6)] == pytest.approx([-50, -40, -30, -20, -10, 0])
    assert buckets.take("a") == pytest.approx(10)
    clock.now += 25
    assert buckets.take("a") == pytest.approx(-15)


def test_a_refused_call_costs_nothing() -> None:
    clock = Clock()
    buckets = LocalBuckets(Rate(1, 10), clock=clock)
    buckets.wait("a")
    for _ in range(100):
        assert buckets.wait("a") == pytest.approx(10)
    clock.now += 10
    assert buckets.wait("a") == 0


def test_no_window_lets_more_than_the_bucket_and_its_refill_pass() -> None:
    clock = Clock()
    buckets = LocalBuckets(Rate(60, 60), clock=clock)
    passed = []
    for _ in range(3000):
        clock.now += 0.05
        if not buckets.wait("a"):
            passed.append(clock.now)
    for start in passed:
        assert sum(start <= moment < start + 60 for moment in passed) <= 2 * 60
    assert len(passed) <= 60 + 150 + 1


def test_keys_do_not_touch_each_other() -> None:
    buckets = LocalBuckets(Rate(1, 60), clock=Clock())
    assert buckets.wait("a") == 0
    assert buckets.wait("b") == 0
    assert buckets.wait("a") > 0


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    buckets = LocalBuckets(Rate(1, 1), clock=clock, room=100)
    for key in range(1000):
        clock.now += 0.1
        buckets.wait(key)
    assert len(buckets._full_at) <= 100
