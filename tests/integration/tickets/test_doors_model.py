"""Any sequence of scans, repetitions, uploads, undoings and returns ends as a model of one ticket says it must."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import clock
from server.audit import doors
from server.db.engine import Database
from server.domain.check_in_history import undo
from server.domain.check_in_rules import Scan
from server.domain.check_ins import Recorded, record
from server.errors import FailedPrecondition
from server.states import CheckInOutcome, TicketState
from tests.doors import POLICY
from tests.invariants import faults
from tests.staging import stage

TICKETS = 2

_SELL = text("""
INSERT INTO tickets (performance_id, id, booking_id, customer_id, place, ticket_type_id, nonce, state, create_time)
VALUES (:performance, :id, :booking, :id, :place, 1, :id, 1, now())
""")

tickets = st.integers(0, TICKETS - 1)
scans = st.tuples(st.just("scan"), tickets)
uploads = st.tuples(st.just("upload"), st.lists(st.tuples(tickets, st.booleans()), min_size=1, max_size=4))
steps = st.one_of(
    scans,
    scans,
    uploads,
    st.tuples(st.just("again"), st.integers(0, 20)),
    st.tuples(st.just("undo"), tickets),
    st.tuples(st.just("void"), tickets),
)


@dataclass
class Story:
    """One evening, and what the model expects of it."""

    session: Session
    performance_id: int
    booking_id: UUID
    ids: list[UUID]
    states: list[TicketState] = field(default_factory=lambda: [TicketState.VALID] * TICKETS)
    told: list[tuple[Scan, CheckInOutcome]] = field(default_factory=list)

    def scan(self, number: int) -> None:
        """Somebody comes to a door."""
        self.record(replace(self.request(number), request_id=str(len(self.told))), number)

    def upload(self, lines: list[tuple[int, bool]]) -> None:
        """A door hands in what it did."""
        for number, let_in in lines:
            scan = replace(
                self.request(number), request_id=str(len(self.told)), offline_time=clock.now(), let_in=let_in
            )
            self.record(scan, number)

    def again(self, turn: int) -> None:
        """A door sends again what it has sent before: it is told the same."""
        if self.told:
            scan, outcome = self.told[turn % len(self.told)]
            (recorded,) = record(self.session, [scan], POLICY)
            assert isinstance(recorded, Recorded)
            assert recorded.check_in.outcome is outcome

    def undo(self, number: int) -> None:
        """Staff press the button."""
        try:
            undo(self.session, self.performance_id, self.booking_id, self.ids[number], reason="x", actor_id=uuid4())
        except FailedPrecondition:
            assert self.states[number] is not TicketState.CHECKED_IN
        else:
            assert self.states[number] is TicketState.CHECKED_IN
            self.states[number] = TicketState.VALID

    def void(self, number: int) -> None:
        """The ticket is given back, which the ledger allows only while it is not used."""
        if self.states[number] is TicketState.VALID:
            self.session.execute(text("UPDATE tickets SET state = 3 WHERE id = :id"), {"id": self.ids[number]})
            self.states[number] = TicketState.VOID

    def request(self, number: int) -> Scan:
        """A scan of a ticket."""
        return Scan(
            self.performance_id, self.ids[number], self.performance_id, self.ids[number], "gate", uuid4(), scope="x"
        )

    def record(self, scan: Scan, number: int) -> None:
        """Record a scan and compare what comes of it."""
        (recorded,) = record(self.session, [scan], POLICY)
        assert isinstance(recorded, Recorded)
        expected = {
            TicketState.VALID: CheckInOutcome.ADMITTED,
            TicketState.CHECKED_IN: CheckInOutcome.ALREADY_CHECKED_IN,
            TicketState.VOID: CheckInOutcome.TICKET_VOID,
        }[self.states[number]]
        if scan.offline_time is not None and not scan.let_in:
            expected = CheckInOutcome.TURNED_AWAY
        assert recorded.check_in.outcome is expected
        if expected is CheckInOutcome.ADMITTED:
            self.states[number] = TicketState.CHECKED_IN
        self.told.append((scan, expected))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(steps, min_size=3, max_size=15))
def test_every_evening_ends_as_the_model_says(database: Database, story: list[tuple[str, object]]) -> None:
    with Session(database.engine) as session:
        house = stage(session, start_time=clock.now() + timedelta(hours=1))
        told = Story(session, house.performance_id, uuid4(), [uuid4() for _ in range(TICKETS)])
        for place, ticket_id in enumerate(told.ids):
            values = {"performance": house.performance_id, "id": ticket_id, "booking": told.booking_id, "place": place}
            session.execute(_SELL, values)
        for name, argument in story:
            getattr(told, name)(argument)
        states = text("SELECT state FROM tickets WHERE performance_id = :id ORDER BY place")
        assert session.scalars(states, {"id": house.performance_id}).all() == told.states
        assert faults(session, doors.ALWAYS) == []
        session.rollback()
