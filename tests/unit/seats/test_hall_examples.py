"""The files of `examples/` are what their generator writes."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["cinema.json", "theatre.json", "arena.json", "cinema.pretix.json"])
def test_an_example_file_is_what_the_generator_writes(name: str) -> None:
    written = runpy.run_path(str(ROOT / "scripts" / "make_examples.py"))["examples"]()
    assert (ROOT / "examples" / name).read_text(encoding="utf-8") == written[name]
