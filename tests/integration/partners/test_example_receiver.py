"""The receiver that docs/partners.md shows, against the real sender."""

import importlib.util
import sqlite3
import threading
from pathlib import Path
from types import ModuleType

import pytest

from server.db.engine import Database
from tests.partnering import PostOffice
from tests.staging import stage

FILE = Path(__file__).parents[3] / "examples" / "python" / "webhook_receiver.py"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook_receiver", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def office(fresh_database: Database) -> PostOffice:
    return PostOffice(fresh_database)


async def test_it_keeps_what_is_signed_once_and_refuses_the_rest(
    office: PostOffice, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "seen.sqlite"
    server = example.serve(0, "whsec_", str(file))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        made = office.subscribe(f"http://127.0.0.1:{server.server_port}/")
        house = office.database.run_transaction(stage)
        await office.work()
        assert office.attempts()[0].status == 401, "it does not know the secret yet"

        server.RequestHandlerClass.secret = made.secret
        office.make_due()
        await office.work()
        office.execute("UPDATE webhook_lanes SET cursor = 0, next_attempt_time = now()")
        await office.work()
    finally:
        server.shutdown()
        serving.join()
        server.server_close()

    assert [attempt.status for attempt in office.attempts()] == [401, 204, 204]
    name = f"performances/{house.performance_id}"
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT * FROM log").fetchall() == [(1, "performance.scheduled", name)]
    assert capsys.readouterr().out == f"performance.scheduled {name}\n"
