"""`rowlock inbox`, `notify`, `mails`, `resend`, against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.db.models.accounts import User
from server.db.models.notifications import Notification
from server.states import NotificationState, Role
from tests.threaded_server import ThreadedServer, threaded_server

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running


@pytest.fixture
def somebody(server: ThreadedServer, tmp_path: Path) -> Callable[[], Run]:
    """Opens accounts, and runs `rowlock …` as their owners."""

    def sign_up() -> Run:
        address = f"{uuid4().hex}@example.org"
        environment = {
            "ROWLOCK_SERVER": server.address,
            "ROWLOCK_TOKEN_FILE": str(tmp_path / f"{address}.json"),
            "COLUMNS": "200",
        }

        def run(*arguments: str, given: str = "") -> Result:
            return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

        said(run("sign-up", "--email", address, "--name", "Ada", given="correct horse battery\n"))
        run.address = address  # type: ignore[attr-defined]
        return run

    return sign_up


@pytest.fixture
def staff(somebody: Callable[[], Run], database: Database) -> Run:
    run = somebody()
    address = run.address  # type: ignore[attr-defined]
    database.run_transaction(
        lambda session: session.execute(update(User).where(User.email == address).values(role=Role.STAFF))
    )
    said(run("log-in", "--email", address, given="correct horse battery\n"))
    return run


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def test_people_read_their_inbox(somebody: Callable[[], Run]) -> None:
    ada = somebody()
    (listed,) = [line for line in said(ada("inbox")).splitlines() if "Please confirm" in line]
    assert listed.startswith("new")
    end = listed.split()[-1]

    shown = said(ada("inbox", end))
    assert shown.startswith("Please confirm your e-mail address\n")
    assert "We sent you a mail with a code" in shown

    assert "new" not in said(ada("inbox")).split()
    assert said(ada("inbox", "--unread")) == "Nothing yet.\n"
    wrong = ada("inbox", "zzzz")
    assert wrong.exit_code == 2
    assert "no message ends with zzzz" in wrong.output


def test_everything_is_marked_as_read_at_once(somebody: Callable[[], Run]) -> None:
    ada = somebody()
    assert "Nothing" not in said(ada("inbox", "--unread"))
    said(ada("inbox", "--read-all"))
    assert said(ada("inbox", "--unread")) == "Nothing yet.\n"


@pytest.mark.promise("4.3")
def test_staff_tell_people_something_and_send_again_what_failed(
    somebody: Callable[[], Run], staff: Run, database: Database
) -> None:
    ada = somebody()
    name = json.loads(said(ada("whoami", "--json")))["name"]
    assert "1 people" in said(staff("notify", name, "--subject", "Doors", "--body", "They open at 18:00."))
    assert "Doors" in said(ada("inbox"))
    assert staff("notify", name, "--subject", "Silence").exit_code == 2
    assert ada("notify", name, "--subject", "Doors", "--body", "x").exit_code == 77

    database.run_transaction(
        lambda session: session.execute(
            update(Notification)
            .where(Notification.data.has_key("announcement"))
            .values(state=NotificationState.FAILED, next_attempt_time=None, error_reason="550 5.1.1 no such mailbox")
        )
    )
    (failed,) = [line for line in said(staff("mails")).splitlines() if "Doors" in line]
    assert "550 5.1.1 no such mailbox" in failed
    assert "1 mails are in the queue again." in said(staff("resend", failed.split()[-1]))
    assert "Doors" not in said(staff("mails"))
    assert "queued" in said(staff("mails", "--all"))
