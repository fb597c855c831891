"""`rowlock watch` in a real terminal: it moves, obeys keys, and outlives a restart of the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from rowlock_client import Client
from rowlock_client.token_file import TokenFile
from server.cli import build
from server.config import Settings
from server.db.engine import Database
from tests.gates import Terminal
from tests.staging import stage
from tests.threaded_server import ThreadedServer, threaded_server

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def server(settings: Settings) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running


@pytest.fixture
def customer(server: ThreadedServer, tmp_path: Path) -> Iterator[Client]:
    with Client(server.address, store=TokenFile(tmp_path / "tokens.json", server.address), timeout=60) as client:
        email = f"{uuid4().hex}@example.org"
        client.sign_up(email, "correct horse battery", "Ada")
        client.log_in(email, "correct horse battery")
        yield client


@pytest.fixture
def environment(server: ThreadedServer, customer: Client, tmp_path: Path) -> dict[str, str]:
    return {"ROWLOCK_TOKEN_FILE": str(tmp_path / "tokens.json"), "ROWLOCK_SERVER": server.address}


def staged(database: Database, hall: str = "") -> str:
    document = json.loads((EXAMPLES / f"{hall}.json").read_text()) if hall else None
    return f"performances/{database.run_transaction(lambda s: stage(s, document)).performance_id}"


@pytest.mark.promise("1.3", "1.4")
def test_it_shows_each_change_and_outlives_a_restart(
    server: ThreadedServer, database: Database, customer: Client, environment: dict[str, str]
) -> None:
    performance = staged(database)
    terminal = Terminal("watch", performance, environment=environment)
    try:
        terminal.wait_for(r"live +revision 0[\s\S]*○ 50 free")
        customer.hold(performance, "Stalls-C-7")
        terminal.wait_for(r"49 free +◐ 1 held")
        terminal.wait_for(r"Stalls-C-7 +free → held")

        server.stop()
        terminal.wait_for(r"waiting to reconnect")
        server.start()
        customer.hold(performance, "Stalls-D-8")
        terminal.wait_for(r"live +revision 2[\s\S]*48 free +◐ 2 held")
        terminal.wait_for(r"connected again")

        status, written = terminal.end()
        assert status == 0
        assert "\x1b[?1049l" in written
        assert terminal.left_as_found()
    finally:
        terminal.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize(("hall", "far"), [("cinema", "○"), ("theatre", "○|⣿|[⠁-⣿]"), ("arena", "Floor|[⠁-⣿]")])
def test_keys_move_through_halls_of_every_size(
    database: Database, environment: dict[str, str], hall: str, far: str, size: tuple[int, int]
) -> None:
    terminal = Terminal("watch", staged(database, hall), environment=environment, size=size)
    try:
        terminal.wait_for(f"live[\\s\\S]*(?:{far})[\\s\\S]*q end")
        terminal.type("s")
        terminal.wait_for(r"○○○[\s\S]* of [\s\S]*q end")
        terminal.type("\t")
        terminal.wait_for(r"25\.00 EUR[\s\S]*q end")
        terminal.type("++")
        terminal.wait_for(r"2×[\s\S]*q end")
        terminal.type("\x1b[C\x1b[B0")
        terminal.wait_for(r"live(?![^\n]*×)[\s\S]*q end")
        terminal.resize(60, 20)
        terminal.wait_for(r"live[\s\S]*q end")

        status, written = terminal.end(key="q")
        assert status == 0
        assert "\x1b[?1049l" in written
        assert "\x1b[?25h" in written
        assert terminal.left_as_found()
    finally:
        terminal.close()


def test_without_colours_nothing_is_coloured(database: Database, environment: dict[str, str]) -> None:
    terminal = Terminal("watch", staged(database), environment={**environment, "NO_COLOR": "1"})
    try:
        terminal.wait_for(r"○ 50 free")
        terminal.end(key="\x03")
        assert "38;2;" not in terminal.whole
        assert "38;5;" not in terminal.whole
    finally:
        terminal.close()


def test_once_prints_a_picture_and_ends(database: Database, environment: dict[str, str], tmp_path: Path) -> None:
    performance = staged(database, "cinema")
    runner = CliRunner(env=environment)

    once = runner.invoke(build("watch"), ["watch", performance, "--once", "--size", "80x24"])
    assert once.exit_code == 0, once.output
    assert once.output.count("○") == 181
    assert "q end" not in once.output
    svg = tmp_path / "hall.svg"
    saved = runner.invoke(build("watch"), ["watch", performance, "--svg", str(svg), "--size", "100x30"])
    assert saved.exit_code == 0, saved.output
    assert svg.read_text().startswith("<svg")
