"""The examples of docs/clients.md run as they are printed, one after the other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowlock_client import connecting
from server.config import Settings
from server.db.engine import Database
from tests.staging import stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.fixture
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    database.run_transaction(stage)
    work = worker(settings.model_copy(update=QUICK))
    work.start()
    with threaded_server(settings) as running:
        yield running
    work.stop(timeout=60_000)


def test_the_examples_run(server: ThreadedServer, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, Any] = {}
    for block in blocks:
        assert connecting.DEFAULT_TARGET in block or "Client(" not in block
        exec(compile(block.replace(connecting.DEFAULT_TARGET, server.address), str(PAGE), "exec"), names)  # noqa: S102 - our own page

    shown = capsys.readouterr().out
    assert "Stalls-" in shown
    assert "Counts(available=48, held=0, sold=2, blocked=0)" in shown
