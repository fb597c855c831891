"""Every interleaving of paying, running out, cancelling, refunding, late money and hints that hypothesis can think of.

The real database, ledger and collector; the provider's and the customer's moves are rules like any other. After each
step every invariant holds (money has a booking or a refund, the books balance, transitions are listed ones …), and when
all is worked off the provider's books equal ours.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain import payment_attempts, refunds
from server.domain.payment_attempts import Attempt
from server.domain.payments import give_up_abandoned
from server.domain.refunds import Amount
from server.errors import RowlockError
from server.payments.collecting import Patience
from server.payments.port import PaymentOrder
from server.payments.simulator import REFUND, Simulator
from server.seats.booking import Booking
from server.states import PaymentState, SimulatedOutcome
from tests.approving import ApprovedElsewhere
from tests.invariants import assert_sound
from tests.paying import Desk
from tests.staging import hall_document, stage

PATIENCE = Patience(call=timedelta(seconds=60), first_wait=timedelta(0), longest_hold=timedelta(0), ask=timedelta(0))
"""Nothing waits for its time but what a rule makes wait, and no booking waits for an unknown outcome."""
SEATS = 6

an_outcome = st.sampled_from(
    [
        SimulatedOutcome.APPROVE,
        SimulatedOutcome.DECLINE,
        SimulatedOutcome.TIMEOUT_BEFORE,
        SimulatedOutcome.TIMEOUT_AFTER,
    ]
)


_ENDS = """
    SELECT CASE WHEN bought_booking_id IS NOT NULL THEN 'bought late'
                WHEN state = 4 AND error_reason IS NOT NULL THEN 'given back'
                WHEN state = 4 THEN 'bought' WHEN state = 5 THEN 'declined' ELSE 'given up' END, count(*)
    FROM payments GROUP BY 1"""

some_places = st.sets(st.integers(0, SEATS - 1), min_size=1, max_size=2)
a_move = st.one_of(st.none(), an_outcome)


class PaymentMachine(RuleBasedStateMachine):
    """Drives one desk. A step that is refused by a rule of ours is a step, too; anything else is a fault."""

    payments = Bundle("payments")
    stopped = Bundle("stopped")
    database: ClassVar[Database]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self.provider = ApprovedElsewhere(self.database)
        self.desk = Desk(self.database, patience=PATIENCE, provider=self.provider)
        self.house = self.database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=SEATS)))

    def run(self, work: Awaitable[Any]) -> Any:
        """The answer, or None where it was refused."""

        async def refusable() -> Any:
            with suppress(RowlockError):
                return await work
            return None

        return self.loop.run_until_complete(refusable())

    def teardown(self) -> None:
        """Work everything off: whatever happened, the books are equal in the end."""
        self.desk.one("UPDATE bookings SET hold_expire_time = clock_timestamp() WHERE state = 1")
        for _ in range(30):
            self.sweep()
            self.work()
            if not self.desk.one("SELECT count(*) FROM payments WHERE state IN (1, 2, 3, 7)"):
                break
        self.run(self.desk.settle(30))
        assert_sound(self.database, quiet=True)
        self.loop.run_until_complete(self.desk.ledger.close())

    @invariant()
    def is_sound(self) -> None:
        """Nothing that must never be so is so."""
        assert_sound(self.database)

    @initialize(target=payments, places=some_places, move=a_move)
    def first(self, places: set[int], move: SimulatedOutcome | None) -> Any:
        """There is something to begin with."""
        return self.buy(places, move)

    @rule(target=payments, places=some_places, move=a_move)
    def another(self, places: set[int], move: SimulatedOutcome | None) -> Any:
        """A new customer buys seats, if they are free."""
        return self.buy(places, move)

    def buy(self, places: set[int], move: SimulatedOutcome | None) -> Any:
        """Hold, begin to pay, have the provider told; unless ``move`` is None, approve and have it captured."""
        booking = self.run(self.desk.hold(self.house, *sorted(places)))
        if booking is None:
            return multiple()
        payment = self.run(self.desk.pay(booking))
        self.work()
        if move is not None:
            self.approve(payment)
            self.capture(payment, move)
        return payment

    @rule(target=payments, payment=payments)
    def once_more(self, payment: Payment) -> Any:
        """Begin to pay a booking once more."""
        again = self.run(self.desk.pay(self.booking_of(payment)))
        return multiple() if again is None else again

    def booking_of(self, payment: Payment) -> Booking:
        """What the payment is for."""
        return self.desk.find_booking(self.house, payment.booking_id)

    @rule(payment=payments)
    def approve(self, payment: Payment) -> None:
        """The customer approves at the provider, whatever became of the hold meanwhile."""
        self.provider.approved.add(payment.id)

    @rule(payment=payments, outcome=an_outcome)
    def capture(self, payment: Payment, outcome: SimulatedOutcome) -> None:
        """The customer comes back and has the money taken, which ends so or so."""
        self.desk.script(payment, outcome)
        self.run(self.desk.capture(payment))

    @rule(payment=payments)
    def give_up(self, payment: Payment) -> None:
        """The customer changes their mind about paying."""
        self.run(self.desk.give_up(payment))

    @rule(payment=payments)
    def cancel(self, payment: Payment) -> None:
        """The customer changes their mind about coming; the successor, if late money has bought one."""
        now = self.booking_of(payment)
        self.run(self.desk.cancel(self.desk.find_booking(self.house, now.replaced_by) if now.replaced_by else now))

    @rule(payment=payments, amount=st.sampled_from([1, 2500]), outcome=an_outcome)
    def staff_refund(self, payment: Payment, amount: int, outcome: SimulatedOutcome) -> None:
        """Staff give money back, which ends so or so."""
        if outcome is not SimulatedOutcome.DECLINE:
            self.desk.script(payment, outcome, REFUND)
        ask = self.database.transaction(
            lambda s: refunds.request(
                s,
                payment.performance_id,
                payment.booking_id,
                payment.id,
                amount=Amount(amount, "EUR"),
                reason="",
                actor_id=UUID(int=1),
            )
        )
        self.run(ask)

    @rule(payment=payments)
    def time_passes(self, payment: Payment) -> None:
        """A hold's own clock runs out."""
        self.desk.one("UPDATE bookings SET hold_expire_time = clock_timestamp() WHERE id = :id", id=payment.booking_id)

    @rule(payment=payments)
    def sweep_after_time_passed(self, payment: Payment) -> None:
        """A hold's own clock runs out, and it is noticed."""
        self.time_passes(payment)
        self.sweep()

    @rule()
    def sweep(self) -> None:
        """The sweepers come by."""
        ran_out = "SELECT array_agg(id) FROM bookings WHERE state = 1 AND hold_expire_time <= clock_timestamp()"
        for booking_id in self.desk.one(ran_out) or ():
            found = self.desk.one("SELECT performance_id FROM bookings WHERE id = :id", id=booking_id)
            if found == self.house.performance_id:
                self.run(self.desk.expire(self.desk.find_booking(self.house, booking_id)))
        self.database.run_transaction(lambda s: give_up_abandoned(s, 100))

    @rule()
    def work(self) -> None:
        """The workers take up what is due."""
        self.run(self.desk.carry_on())

    @rule(payment=payments)
    def hint(self, payment: Payment) -> None:
        """A webhook, true or not, early, late or twice: look now."""
        self.database.run_transaction(
            lambda s: payment_attempts.look_now(s, payment.performance_id, payment.id),
        )
        self.work()

    @rule(target=stopped)
    def stop(self) -> Any:
        """A worker takes payments up and stands still."""
        taken = self.run(self.desk.collector.take(2))
        self.desk.one("UPDATE payments SET next_attempt_time = clock_timestamp() WHERE next_attempt_time IS NOT NULL")
        return multiple(*taken)

    @rule(attempt=consumes(stopped))
    def go_on(self, attempt: Attempt) -> None:
        """It goes on with what it knew then."""
        self.run(self.desk.collector.carry_on(attempt))

    @rule(payment=payments)
    def the_provider_lied(self, payment: Payment) -> None:
        """A payment that was declined turns out to be captured, and the daily comparison finds it."""
        if self.desk.payment(payment).state is not PaymentState.FAILED:
            return
        order = PaymentOrder(payment.id, payment.amount, payment.currency)
        self.desk.one("UPDATE simulator_orders SET state = 1 WHERE payment_id = :id", id=payment.id)
        self.desk.script(payment, SimulatedOutcome.APPROVE)
        self.loop.run_until_complete(Simulator.capture(self.provider, order))
        self.hint(payment)


@pytest.mark.timeout(600)
def test_payments_in_every_order(fresh_database: Database) -> None:
    loop = asyncio.new_event_loop()
    PaymentMachine.database, PaymentMachine.loop = fresh_database, loop
    try:
        run_state_machine_as_test(
            PaymentMachine,
            settings=settings(
                max_examples=20,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
        ends = dict(fresh_database.run_transaction(lambda s: [tuple(row) for row in s.execute(text(_ENDS))]))
    finally:
        loop.close()
    # A run in which none of this happened would show nothing.
    assert ends.keys() >= {"bought", "bought late", "given back", "declined", "given up"}, ends
