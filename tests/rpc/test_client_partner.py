"""`rowlock partner …` against a real server."""

import re
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
from server.states import Role
from tests.partnering import PostOffice, partner
from tests.staging import stage
from tests.threaded_server import ThreadedServer, threaded_server

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running


@pytest.fixture
def run(server: ThreadedServer, tmp_path: Path) -> Run:
    """Runs `rowlock …`; ``key`` is the API key to do it with."""

    def run(*arguments: str, key: str = "", given: str = "") -> Result:
        environment = {"ROWLOCK_SERVER": server.address, "ROWLOCK_API_KEY": key, "COLUMNS": "400"}
        environment["ROWLOCK_TOKEN_FILE"] = str(tmp_path / f"{key or 'person'}.json")
        return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

    return run


@pytest.fixture
def admin(run: Run, database: Database) -> Run:
    address = f"{uuid4().hex}@example.org"
    said(run("sign-up", "--email", address, "--name", "Ada", given="correct horse battery\n"))
    database.run_transaction(
        lambda session: session.execute(update(User).where(User.email == address).values(role=Role.ADMIN))
    )
    said(run("log-in", "--email", address, given="correct horse battery\n"))
    return run


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def secret_in(text: str) -> str:
    found = re.search(r"(rlk_|whsec_)\S+", text)
    assert found
    return found[0]


async def test_a_partner_gets_a_key_reads_changes_and_is_told(admin: Run, database: Database) -> None:
    owner = f"users/{partner(database)}"
    made = said(
        admin("partner", "add-key", owner, "--name", "Agency", "--permission", "read", "--permission", "webhooks")
    )
    key = secret_in(made)
    listed = said(admin("partner", "keys", owner))
    assert key not in listed
    assert "read, webhooks" in listed

    house = database.run_transaction(stage)
    await PostOffice(database).deliverer.place()
    told = said(admin("partner", "changes", "--kind", "performance", key=key))
    assert f"performance.scheduled  performances/{house.performance_id}" in told
    assert admin("partner", "keys", key=key).exit_code != 0

    made = said(admin("partner", "add-webhook", "https://93.184.216.34/", "--kind", "booking", key=key))
    name = made.splitlines()[0]
    assert secret_in(made).startswith("whsec_")
    assert "booking" in said(admin("partner", "webhooks", key=key))
    assert "msg_test_" in said(admin("partner", "test-webhook", name, key=key))
    assert "Nothing was sent yet." in said(admin("partner", "deliveries", name, key=key))
    assert "0 performances" in said(admin("partner", "replay", name, "--after", "0", key=key))
    said(admin("partner", "switch", name, "--off", key=key))
    assert "off" in said(admin("partner", "webhooks", "users/-"))
    assert secret_in(said(admin("partner", "rotate-secret", name, key=key)))
    said(admin("partner", "delete-webhook", name, key=key))

    fresh = secret_in(said(admin("partner", "rotate-key", "--hours", "1", key=key)))
    said(admin("partner", "changes", key=fresh))
    first = listed.split("users/", 1)[1].split()[0]
    said(admin("partner", "revoke-key", f"users/{first}"))
    assert admin("partner", "rotate-key", key=key).exit_code != 0
