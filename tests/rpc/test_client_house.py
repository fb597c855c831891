"""The commands of `rowlock` around an account, for inquiries and for reports, against a real server."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from rowlock_client.cli.reports import bar
from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.db.models.accounts import User
from server.domain import account_codes, accounts
from server.states import CodePurpose, Role
from tests.staging import stage
from tests.threaded_server import ThreadedServer, threaded_server

PASSWORD = "correct horse battery"
NEW_PASSWORD = "another good secret"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running


@pytest.fixture
def somebody(server: ThreadedServer, tmp_path: Path) -> Callable[[str], Run]:
    """Runs `rowlock …` as somebody with a token file of their own."""

    def named(name: str) -> Run:
        environment = {
            "ROWLOCK_SERVER": server.address,
            "ROWLOCK_TOKEN_FILE": str(tmp_path / name / "tokens.json"),
            "COLUMNS": "200",
        }

        def invoke(*arguments: str, given: str = "") -> Result:
            return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

        return invoke

    return named


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex}@example.org"


@pytest.fixture
def ada(somebody: Callable[[str], Run], email: str) -> Run:
    """A customer, logged in."""
    run = somebody("ada")
    assert run("sign-up", "--email", email, "--name", "Ada", given=f"{PASSWORD}\n").exit_code == 0
    return run


@pytest.fixture
def staff(somebody: Callable[[str], Run], database: Database) -> Run:
    """Somebody of the house, logged in."""
    run, address = somebody("staff"), f"{uuid4().hex}@example.org"
    run("sign-up", "--email", address, "--name", "Staff", given=f"{PASSWORD}\n")
    database.run_transaction(
        lambda session: session.execute(update(User).where(User.email == address).values(role=Role.STAFF))
    )
    assert run("log-in", "--email", address, given=f"{PASSWORD}\n").exit_code == 0
    return run


def code(database: Database, email: str, purpose: CodePurpose) -> str:
    def issued(session: Session) -> str:
        user = accounts.find_by_email(session, email)
        assert user is not None
        return account_codes.issue(session, user.id, purpose, email=email)

    return database.run_transaction(issued)


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


# -- Accounts ------------------------------------------------------------------------------------------------


@pytest.mark.promise("2.2")
def test_an_address_is_verified_by_the_code_or_by_the_link_with_it(ada: Run, database: Database, email: str) -> None:
    assert "on its way" in said(ada("verify", "--resend", email))
    assert ada("verify", "nonsense").exit_code == 2
    link = f"https://tickets.example.org/verify?code={code(database, email, CodePurpose.VERIFY_EMAIL)}"
    assert "verified" in said(ada("verify", link))
    assert json.loads(said(ada("whoami", "--json")))["emailVerified"]
    again = ada("verify", link)
    assert again.exit_code == 2
    assert "CODE_INVALID" in again.output


@pytest.mark.promise("2.2")
def test_a_forgotten_password_is_set_anew(
    ada: Run, somebody: Callable[[str], Run], database: Database, email: str
) -> None:
    forgetful = somebody("elsewhere")
    assert "reset-password --code" in said(forgetful("reset-password", "--email", email))
    secret = code(database, email, CodePurpose.RESET_PASSWORD)
    assert "rowlock log-in" in said(forgetful("reset-password", "--code", secret, given=f"{NEW_PASSWORD}\n"))
    assert ada("whoami").exit_code == 77
    assert "Ada" in said(ada("log-in", "--email", email, given=f"{NEW_PASSWORD}\n"))


def test_a_password_is_changed_and_the_one_who_did_it_stays(
    ada: Run, email: str, somebody: Callable[[str], Run]
) -> None:
    elsewhere = somebody("elsewhere")
    said(elsewhere("log-in", "--email", email, given=f"{PASSWORD}\n"))
    assert ada("password", given=f"wrong\n{NEW_PASSWORD}\n").exit_code == 77
    assert "changed" in said(ada("password", given=f"{PASSWORD}\n{NEW_PASSWORD}\n"))
    assert "Ada" in said(ada("whoami"))
    assert elsewhere("whoami").exit_code == 77


def test_one_logs_out_everywhere(ada: Run, email: str, somebody: Callable[[str], Run]) -> None:
    elsewhere = somebody("elsewhere")
    said(elsewhere("log-in", "--email", email, given=f"{PASSWORD}\n"))
    # The sign-up began a session, too.
    assert "2 sessions ended" in said(ada("log-out", "--everywhere"))
    assert elsewhere("whoami").exit_code == ada("whoami").exit_code == 77
    assert "not logged in" in said(ada("log-out", "--everywhere"))


# -- Contact -------------------------------------------------------------------------------------------------


@pytest.mark.promise("2.9")
def test_a_question_is_asked_and_answered(ada: Run, staff: Run) -> None:
    asked = said(ada("ask", "Wheelchairs", "--email", "ada@example.org", "--name", "Ada", given="Is there a ramp?\n"))
    name = asked.rpartition("(")[2].rstrip(")\n")
    assert name.startswith("inquiries/")
    assert name in said(staff("inquiries"))
    assert ada("inquiries").exit_code == 77
    answered = said(staff("answer", name, given="There is.\n"))
    assert "Is there a ramp?" in answered
    assert "ada@example.org" in answered
    assert name not in said(staff("inquiries"))
    assert name in said(staff("inquiries", "--all"))
    assert staff("answer", name, "Again.").exit_code == 1
    assert ada("ask", "Nothing", "--email", "ada@example.org", "--name", "Ada", given="\n").exit_code == 2


def test_the_house_says_where_it_is(ada: Run, staff: Run) -> None:
    assert "not said" in said(ada("contact"))
    said(staff("set-contact", "--name", "The Globe", "--phone", "+44 20 7902 1400", "--address", "London"))
    said(staff("set-contact", "--phone", ""))
    added = said(staff("add-link", "Mastodon", "https://example.org/@globe"))
    shown = said(ada("contact"))
    assert "The Globe\nLondon\n" in shown
    assert "https://example.org/@globe" in shown
    assert "+44" not in shown
    said(staff("remove-link", added.split()[-1].rstrip(".")))
    assert "Mastodon" not in said(ada("contact"))
    assert staff("set-contact").exit_code == 2


# -- Reports -------------------------------------------------------------------------------------------------


@pytest.mark.promise("3.8")
def test_staff_see_what_was_sold_as_a_table_and_as_a_file(staff: Run, database: Database, tmp_path: Path) -> None:
    staged = database.run_transaction(stage)
    hall = f"performances/{staged.performance_id}"
    said(staff("sell", hall, "Stalls-A-1", "Stalls-A-2"))

    table = said(staff("report", "--performance", hall))
    assert "2 of 50" in table
    assert "50.00 EUR" in table
    assert "█" in table
    for by in ("event", "type", "day"):
        assert "50.00 EUR" in said(staff("report", "--by", by, "--event", f"events/{staged.event_id}"))
    assert "A Play" in said(staff("top", "tickets", "-n", "1"))

    file = tmp_path / "sales.csv"
    said(staff("report", "--performance", hall, "--csv", str(file)))
    [row] = csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert (row["performance"], row["sold"], row["revenue"], row["cash"]) == (hall, "2", "50.00", "50.00")
    printed = staff("report", "--performance", hall, "--csv", "-")
    assert printed.stdout_bytes == file.read_bytes()
    assert json.loads(said(staff("report", "--performance", hall, "--json")))[0]["totals"][0]["sold"] == 2


def test_customers_see_no_report(ada: Run) -> None:
    assert ada("report").exit_code == 77


@pytest.mark.parametrize(("value", "eighths"), [(0, 0), (-5, 0), (100, 192), (50, 96), (0.01, 1), (25.2, 48)])
def test_a_bar_is_as_long_as_its_value(value: float, eighths: int) -> None:
    drawn = bar(value, 100)
    widths = {character: number for number, character in enumerate(" ▏▎▍▌▋▊▉█")}
    assert sum(widths[character] for character in drawn) == eighths


# -- What was done --------------------------------------------------------------------------------------------


def test_staff_see_what_was_done_and_the_story_of_a_booking(ada: Run, staff: Run, database: Database) -> None:
    performance = f"performances/{database.run_transaction(stage).performance_id}"
    said(ada("book", performance, "Stalls-A-1"))
    said(staff("set-aside", performance, "Stalls-A-2", "--owner", "Sponsor"))
    booking = json.loads(said(ada("bookings", "--json")))[0]["name"]
    said(staff("cancel", booking))

    shown = said(staff("staff-actions", "--about", performance))
    cancelled, put_aside = (line for line in shown.splitlines() if "Service." in line)
    assert all(word in cancelled for word in ("Staff", "BookingService.CancelBooking", booking))
    assert all(word in put_aside for word in ("BoxOfficeService.CreateAllocation", f"{performance}/allocations/"))
    only = json.loads(said(staff("staff-actions", "--method", "BoxOfficeService", "--by", "users/me", "--json")))
    assert [one["method"] for one in only] == ["BoxOfficeService.CreateAllocation"]
    assert "Nothing." in said(staff("staff-actions", "--about", performance, "--before", "2020-01-01"))

    story = [line for line in said(staff("history", booking)).splitlines() if " booking " in line]
    assert [line.split()[3] for line in story] == ["hold", "cancel"]
    assert "Ada" in story[0]
    assert "Staff" in story[1]
    assert ada("history", booking).exit_code == 77
