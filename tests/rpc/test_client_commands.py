"""The commands of `rowlock` for customers, against a real server."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from server.cli import build
from server.config import Settings
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery\n"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    work = worker(settings.model_copy(update=QUICK))
    work.start()
    with threaded_server(settings) as running:
        yield running
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    types = (
        {"display_name": "Adult", "price": 2500, "zones": ["Stalls"]},
        {"display_name": "Child", "price": 1200, "zones": ["Stalls"]},
        {"display_name": "Standing", "price": 900, "zones": ["Floor"]},
    )
    return database.run_transaction(lambda session: stage(session, hall_document(standing=20), ticket_types=types))


@pytest.fixture
def run(server: ThreadedServer, tmp_path: Path) -> Run:
    """Runs `rowlock …` as somebody with a token file of their own."""
    environment = {
        "ROWLOCK_SERVER": server.address,
        "ROWLOCK_TOKEN_FILE": str(tmp_path / "config" / "tokens.json"),
        "COLUMNS": "100",
        "LINES": "40",
    }

    def invoke(*arguments: str, given: str = "") -> Result:
        return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

    return invoke


@pytest.fixture
def ada(run: Run) -> Run:
    """The same as somebody with an account, logged in."""
    email = f"{uuid4().hex}@example.org"
    done = run("sign-up", "--email", email, "--name", "Ada", given=PASSWORD)
    assert done.exit_code == 0, done.output
    return run


def performance(house: Staged) -> str:
    return f"performances/{house.performance_id}"


# -- Accounts ------------------------------------------------------------------------------------------------


@pytest.mark.promise("0.5", "2.1")
def test_sign_up_log_out_and_log_in(run: Run, tmp_path: Path) -> None:
    email = f"{uuid4().hex}@example.org"
    assert "Welcome, Ada" in run("sign-up", "--email", email, "--name", "Ada", given=PASSWORD).output
    file = tmp_path / "config" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert run("whoami").output.startswith(f"Ada <{email}>, customer, users/")

    assert "Logged out" in run("log-out").output
    assert run("whoami").exit_code == 77
    assert "Ada (customer)" in run("log-in", "--email", email, given=PASSWORD).output
    assert json.loads(run("whoami", "--json").output)["email"] == email


def test_a_wrong_password_is_one_line_and_a_status(run: Run) -> None:
    refused = run("log-in", "--email", "nobody@example.org", given="wrong password\n")

    assert refused.exit_code == 77
    assert refused.stderr.startswith("rowlock: ")
    assert refused.stderr.rstrip().endswith("(WRONG_CREDENTIALS)")
    assert refused.stderr.count("\n") == 1


def test_tokens_go_to_no_other_server(ada: Run, run: Run, server: ThreadedServer) -> None:
    refused = run("whoami", "--server", server.address.replace("127.0.0.1", "localhost"))

    assert refused.exit_code == 77
    assert "Log in first" in refused.stderr


def test_no_server_is_told_as_such(run: Run) -> None:
    refused = run("events", "--server", "127.0.0.1:1")

    assert refused.exit_code == 69
    assert "no answer from the server" in refused.stderr


# -- Looking -------------------------------------------------------------------------------------------------


@pytest.mark.promise("0.3", "1.1", "1.2", "3.1")
def test_anybody_looks_around(run: Run, house: Staged) -> None:
    assert "A Play" in run("events").output
    assert performance(house) in run("performances").output
    listed = run("seats", performance(house), "--section", "Stalls", "--limit", "3").output
    assert listed.splitlines()[1].split() == ["Stalls-A-1", "Stalls", "available", "Adult", "25.00", "EUR,", "Child",
                                              "12.00", "EUR"]  # fmt: skip
    assert len(listed.splitlines()) == 4
    every = json.loads(run("seats", performance(house), "--json").output)
    assert len(every) == 70


# -- Booking -------------------------------------------------------------------------------------------------


@pytest.mark.promise("0.7", "0.8", "2.10", "3.2")
def test_book_pay_and_show_the_tickets(ada: Run, house: Staged) -> None:
    held = ada("book", performance(house), "Stalls-A-1", "Stalls-A-2", "--type", "child")
    assert held.exit_code == 0, held.output
    assert "24.00 EUR" in held.output
    assert "Held until" in held.output

    assert "paid" in ada("pay").output
    shown = ada("tickets").output
    assert "Stalls-A-1" in shown
    assert "█▀" in shown or "▄" in shown
    codes = [ticket["code"] for ticket in json.loads(ada("tickets", "--json").output)]
    assert len(set(codes)) == 2
    booking = json.loads(ada("bookings", "--json").output)[0]
    assert booking["state"] == "CONFIRMED"
    assert "is cancelled" in ada("cancel", booking["name"]).output
    assert "void" in ada("tickets", booking["name"][-8:]).output


@pytest.mark.promise("1.4")
def test_seats_are_added_and_removed(ada: Run, house: Staged) -> None:
    ada("book", performance(house), "--best", "1", "--section", "Stalls")
    assert "Stalls-E-9" in ada("add", "Stalls-E-9").output
    changed = json.loads(ada("remove", "Stalls-E-9", "--json").output)
    assert len(changed["seats"]) == 1
    assert "Held until" in ada("extend").output
    assert "is cancelled" in ada("cancel").output


@pytest.mark.promise("0.11")
def test_a_provider_that_falls_silent_is_asked_what_it_did(ada: Run, house: Staged) -> None:
    ada("book", performance(house), "--best", "1")

    paid = ada("pay", "--outcome", "timeout-after")

    assert paid.exit_code == 0, paid.output
    assert "does not answer" in paid.stderr
    assert "25.00 EUR paid" in paid.stdout


def test_standing_places_are_booked_by_number(ada: Run, house: Staged) -> None:
    booked = json.loads(ada("book", performance(house), "--ga", "Standing=3", "--json").output)

    assert len(booked["seats"]) == 3
    assert booked["total"] == {"currencyCode": "EUR", "units": "27"}


@pytest.mark.promise("0.13", "1.5")
def test_refusals_name_their_reason(ada: Run, house: Staged) -> None:
    def refused(*arguments: str) -> tuple[int, str]:
        done = ada(*arguments)
        assert done.stderr.startswith("rowlock: "), done.output
        return done.exit_code, done.stderr

    assert refused("book", performance(house), "--best", "5")[1].rstrip().endswith("(CUSTOMER_LIMIT_REACHED)")
    assert refused("book", performance(house), "Nowhere-1")[0] == 2
    assert refused("book")[0] == 2
    assert "it has: Adult, Child, Standing" in refused("book", performance(house), "--ga", "Dog=1")[1]
    for wrong in ("=2", "Standing", "Standing=-1", "Standing=99999999999"):
        assert f"--ga {wrong}: say how many" in refused("book", performance(house), "--ga", wrong)[1]
    assert refused("pay", "ffff")[0] == 1
    assert "NOT_FOUND" in refused("seats", "performances/999999")[1]
    ada("book", performance(house), "--best", "1")
    assert "PAYMENT_FAILED" in refused("pay", "--outcome", "decline")[1]


# -- Watching ------------------------------------------------------------------------------------------------


def test_watch_draws_the_hall(ada: Run, house: Staged) -> None:
    ada("book", performance(house), "Stalls-C-1")

    picture = ada("watch", performance(house), "--once").output

    assert "A Play — The House" in picture
    assert "◐" in picture
    assert picture.count("○") >= 49
    assert "○ 69 free   ◐ 1 held   ● 0 sold   × 0 blocked   of 70" in picture


def test_watch_saves_a_picture(ada: Run, house: Staged, tmp_path: Path) -> None:
    file = tmp_path / "hall.svg"

    assert ada("watch", performance(house), "--svg", str(file), "--size", "90x30").exit_code == 0

    assert file.read_text().startswith("<svg")
    assert "rowlock" in file.read_text()


def test_watch_tells_programs_each_update(ada: Run, house: Staged) -> None:
    lines = ada("watch", performance(house), "--json", "--seconds", "0.5").output.splitlines()

    first = json.loads(lines[0])
    assert first["snapshot"]
    assert first["counts"] == {"available": 70, "held": 0, "sold": 0, "blocked": 0}


def test_watch_needs_a_log_in(run: Run, house: Staged) -> None:
    refused = run("watch", performance(house), "--once")

    assert refused.exit_code == 77
    assert "Log in first" in refused.stderr


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("sign-up", "log-in", "events", "seats", "book", "pay", "tickets", "cancel", "watch"):
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert "--server" in shown.output
