"""The books: an entry for every movement, none without one, and nobody who could change them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from typer.testing import CliRunner, Result

from server.cli import build
from server.db.engine import Database
from server.domain import books, cancellation
from server.domain.payment_attempts import came_in_vain
from server.errors import FailedPrecondition, NotFound
from server.payments.book_comparison import books_equal, compare
from server.payments.port import Captured, PaymentProvider, Unknown
from server.payments.simulator import REFUND
from server.seats.booking import Booking
from server.seats.commands import Cancel, Confirm, Return
from server.states import Account, BookingState, ConfirmedBy, Provider, SimulatedOutcome
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

STAFF = UUID(int=7)


@pytest.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as desk:
        yield desk


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    return fresh_database.run_transaction(stage)


def balances(desk: Desk) -> dict[Account, int]:
    """What each account holds, where it is not nothing."""
    found = desk.database.run_transaction(books.balances)
    return {balance.account: balance.amount for balance in found if balance.amount}


async def bought(desk: Desk, house: Staged, *places: int) -> tuple[Booking, Any]:
    booking = await desk.hold(house, *places)
    payment = await desk.captured(booking)
    await desk.settle()
    return desk.booking(booking), desk.payment(payment)


async def sold(desk: Desk, house: Staged, *places: int, by: ConfirmedBy = ConfirmedBy.CASH) -> Booking:
    """Sold at the box office."""
    booking = await desk.hold(house, *places)
    confirmed = await desk.ledger.execute(
        Confirm(
            performance_id=booking.performance_id, booking_id=booking.id, actor_id=STAFF, staff=True, confirmed_by=by
        )
    )
    assert confirmed is not None
    return confirmed


# --- what is entered ------------------------------------------------------------------------------------------------


async def test_a_sale_and_its_refund_pass_through_what_is_owed(desk: Desk, house: Staged) -> None:
    booking, _ = await bought(desk, house, 3, 4)
    assert balances(desk) == {Account.SIMULATOR: 5000, Account.SALES: -5000}
    await desk.cancel(booking)
    assert balances(desk) == {Account.SIMULATOR: 5000, Account.REFUNDS_DUE: -5000}
    await desk.settle()
    assert balances(desk) == {}
    assert_sound(desk.database, quiet=True)


async def test_a_refused_refund_stays_owed(desk: Desk, house: Staged) -> None:
    booking, payment = await bought(desk, house, 3)
    desk.script(payment, SimulatedOutcome.DECLINE, REFUND)
    await desk.cancel(booking)
    await desk.settle()
    assert balances(desk) == {Account.SIMULATOR: 2500, Account.REFUNDS_DUE: -2500}
    assert_sound(desk.database, quiet=True)


async def test_money_that_bought_nothing_never_counts_as_sold(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking)
    (attempt,) = await desk.collector.take(10)
    await desk.simulator.create(attempt.order)
    await desk.simulator.capture(attempt.order)
    order = desk.order(payment)
    assert order is not None
    taken = Captured(order.reference, order.amount, order.currency)
    desk.database.run_transaction(lambda s: came_in_vain(s, attempt, taken, "HOLD_EXPIRED"))
    assert balances(desk) == {Account.SIMULATOR: 2500, Account.REFUNDS_DUE: -2500}
    through = "SELECT array_agg(amount ORDER BY amount) FROM book_legs WHERE account = 30"
    assert desk.one(through) == [-2500, 2500]
    await desk.settle()
    assert balances(desk) == {}
    assert_sound(desk.database, quiet=True)


async def test_cash_goes_into_the_till_and_out_of_it_over_the_counter(desk: Desk, house: Staged) -> None:
    booking = await sold(desk, house, 3, 4)
    assert balances(desk) == {Account.CASH: 5000, Account.SALES: -5000}
    back = Return(performance_id=booking.performance_id, booking_id=booking.id, actor_id=STAFF, staff=True, places=(3,))
    await desk.ledger.execute(back)
    assert balances(desk) == {Account.CASH: 2500, Account.SALES: -2500}
    await desk.ledger.execute(
        Cancel(performance_id=booking.performance_id, booking_id=booking.id, actor_id=STAFF, staff=True)
    )
    assert balances(desk) == {}
    assert_sound(desk.database, quiet=True)


async def test_cash_that_nobody_handed_back_waits_at_the_box_office(desk: Desk, house: Staged) -> None:
    booking = await sold(desk, house, 3, 4)
    await desk.cancel(booking)  # the customer, at home
    assert balances(desk) == {Account.CASH: 5000, Account.CASH_DUE: -5000}

    paid = desk.database.run_transaction(lambda s: books.pay_cash_out(s, booking.performance_id, booking.id, STAFF))
    assert (paid.amount, paid.currency) == (5000, "EUR")
    assert balances(desk) == {}
    with pytest.raises(FailedPrecondition, match="nothing is owed"):
        desk.database.run_transaction(lambda s: books.pay_cash_out(s, booking.performance_id, booking.id, STAFF))
    with pytest.raises(NotFound):
        desk.database.run_transaction(lambda s: books.pay_cash_out(s, booking.performance_id, uuid4(), STAFF))
    assert_sound(desk.database, quiet=True)


async def test_comps_are_entered_at_their_price_and_move_no_money(desk: Desk, house: Staged) -> None:
    booking = await sold(desk, house, 3, by=ConfirmedBy.COMP)
    assert balances(desk) == {Account.COMPS: 2500, Account.SALES: -2500}
    await desk.cancel(booking)
    assert balances(desk) == {}
    assert_sound(desk.database, quiet=True)


async def test_what_costs_nothing_is_not_entered(desk: Desk, fresh_database: Database) -> None:
    free = fresh_database.run_transaction(lambda s: stage(s, ticket_types=({"display_name": "Guest", "price": 0},)))
    await sold(desk, free, 3)
    booking, _ = await bought(desk, free, 4)
    await desk.cancel(booking)
    assert desk.one("SELECT count(*) FROM book_entries") == 0
    assert_sound(desk.database, quiet=True)


async def test_a_cancelled_performance_owes_everybody(desk: Desk, house: Staged) -> None:
    await bought(desk, house, 0, 1)
    await sold(desk, house, 2)
    desk.database.run_transaction(lambda s: cancellation.cancel(s, house.performance_id, "", "flood"))
    await cancellation.wind_up(desk.ledger, desk.database, house.performance_id)
    await desk.settle()
    assert balances(desk) == {Account.CASH: 2500, Account.CASH_DUE: -2500}
    assert_sound(desk.database, quiet=True)


# --- what the database refuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE book_entries SET amounts = amounts",
        "UPDATE book_entries SET time = now() WHERE false",
        "DELETE FROM book_entries",
        "TRUNCATE book_entries",
    ],
)
async def test_nobody_changes_an_entry(desk: Desk, house: Staged, change: str) -> None:
    await bought(desk, house, 3)
    before = desk.one("SELECT json_agg(e) FROM book_entries e")
    with pytest.raises(DBAPIError, match="the books are only ever added to"):
        desk.one(change)
    assert desk.one("SELECT json_agg(e) FROM book_entries e") == before


@pytest.mark.parametrize(
    ("accounts", "amounts"),
    [
        ("{11,20}", "{2500,-2400}"),
        ("{11,20}", "{2500,2500}"),
        ("{11}", "{0}"),
        ("{11,20}", "{0,0}"),
        ("{11,20,30}", "{2500,-2500}"),
        ("{11,NULL}", "{2500,-2500}"),
        ("{11,20,30}", "{2500,-2500,NULL}"),
        ("{}", "{}"),
    ],
)
async def test_legs_that_do_not_sum_to_zero_are_refused(desk: Desk, accounts: str, amounts: str) -> None:
    with pytest.raises(IntegrityError, match="ck_book_entries_legs"):
        desk.one(
            "INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency)"
            " VALUES (1, 1, :id, :id, :accounts, :amounts, 'EUR')",
            id=uuid4(),
            accounts=accounts,
            amounts=amounts,
        )


async def test_a_movement_is_entered_once(desk: Desk, house: Staged) -> None:
    _, payment = await bought(desk, house, 3)
    with pytest.raises(IntegrityError, match="pk_book_entries"):
        desk.database.run_transaction(lambda s: books.enter_vain_payment(s, payment))


INSERT = (
    "INSERT INTO book_entries (performance_id, kind, source_id, booking_id, accounts, amounts, currency)"
    " VALUES (1, {}, gen_random_uuid(), gen_random_uuid(), '{}', '{{100,-100}}', 'EUR')"
)


# --- what the audit finds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("UPDATE payments SET amount = amount + 1", "M2 each payment that succeeded has its entry"),
        ("DELETE FROM payments", "M2 each payment that succeeded has its entry"),
        ("UPDATE refunds SET amount = amount - 1", "M2 each refund has its entry"),
        ("UPDATE refunds SET state = 4, error_reason = 'x'", "M2 each refund that was done"),
        ("UPDATE refunds SET taken_back = '{re_1}'", "M2 each refund that a provider took back"),
        ("UPDATE refunds SET provider = 2", "M2 what a provider gave back"),
        ("DELETE FROM refunds", "M2 each refund has its entry"),
        ("UPDATE refunds SET amount = amount + 1", "M3 no more is refunded than was captured"),
        ("UPDATE refunds SET state = 2", "M6 a refund that is not done is due"),
        ("UPDATE refunds SET state = 4", "M6 a refund that is not done is due"),
        ("UPDATE tickets SET check_in_time = now() WHERE state = 3", "M1 a ticket that has let somebody in"),
        ("UPDATE bookings SET prices = '{9900}' WHERE confirmed_by = 2", "M2 what the box office sold"),
        ("DELETE FROM bookings WHERE confirmed_by = 2", "M2 each sale at the box office"),
        (
            INSERT.format(1, "{11,20}"),
            "M2 each payment that succeeded has its entry",
        ),
        (
            INSERT.format(6, "{32,40}"),
            "M2 nobody fetches more cash than is owed",
        ),
    ],
)
async def test_each_damage_is_found(desk: Desk, house: Staged, damage: str, promise: str) -> None:
    booking, _ = await bought(desk, house, 3)
    await desk.cancel(booking)
    await desk.settle()
    await sold(desk, house, 4)
    assert_sound(desk.database, quiet=True)
    desk.one(damage)
    with pytest.raises(AssertionError, match=promise):
        assert_sound(desk.database)


# --- the comparison with the providers' -----------------------------------------------------------------------------


def simulator(desk: Desk) -> dict[Provider, PaymentProvider]:
    return {Provider.SIMULATOR: desk.simulator}


async def some_business(desk: Desk, house: Staged) -> Any:
    """Two sales, one of them refunded, and one declined."""
    _, payment = await bought(desk, house, 3)
    booking, _ = await bought(desk, house, 4)
    await desk.cancel(booking)
    await desk.captured(await desk.hold(house, 5), SimulatedOutcome.DECLINE)
    await desk.settle()
    return payment


async def test_the_books_are_equal(desk: Desk, house: Staged) -> None:
    await some_business(desk, house)
    found = await compare(desk.database, simulator(desk))
    assert (found.equal, found.compared, found.under_way) == (True, 3, 0)
    assert await books_equal(desk.database, simulator(desk))


REFUND_COLUMNS = (
    "(refund_id, payment_id, reference, amount, create_time) VALUES (gen_random_uuid(), :id, 'BY-HAND', 700, now())"
)
ORDER_COLUMNS = (
    "(payment_id, reference, amount, currency, state, capture_time)"
    " VALUES (gen_random_uuid(), 'SOMEBODY', 100, 'EUR', 2, now())"
)
DAMAGES = [
    ("UPDATE simulator_orders SET amount = 2400 WHERE payment_id = :id", "2500 EUR", "2400 EUR"),
    ("DELETE FROM simulator_orders WHERE payment_id = :id", "2500 EUR", "nothing"),
    (f"INSERT INTO simulator_refunds {REFUND_COLUMNS}", "nothing", "700 EUR"),
    (f"INSERT INTO simulator_orders {ORDER_COLUMNS}", "nothing", "100 EUR"),
    ("DELETE FROM simulator_refunds", "2500 EUR", "nothing"),
]


@pytest.mark.parametrize(("damage", "ours", "theirs"), DAMAGES)
async def test_a_difference_is_named(desk: Desk, house: Staged, damage: str, ours: str, theirs: str) -> None:
    payment = await some_business(desk, house)
    desk.one(damage, id=payment.id)
    found = await compare(desk.database, simulator(desk))
    assert found.difference_count == 1
    assert ours in found.differences[0].ours
    assert theirs in found.differences[0].theirs
    assert not await books_equal(desk.database, simulator(desk))


async def test_what_is_under_way_is_no_difference(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    payment = await desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    await desk.carry_on()  # taken there, unknown here
    found = await compare(desk.database, simulator(desk))
    assert (found.equal, found.under_way) == (True, 1)
    await desk.settle()
    desk.script(payment, SimulatedOutcome.TIMEOUT_AFTER, REFUND)
    await desk.cancel(booking)
    await desk.carry_on()
    found = await compare(desk.database, simulator(desk))
    assert (found.equal, found.compared, found.under_way) == (True, 1, 1)


async def test_only_what_is_new_enough_is_compared(desk: Desk, house: Staged) -> None:
    payment = await some_business(desk, house)
    desk.one("DELETE FROM simulator_orders WHERE payment_id = :id", id=payment.id)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert (await compare(desk.database, simulator(desk), since=later)).compared == 0
    earlier = later - timedelta(hours=2)
    assert not (await compare(desk.database, simulator(desk), since=earlier)).equal


class Asked:
    """The simulator as a provider that gives no statements; ``silent``: nor answers."""

    def __init__(self, desk: Desk, *, silent: bool = False) -> None:
        self._desk = desk
        self._silent = silent

    async def find(self, order: Any) -> Any:
        """What became of an order."""
        if self._silent:
            return Unknown("closed for the night")
        found = await self._desk.simulator.find(order)
        if isinstance(found, Captured):
            back = self._desk.one(
                "SELECT coalesce(sum(amount), 0) FROM simulator_refunds WHERE payment_id = :id", id=order.payment_id
            )
            return Captured(found.reference, found.amount, found.currency, refunded=int(back))
        return found


def asked(desk: Desk, **how: Any) -> dict[Provider, PaymentProvider]:
    return {Provider.SIMULATOR: Asked(desk, **how)}  # type: ignore[dict-item]


async def test_a_provider_without_statements_is_asked_about_each_payment(desk: Desk, house: Staged) -> None:
    payment = await some_business(desk, house)
    found = await compare(desk.database, asked(desk))
    assert (found.equal, found.compared, found.under_way) == (True, 3, 0)
    desk.one(DAMAGES[2][0], id=payment.id)
    (difference,) = (await compare(desk.database, asked(desk))).differences
    assert (difference.ours, difference.theirs) == ("2500 EUR taken, 0 given back", "2500 EUR taken, 700 given back")
    silent = await compare(desk.database, asked(desk, silent=True))
    assert silent.difference_count == 3
    assert "closed for the night" in str(silent.differences[0])


def run(url: str, *arguments: str) -> Result:
    environment = {"ROWLOCK_DATABASE_URL": url, "ROWLOCK_REDIS_URL": "redis://127.0.0.1:1/0"}
    return CliRunner(env=environment).invoke(build("compare-books"), ["compare-books", *arguments])


async def test_the_command_says_so_by_its_exit_status(desk: Desk, house: Staged, fresh_database_url: str) -> None:
    payment = await some_business(desk, house)
    done = await asyncio.to_thread(run, fresh_database_url)
    assert (done.exit_code, "0 different" in done.output) == (0, True), done.output
    desk.one(DAMAGES[0][0], id=payment.id)
    done = await asyncio.to_thread(run, fresh_database_url, "--since", "2026-01-01")
    assert done.exit_code == 1
    assert "ours a payment of 2500 EUR, theirs a payment of 2400 EUR" in done.stderr
    assert "1 different" in done.stderr


async def test_an_unconfirmed_booking_leaves_no_trace(desk: Desk, house: Staged) -> None:
    booking = await desk.hold(house, 3)
    await desk.cancel(booking)
    assert desk.booking(booking).state is BookingState.CANCELLED
    entries = desk.database.run_transaction(lambda s: s.execute(text("SELECT * FROM book_legs")).all())
    assert entries == []
