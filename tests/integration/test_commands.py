"""The commands of `rowlock`, called as a shell would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.main import get_command
from typer.testing import CliRunner, Result

from server.cli import build
from server.config import Settings, SettingsError, StartError
from server.db.engine import Database
from server.db.migrate import Fit, fit
from server.db.models.accounts import User
from server.db.models.catalogue import Venue
from server.embedded import EmbeddedServers
from server.states import Role


def run(*arguments: str, given: str = "", **variables: str) -> Result:
    return CliRunner(env=variables).invoke(build(arguments[0]), list(arguments), input=given, catch_exceptions=False)


def shell(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_every_command_explains_itself() -> None:
    commands = get_command(build()).commands  # type: ignore[attr-defined]
    assert {"up", "serve", "worker", "scheduler", "migrate", "create-admin", "health"} <= set(commands)
    for name, command in commands.items():
        assert command.help, name


def test_a_wrong_setting_ends_with_its_own_status_and_no_traceback() -> None:
    result = shell("serve", ROWLOCK_PROCESSES="none")
    assert result.returncode == SettingsError.exit_status
    assert result.stderr.startswith("rowlock: ROWLOCK_PROCESSES='none': ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "scheduler"])
def test_without_a_database_a_process_says_what_to_do(command: str, tmp_path: Path) -> None:
    result = shell(command, ROWLOCK_DATA_DIR=str(tmp_path))
    assert result.returncode == StartError.exit_status
    assert "ROWLOCK_DATABASE_URL" in result.stderr
    assert "rowlock up" in result.stderr
    assert "Traceback" not in result.stderr


def test_up_begins_nothing_with_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    file, data = tmp_path / "server.pem", tmp_path / "data"
    file.write_text("none")
    tls = {"ROWLOCK_TLS_CERT_FILE": str(file), "ROWLOCK_TLS_KEY_FILE": str(file)}
    result = shell("up", **tls, ROWLOCK_DATA_DIR=str(data))
    assert result.returncode == SettingsError.exit_status
    assert result.stderr.startswith("rowlock: ROWLOCK_TLS_CERT_FILE and ROWLOCK_TLS_KEY_FILE cannot be used: ")
    assert not data.exists()


def test_migrate_brings_an_empty_database_to_the_newest_schema(tmp_path: Path) -> None:
    assert run("migrate", ROWLOCK_DATA_DIR=str(tmp_path)).exit_code == 0
    with EmbeddedServers(Settings(data_dir=tmp_path)) as servers:
        assert fit(servers.settings.database_url) is Fit.EXACT
        # While somebody has the folder, commands find that somebody's database.
        assert run("migrate", ROWLOCK_DATA_DIR=str(tmp_path)).exit_code == 0


@pytest.mark.promise("0.2")
def test_the_first_administrator_is_made_by_a_command(fresh_database: Database) -> None:
    result = run(
        *("create-admin", "--email", "Boss@example.org", "--name", "The boss"),
        given="a long word nobody guesses\n",
        ROWLOCK_DATABASE_URL=fresh_database.url,
    )
    assert result.exit_code == 0
    assert "log-in" in result.output
    user = fresh_database.run_transaction(lambda session: session.scalars(select(User)).one())
    assert (user.email, user.display_name, user.role) == ("Boss@example.org", "The boss", Role.ADMIN)


def test_making_the_same_administrator_again_changes_nothing(fresh_database: Database) -> None:
    outputs = [
        run(
            *("create-admin", "--email", "boss@example.org"),
            given="a long word nobody guesses\n",
            ROWLOCK_DATABASE_URL=fresh_database.url,
        ).output
        for _ in range(2)
    ]
    assert "is an administrator." in outputs[0]
    assert "had an account" in outputs[1]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--email", "boss"),
        ("--email", "the boss@example.org"),
        ("--email", f"{'x' * 300}@example.org"),
        ("--name", ""),
        ("--name", "x" * 101),
        ("--name", "The\x01boss"),
    ],
)
def test_a_wrong_address_or_name_makes_no_administrator(fresh_database: Database, wrong: tuple[str, str]) -> None:
    given = {"--email": "boss@example.org", "--name": "The boss"} | dict([wrong])
    result = run(
        *("create-admin", *(word for option in given.items() for word in option)),
        given="a long word nobody guesses\n",
        ROWLOCK_DATABASE_URL=fresh_database.url,
    )
    assert (result.exit_code, wrong[0] in result.output) == (2, True)
    assert fresh_database.run_transaction(lambda session: session.scalars(select(User)).all()) == []


@pytest.mark.parametrize("password", ["short", "password1", ""])
def test_a_weak_password_makes_no_administrator(fresh_database: Database, password: str) -> None:
    result = run(
        *("create-admin", "--email", "boss@example.org"),
        given=f"{password}\n",
        ROWLOCK_DATABASE_URL=fresh_database.url,
    )
    assert result.exit_code == 2
    assert fresh_database.run_transaction(lambda session: session.scalars(select(User)).all()) == []


def test_health_names_what_does_not_answer(fresh_database_url: str, valkey_url: str) -> None:
    result = run(
        "health",
        ROWLOCK_DATABASE_URL=fresh_database_url,
        ROWLOCK_REDIS_URL=valkey_url,
        ROWLOCK_GRPC_ADDRESS="127.0.0.1:1",
    )
    assert result.exit_code == 1
    assert "database: ok" in result.output
    assert "redis: ok" in result.output
    assert "server: no answer at 127.0.0.1:1" in result.output


def import_seat_map(database: Database, file: Path | str, venue: str) -> Result:
    return run("import-seat-map", str(file), "--venue", venue, ROWLOCK_DATABASE_URL=database.url)


def test_a_seat_map_is_imported_into_a_new_and_an_old_venue(fresh_database: Database) -> None:
    first = import_seat_map(fresh_database, "examples/cinema.json", "Aurora")
    second = import_seat_map(fresh_database, "examples/cinema.pretix.json", "venues/1")
    assert first.output == "venues/1/seatMaps/1: 180 places\n"
    assert second.output == "venues/1/seatMaps/2: 180 places\n"


def test_a_seat_map_of_a_venue_that_is_not_there_is_refused(fresh_database: Database) -> None:
    result = import_seat_map(fresh_database, "examples/cinema.json", "venues/7")
    assert result.exit_code == 2
    assert "venues/7" in result.output


@pytest.mark.parametrize("wrong", ["", "x" * 201, "Au\x01rora", "\u202earoruA"])
def test_a_seat_map_makes_no_venue_with_a_name_that_no_venue_may_have(fresh_database: Database, wrong: str) -> None:
    result = import_seat_map(fresh_database, "examples/cinema.json", wrong)
    assert (result.exit_code, "--venue" in result.output) == (2, True)
    named = ("--venue", "Aurora", "--name", wrong or "\t")
    result = run("import-seat-map", "examples/cinema.json", *named, ROWLOCK_DATABASE_URL=fresh_database.url)
    assert (result.exit_code, "--name" in result.output) == (2, True)
    assert fresh_database.run_transaction(lambda session: session.scalars(select(Venue)).all()) == []


def test_every_fault_of_a_seat_map_file_is_told_and_nothing_is_stored(fresh_database: Database, tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_text('{"format": "rowlock-seat-map", "version": 1, "name": "", "zones": 3, "sections": []}')
    result = import_seat_map(fresh_database, file, "Aurora")
    assert result.exit_code == 1
    assert result.output.count(f"{file}: ") >= 2
    assert fresh_database.run_transaction(lambda session: session.scalars(select(Venue)).all()) == []
