"""The commands with which staff see to money: what was refused, what is in doubt, what waits in cash."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import Result

from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from tests.invariants import assert_sound
from tests.rpc.test_client_refunds import PASSWORD, Run, of, runner, until
from tests.staging import Staged, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    quick = settings.model_copy(update=QUICK)
    work = worker(quick)
    work.start()
    with threaded_server(quick) as running:
        yield running
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def ada(server: ThreadedServer, tmp_path: Path) -> Run:
    run = of(runner(server, tmp_path / "ada"))
    run("sign-up", "--email", f"{uuid4().hex}@example.org", "--name", "Ada", given=f"{PASSWORD}\n")
    return run


@pytest.fixture
def any_boss(server: ThreadedServer, database: Database, tmp_path: Path) -> Callable[..., Result]:
    email = f"{uuid4().hex}@example.org"
    hashed = PasswordHasher(memory_kib=1024, passes=1).hash(PASSWORD)
    database.run_transaction(lambda s: accounts.ensure_admin(s, email=email, display_name="Boss", password_hash=hashed))
    run = runner(server, tmp_path / "boss")
    assert run("log-in", "--email", email, given=f"{PASSWORD}\n").exit_code == 0
    return run


@pytest.fixture
def boss(any_boss: Callable[..., Result]) -> Run:
    return of(any_boss)


def name_in(said: str) -> str:
    """The first resource name of an answer in JSON."""
    return said.partition('"name": "')[2].partition('"')[0]


def test_a_refused_refund_is_paid_by_bank_transfer(
    ada: Run, boss: Run, any_boss: Callable[..., Result], database: Database, house: Staged
) -> None:
    performance = f"performances/{house.performance_id}"
    ada("book", performance, "Stalls-A-1")
    ada("pay")
    refuse = "INSERT INTO simulator_scripts (payment_id, call, outcome) SELECT id, 'refund', 3 FROM payments"
    database.run_transaction(lambda s: s.execute(text(f"{refuse} WHERE performance_id = {house.performance_id}")))
    boss("cancel-performance", performance, "--yes")
    until(ada, "failed", "refunds", performance)

    name = name_in(boss("refunds", performance, "--state", "failed", "--json"))
    missing = any_boss("settle-refund", name, "bank-transfer", "--reason", "card closed")
    assert (missing.exit_code, "--reference" in missing.output) == (2, True)
    paid = ("settle-refund", name, "bank-transfer", "--reference", "SEPA 4711", "--reason", "card closed")
    assert "25.00 EUR: settled" in boss(*paid)
    again = any_boss(*paid)
    assert again.exit_code != 0
    assert "the refund is SUCCEEDED" in again.output

    assert "paid back by bank transfer SEPA 4711" in ada("refunds", performance)
    assert "card closed" not in ada("refunds", performance, "--json")
    assert "card closed" in boss("refunds", performance, "--json")
    assert "There are no refunds." in boss("refunds", performance, "--discrepancies")


def test_money_in_doubt_is_shown_and_decided(ada: Run, boss: Run, database: Database, house: Staged) -> None:
    performance = f"performances/{house.performance_id}"
    ada("book", performance, "Stalls-A-1")
    held = text(
        "INSERT INTO payments (performance_id, id, booking_id, customer_id, provider, state, amount, currency,"
        " discrepancy, error_reason) SELECT performance_id, gen_random_uuid(), id, customer_id, 1, 7, 2500, 'EUR',"
        " 'REFERENCE_MISMATCH: the provider took 2500 EUR for payment 1', 'REFERENCE_MISMATCH' FROM bookings"
        f" WHERE performance_id = {house.performance_id}"
    )
    database.run_transaction(lambda s: s.execute(held))

    said = boss("payments", performance, "--discrepancies")
    assert "for payment 1" in said
    assert "unknown" in said
    assert "for payment 1" not in ada("payments", performance)
    assert name_in(ada("payments", performance, "--json"))
    name = name_in(boss("payments", "--discrepancies", "--state", "unknown", "--json"))
    assert "The payment has failed." in boss("resolve-payment", name, "not-ours", "--reason", "case 123")
    assert "There are no payments." in boss("payments", performance, "--discrepancies")
    shown = boss("payments", performance, "--state", "failed", "--json")
    assert '"resolution": "NOT_OURS"' in shown
    assert '"resolutionReason": "case 123"' in shown


def test_who_is_owed_cash_is_listed_until_it_is_handed_out(boss: Run, house: Staged) -> None:
    performance = f"performances/{house.performance_id}"
    assert "Nobody is owed cash." in boss("cash-due", performance)
    boss("sell", performance, "Stalls-A-2")
    boss("cancel-performance", performance, "--yes", "--wait")
    said = boss("cash-due", performance)
    assert "25.00 EUR" in said
    booking = next(word for word in said.split() if "/bookings/" in word)
    assert booking in boss("cash-due")
    boss("pay-out", booking)
    assert "Nobody is owed cash." in boss("cash-due", performance)
