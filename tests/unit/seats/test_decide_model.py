"""The decision core against the model: pure, so thousands of commands in a second."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis.stateful import invariant

from server.seats.booking import Booking
from server.seats.commands import UNLIMITED, Command, Expire
from server.seats.decide import decide
from server.seats.hall import Hall
from server.seats.rules import SaleRules, TicketTypeRule
from server.seats.state import FREE, PaymentRow, Replay, State, customer_key
from server.states import PaymentState
from tests.ledger_model import HOLD, LIMIT, LONGEST, PLACES, LedgerMachine, Model
from tests.staging import hall_document

START = datetime(2030, 1, 1, tzinfo=UTC)
RULES = SaleRules(
    performance_id=1,
    version=1,
    on_sale=True,
    sale_start_time=START - timedelta(days=1),
    sale_end_time=START + timedelta(days=900),
    refund_deadline=START + timedelta(days=900),
    customer_limit=LIMIT,
    hold_duration=HOLD,
    max_hold_time=LONGEST,
    ticket_types={7: TicketTypeRule(7, 2500, "EUR", frozenset(), None, None, None, None)},
    hall=Hall.from_document(hall_document(rows=1, seats=PLACES)),
)


class DecisionCore(LedgerMachine):
    performance_id = 1

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(START)
        self.state = State(START, {1: RULES}, {(1, place): FREE for place in range(PLACES)})

    def carry_out(self, command: Command) -> Booking | None:
        # A batch ends the holds that have run out before it decides.
        for booking in list(self.state.bookings.values()):
            if booking.has_run_out(self.state.now):
                self._decide(Expire(performance_id=1, booking_id=booking.id, actor_id=None, staff=True))
        return self._decide(command)

    def _decide(self, command: Command) -> Booking | None:
        before = repr(self.state)
        decision = decide(self.state, command)
        assert repr(self.state) == before, "deciding changes nothing"
        if isinstance(decision, Replay):
            return decision.booking
        self.state.apply(decision)
        if decision.then is None:
            return decision.after
        self.state.apply(decision.then)
        return decision.then.after

    def pay_late(self, booking: UUID) -> UUID:
        payment_id = uuid4()
        total = self.state.bookings[1, booking].total
        self.state.payments[1, payment_id] = PaymentRow(booking, PaymentState.UNKNOWN, total, "EUR")
        return payment_id

    def let_time_pass(self, seconds: int) -> None:
        self.state.now += timedelta(seconds=seconds)

    @invariant()
    def seats_stand_as_in_the_model_or_wait_for_expiry(self) -> None:
        for place, expected in self.model.seat_states().items():
            row = self.state.seats[1, place]
            holder = None if row.booking_id is None else self.state.bookings[1, row.booking_id]
            if holder is None or not holder.has_run_out(self.state.now):
                assert row.state is expected

    @invariant()
    def quotas_count_what_live_bookings_hold(self) -> None:
        for (_, key), used in self.state.quotas.items():
            if key.startswith("c"):
                live = [
                    b for b in self.state.bookings.values() if b.state in (1, 2) and customer_key(b.customer_id) == key
                ]
                assert used == sum(len(b.places) for b in live) <= UNLIMITED


TestDecisionCore = DecisionCore.TestCase
TestDecisionCore.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
