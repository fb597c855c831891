"""The commands of `rowlock` that give money back, against a real server with a real worker behind."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery"
Run = Callable[..., str]


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


def runner(server: ThreadedServer, folder: Path) -> Callable[..., Result]:
    environment = {"ROWLOCK_SERVER": server.address, "ROWLOCK_TOKEN_FILE": str(folder / "tokens.json")}

    def run(*arguments: str, given: str = "") -> Result:
        return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

    return run


def of(run: Callable[..., Result]) -> Run:
    """The output of commands that must succeed."""

    def output(*arguments: str, given: str = "") -> str:
        done = run(*arguments, given=given)
        assert done.exit_code == 0, done.output
        return done.output

    return output


@pytest.fixture
def ada(server: ThreadedServer, tmp_path: Path) -> Run:
    run = of(runner(server, tmp_path / "ada"))
    run("sign-up", "--email", f"{uuid4().hex}@example.org", "--name", "Ada", given=f"{PASSWORD}\n")
    return run


@pytest.fixture
def boss(server: ThreadedServer, database: Database, tmp_path: Path) -> Run:
    email = f"{uuid4().hex}@example.org"
    hashed = PasswordHasher(memory_kib=1024, passes=1).hash(PASSWORD)
    database.run_transaction(lambda s: accounts.ensure_admin(s, email=email, display_name="Boss", password_hash=hashed))
    run = of(runner(server, tmp_path / "boss"))
    run("log-in", "--email", email, given=f"{PASSWORD}\n")
    return run


def until(run: Run, words: str, *arguments: str) -> str:
    end = time.monotonic() + 60
    while words not in (said := run(*arguments)):
        assert time.monotonic() < end, said
        time.sleep(0.1)
    return said


def test_a_ticket_is_returned_and_its_money_comes_back(ada: Run, boss: Run, house: Staged) -> None:
    performance = f"performances/{house.performance_id}"
    ada("book", performance, "Stalls-A-1", "Stalls-A-2")
    ada("pay")
    booking = boss("bookings", "--json").partition(f"{performance}/bookings/")[2][:36]

    said = ada("return", booking, "Stalls-A-1", "--reason", "ill")
    assert "confirmed" in said
    assert "Stalls-A-2" in said
    assert "Stalls-A-1" not in said
    assert "25.00 EUR" in until(ada, "succeeded", "refunds", performance)

    payment = ada("refunds", "--json").partition('"payment": "')[2].partition('"')[0]
    assert "10.00 EUR: requested" in boss("refund", payment, "10.00", "--reason", "the heating failed")
    assert "the heating failed" in boss("refunds", performance)
    name = boss("refunds", "--json").partition('"name": "')[2].partition('"')[0]
    assert name in boss("retry-refund", name)


def test_a_cancellation_is_watched_and_cash_handed_out(ada: Run, boss: Run, house: Staged) -> None:
    performance = f"performances/{house.performance_id}"
    ada("book", performance, "Stalls-A-1")
    ada("pay")
    boss("sell", performance, "Stalls-A-2")

    said = boss("cancel-performance", performance, "--reason", "ill", "--yes", "--wait")
    assert "2 of 2 bookings ended" in said
    assert "1 done (25.00 EUR)" in said
    assert "cash to be fetched: 25.00 EUR" in boss("cancellation", performance)
    booking = boss("bookings", "--json").partition(f"{performance}/bookings/")[2][:36]
    assert "Hand out 25.00 EUR" in boss("pay-out", f"{performance}/bookings/{booking}")
    assert "cash" not in boss("cancellation", performance)
