"""The one timer of all watchers."""

from hypothesis import given
from hypothesis import strategies as st

from server.seats.feed_timers import Wheel


def test_an_item_is_visited_once_for_each_time_it_was_put_in() -> None:
    wheel: Wheel[str] = Wheel(0.5)
    wheel.put("a", 1.0)
    wheel.put("b", 1.2)
    assert list(wheel.due(0.9)) == []
    assert list(wheel.due(1.0)) == ["a"]
    assert list(wheel.due(1.6)) == ["b"]
    assert list(wheel.due(9.0)) == []


def test_an_item_put_in_during_its_visit_is_due_at_the_next_tick_at_the_earliest() -> None:
    wheel: Wheel[str] = Wheel(1.0)
    wheel.put("a", 1.0)
    for item in wheel.due(5.0):
        wheel.put(item, 2.0)
    assert list(wheel.due(5.9)) == []
    assert list(wheel.due(6.0)) == ["a"]


@given(st.floats(0.01, 100), st.floats(0.05, 2))
def test_nothing_is_early_or_more_than_a_tick_late(due: float, tick: float) -> None:
    wheel: Wheel[str] = Wheel(tick)
    wheel.put("a", due)
    assert list(wheel.due(due - tick * 0.001 - 1e-9)) == [] or due % tick < tick * 0.002
    # A thousandth of a tick more: where `due` is a whole number of ticks, the sum may be rounded below the next.
    assert list(wheel.due(due + tick * 1.001)) == ["a"]
