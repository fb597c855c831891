"""A line by itself: cycles, order and estimates as functions of values, driven by whatever hypothesis thinks of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server.states import QueueEntryState
from server.waiting_room.cycle import Cycle, Terms, advance, next_chance, shortened
from server.waiting_room.estimate import admission_time, admitted_per_cycle
from server.waiting_room.line import Line, Move

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class LineMachine(RuleBasedStateMachine):
    """One line with its customers, its worker and the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.opening = BEGIN + 5 * SECOND
        self.terms = Terms(3, 10 * SECOND, 8 * SECOND)
        self.cycle = Cycle(0, None, 0)
        self.waiting: list[int] = []
        self.line = Line(UUID(int=0), 0)
        self.ids: dict[int, UUID] = {}
        self.shopping: list[datetime] = []
        self.joined = self.gone = 0
        self.due: datetime | None = None
        self.admitted: list[tuple[int, datetime, int]] = []
        """(cycle, when, place)"""
        self.limits: dict[int, int] = {}

    def move(self, place: int, state: QueueEntryState) -> None:
        self.line.apply(self.line.revision + 1, [Move(self.ids[place], place, state)])

    @rule(count=st.integers(1, 6))
    def join(self, count: int) -> None:
        for _ in range(count):
            self.joined += 1
            self.ids[self.joined] = uuid4()
            self.waiting.append(self.joined)
            self.move(self.joined, QueueEntryState.WAITING)
        self.due = self.due or next_chance(self.cycle, now=self.now, opening=self.opening)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(place)
        self.gone += 1
        self.move(place, QueueEntryState.LEFT)

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(count=st.integers(1, 5), interval=st.integers(1, 30), most=st.none() | st.integers(1, 6))
    def staff_change_the_terms(self, count: int, interval: int, most: int | None) -> None:
        self.terms = Terms(count, interval * SECOND, self.terms.admission_duration, most)
        self.cycle = shortened(self.cycle, self.terms, self.now)
        if self.waiting:
            self.due = next_chance(self.cycle, now=self.now, opening=self.opening)

    @precondition(lambda self: self.due is not None and self.due <= self.now)
    @rule()
    def a_worker_looks(self) -> None:
        self.shopping = [until for until in self.shopping if until > self.now]
        step = advance(
            self.terms,
            self.cycle,
            now=self.now,
            opening=self.opening,
            waiting=len(self.waiting),
            shopping=len(self.shopping),
        )
        if step.begins:
            self.limits[step.cycle.number] = step.cycle.left + step.admit
        for place in self.waiting[: step.admit]:
            self.admitted.append((step.cycle.number, self.now, place))
            self.shopping.append(self.now + self.terms.admission_duration)
            self.move(place, QueueEntryState.ADMITTED)
        del self.waiting[: step.admit]
        self.cycle, self.due = step.cycle, step.next_time
        if self.terms.shopping_limit is not None and step.admit:
            assert len(self.shopping) <= self.terms.shopping_limit
        assert self.due is None or self.due > self.now

    @invariant()
    def no_cycle_admits_more_than_it_may(self) -> None:
        for number in {number for number, _, _ in self.admitted}:
            assert sum(cycle == number for cycle, _, _ in self.admitted) <= self.limits[number]

    @invariant()
    def nobody_overtakes(self) -> None:
        places = [place for _, _, place in self.admitted]
        assert places == sorted(places)
        assert not self.waiting or not places or places[-1] < self.waiting[0]

    @invariant()
    def nobody_is_lost(self) -> None:
        assert self.joined == len(self.waiting) + len(self.admitted) + self.gone
        assert not self.waiting or self.due is not None

    @invariant()
    def nobody_is_admitted_before_the_opening(self) -> None:
        assert all(when >= self.opening for _, when, _ in self.admitted)

    @invariant()
    def the_line_in_memory_is_the_line(self) -> None:
        assert list(self.line.places) == self.waiting
        assert [self.line.position(place) for place in self.waiting] == list(range(1, len(self.waiting) + 1))


TestLineMachine = LineMachine.TestCase


@given(
    position=st.integers(1, 10_000),
    per_cycle=st.floats(0, 50),
    left=st.integers(0, 10),
    age=st.integers(0, 1200),
    most=st.none() | st.integers(1, 100),
)
def test_who_stands_further_back_never_waits_less(
    position: int, per_cycle: float, left: int, age: int, most: int | None
) -> None:
    terms = Terms(10, 600 * SECOND, 600 * SECOND, most)
    cycle = Cycle(1, BEGIN + 600 * SECOND, left)
    now = BEGIN + age * SECOND
    first, next_one = (
        admission_time(place, per_cycle, terms, cycle, now=now, opening=BEGIN) for place in (position, position + 1)
    )
    if per_cycle <= 0:
        assert first is next_one is None
    elif first is not None and next_one is not None:
        assert now <= first <= next_one


def test_the_estimate_follows_what_was_really_admitted() -> None:
    terms = Terms(10, 600 * SECOND, 600 * SECOND)
    cycle = Cycle(4, BEGIN + 300 * SECOND, 0)

    def wait(position: int, samples: list[int]) -> timedelta | None:
        time = admission_time(position, admitted_per_cycle(terms, samples), terms, cycle, now=BEGIN, opening=BEGIN)
        return None if time is None else time - BEGIN

    assert wait(10, []) == 300 * SECOND
    assert wait(11, []) == 900 * SECOND
    assert wait(11, [5, 5]) == 1500 * SECOND
    assert wait(1, [0, 0]) is None


def test_what_was_missed_while_nothing_ran_is_not_made_up_for() -> None:
    terms = Terms(10, 600 * SECOND, 600 * SECOND)
    cycle = Cycle(7, BEGIN, 4)
    late = BEGIN + timedelta(hours=5, seconds=7)
    step = advance(terms, cycle, now=late, opening=BEGIN, waiting=1000, shopping=None)
    assert (step.cycle.number, step.admit, step.next_time) == (8, 10, late + 600 * SECOND)


def test_a_worker_that_is_a_little_late_does_not_make_cycles_drift() -> None:
    terms = Terms(10, 600 * SECOND, 600 * SECOND)
    step = advance(terms, Cycle(1, BEGIN, 0), now=BEGIN + SECOND, opening=BEGIN, waiting=1000, shopping=None)
    assert step.next_time == BEGIN + 600 * SECOND
