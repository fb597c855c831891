"""The kiosk's own sources: their types hold, and they are formatted."""

from pathlib import Path

from tests.npm import PRETTIER, TYPESCRIPT, npm

FOLDER = Path(__file__).resolve().parents[2] / "clients/kiosk"


def test_the_types_hold() -> None:
    assert npm(FOLDER, TYPESCRIPT, "tsc", "-p", "jsconfig.json") == ""


def test_everything_is_formatted() -> None:
    assert npm(FOLDER, PRETTIER, "prettier", "--check", "--print-width=120", "**/*.{js,css,html}") == ""


def test_nothing_is_loaded_from_elsewhere_and_no_file_is_long() -> None:
    for path in FOLDER.rglob("*"):
        if path.suffix not in {".js", ".css", ".html"}:
            continue
        text = path.read_text()
        assert "https://" not in text.replace('"https:"', ""), path
        assert "innerHTML" not in text, path
        limit = 460 if path.suffix == ".css" else 400
        assert text.count("\n") <= limit, path
