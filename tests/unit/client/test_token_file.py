import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowlock_client import Tokens
from rowlock_client.token_file import TokenFile

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def tokens(name: str) -> Tokens:
    return Tokens(name, NOW + timedelta(minutes=15), NOW, f"refresh of {name}", "users/u")


def test_what_is_saved_is_loaded_by_the_next_program(tmp_path: Path) -> None:
    file = tmp_path / "config" / "tokens.json"

    TokenFile(file, "one:1").save(tokens("a"))

    assert TokenFile(file, "one:1").load() == tokens("a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["tokens.json"]


def test_each_server_has_tokens_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    TokenFile(file, "one:1").save(tokens("a"))
    TokenFile(file, "two:2").save(tokens("b"))

    TokenFile(file, "one:1").save(None)

    assert TokenFile(file, "one:1").load() is None
    assert TokenFile(file, "two:2").load() == tokens("b")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"one:1": 3}', '{"one:1": {"access_token": "x"}}'])
def test_a_file_that_is_no_such_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)

    assert TokenFile(file, "one:1").load() is None
    TokenFile(file, "one:1").save(tokens("a"))
    assert TokenFile(file, "one:1").load() == tokens("a")


def test_forgetting_what_is_not_there_makes_no_file(tmp_path: Path) -> None:
    TokenFile(tmp_path / "tokens.json", "one:1").save(None)

    assert list(tmp_path.iterdir()) == []


def test_a_token_of_short_life_is_not_old_at_once() -> None:
    short = Tokens("x", NOW + timedelta(seconds=10), NOW)

    assert not short.nears_its_end(NOW)
    assert short.nears_its_end(NOW + timedelta(seconds=8))
