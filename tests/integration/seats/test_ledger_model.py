"""The real ledger, on a real database, against the model. Its clock is a row of the test's, so that time can pass."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import clock
from server.db.engine import Database
from server.seats import statements
from server.seats.board import read_board
from server.seats.booking import Booking
from server.seats.commands import Command
from server.seats.ledger import Ledger
from server.states import SeatState
from tests.invariants import assert_sound
from tests.ledger_model import PLACES, LedgerMachine, Model
from tests.staging import hall_document, stage


@pytest.mark.timeout(300)
def test_the_ledger_does_what_the_model_says(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    start = clock.now()
    database.run_transaction(lambda s: s.execute(text("CREATE TABLE test_clock AS SELECT :now AS now"), {"now": start}))
    monkeypatch.setattr(
        statements, "READ", statements.READ.replace("clock_timestamp()", "(SELECT now FROM test_clock)")
    )
    loop = asyncio.new_event_loop()

    class RealLedger(LedgerMachine):
        def __init__(self) -> None:
            super().__init__()
            staged = database.run_transaction(lambda s: stage(s, hall_document(rows=1, seats=PLACES)))
            self.performance_id = staged.performance_id
            self.model = Model(start)
            self.let_time_pass(0)
            self.ledger = Ledger(database, lambda _: None)

        def carry_out(self, command: Command) -> Booking | None:
            return loop.run_until_complete(self.ledger.execute(command))

        def let_time_pass(self, seconds: int) -> None:
            now = self.model.now
            database.run_transaction(lambda s: s.execute(text("UPDATE test_clock SET now = :now"), {"now": now}))

        def pay_late(self, booking: UUID) -> UUID:
            payment_id = uuid4()
            pay = text(
                "INSERT INTO payments (performance_id, id, booking_id, customer_id, provider, state, amount, currency,"
                " next_attempt_time) SELECT performance_id, :payment, id, customer_id, 1, 7,"
                " (SELECT coalesce(sum(price), 0) FROM unnest(prices) price), currency, now() FROM bookings"
                " WHERE id = :booking"
            )

            def insert(session: Session) -> None:
                # A booking has one payment at a time; those before came to nothing.
                session.execute(
                    text(
                        "UPDATE payments SET state = 5, next_attempt_time = NULL WHERE booking_id = :id AND state = 7"
                    ),
                    {"id": booking},
                )
                session.execute(pay, {"payment": payment_id, "booking": booking})

            database.run_transaction(insert)
            return payment_id

        def check(self, command: Command) -> Booking | None:
            answer = super().check(command)
            board = database.run_transaction(lambda s: read_board(s, self.performance_id))
            assert board is not None
            for place, expected in self.model.seat_states().items():
                # A hold that has run out is shown until somebody needs the seat or the sweep comes.
                assert board.states[place] in (expected, SeatState.HELD)
            return answer

        def teardown(self) -> None:
            loop.run_until_complete(self.ledger.close())

    run_state_machine_as_test(
        RealLedger,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=timedelta(seconds=20),
            suppress_health_check=list(HealthCheck),
        ),
    )
    loop.close()
    assert_sound(database)
