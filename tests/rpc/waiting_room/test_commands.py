"""`rowlock queue` and the client library, against a real server with a worker."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from rowlock.v1.waiting_room_pb2 import QueueEntry
from rowlock_client import Client, MemoryStore, aio
from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from tests.invariants import assert_sound
from tests.lining import HOUR, LineDesk
from tests.staging import Staged, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    work = worker(settings.model_copy(update={**QUICK, "admission_sweep_interval": timedelta(milliseconds=200)}))
    work.start()
    with threaded_server(settings) as running:
        yield running
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.fixture
def somebody(server: ThreadedServer, tmp_path: Path) -> Callable[[str], Run]:
    """Runs `rowlock …` as somebody with tokens and places of their own."""

    def begin(name: str) -> Run:
        environment = {
            "ROWLOCK_SERVER": server.address,
            "ROWLOCK_TOKEN_FILE": str(tmp_path / name / "tokens.json"),
            "COLUMNS": "100",
        }

        def run(*arguments: str, given: str = "") -> Result:
            return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

        return run

    return begin


def signed_up(run: Run) -> Run:
    done = run("sign-up", "--email", f"{uuid4().hex}@example.org", "--name", "Ada", given=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    return run


@pytest.mark.promise("2.5", "2.7", "2.8")
def test_stand_in_line_and_book_when_it_is_your_turn(
    somebody: Callable[[str], Run], house: Staged, database: Database
) -> None:
    performance = f"performances/{house.performance_id}"
    email = f"{uuid4().hex}@example.org"
    password_hash = PasswordHasher(memory_kib=64, passes=1).hash(PASSWORD)
    database.run_transaction(
        lambda session: accounts.ensure_admin(session, email=email, display_name="Eve", password_hash=password_hash)
    )
    eve, ada, bob = somebody("eve"), signed_up(somebody("ada")), signed_up(somebody("bob"))
    assert eve("log-in", "--email", email, given=f"{PASSWORD}\n").exit_code == 0

    assert "is off" in ada("queue", "room", performance).output
    assert ada("queue", "join", performance).stderr.strip().endswith("(WAITING_ROOM_OFF)")
    said = eve("queue", "set", performance, "--on", "--admit", "1", "--every", "3600", "--at-once", "5").output
    assert "is on" in said
    assert "1 every 60 min, at most 5 shopping at once; an admission is valid for 10 min" in said
    refused = ada("book", performance, "--best", "2")
    assert refused.exit_code == 1
    assert "rowlock queue watch" in refused.stderr
    assert "no place in the line" in ada("queue", "show", performance).stderr

    watched = ada("queue", "watch", performance)
    assert watched.exit_code == 0, watched.output
    assert "It is your turn" in watched.output
    assert "You are number 1 in line" in bob("queue", "join", performance).output
    assert "number 1 in line, about " in bob("queue", "show", performance).output
    assert "1 wait, 1 are shopping" in bob("queue", "room", performance).output
    booked = ada("book", performance, "--best", "2")
    assert booked.exit_code == 0, booked.output
    assert json.loads(ada("queue", "show", performance, "--json").output)["state"] == "USED"

    assert "left" in bob("queue", "leave", performance).output
    assert "no place in the line" in bob("queue", "leave", performance).stderr
    assert eve("queue", "set", performance).exit_code == 2
    assert "is off" in eve("queue", "set", performance, "--off").output


def test_programs_join_watch_and_book(server: ThreadedServer, database: Database) -> None:
    desk = LineDesk(database)
    house = desk.shut(admit_count=1, admit_interval=HOUR)
    performance = f"performances/{house.performance_id}"
    with Client(server.address) as client:
        email = f"{uuid4().hex}@example.org"
        client.sign_up(email, PASSWORD, "Ada")
        client.log_in(email, PASSWORD)
        entry = client.join_queue(performance)
        assert client.queue_entry(entry.name).position == 1

        async def until_admitted() -> list[QueueEntry]:
            seen: list[QueueEntry] = []
            async with aio.Client(server.address, store=MemoryStore(client.tokens)) as watching:
                async for one in watching.watch_queue_entry(entry.name):
                    seen.append(one)
                    if one.state == QueueEntry.ADMITTED:
                        return seen
                    await asyncio.to_thread(desk.open_now, house)
            return seen

        admitted = asyncio.run(until_admitted())[-1]
        booking = client.hold(performance, best=1, admission_token=admitted.admission_token)
        assert client.queue_entry(entry.name).booking == booking.name
        assert client.waiting_room(performance).shopping_count == 1
        assert client.leave_queue(entry.name).state == QueueEntry.USED
