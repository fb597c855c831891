"""What the console's pages run in browsers: its types hold together with the kiosk's modules, and it is formatted."""

from pathlib import Path

from tests.npm import PRETTIER, TYPESCRIPT, npm

FOLDER = Path(__file__).resolve().parents[2] / "console/static"


def test_the_types_hold() -> None:
    assert npm(FOLDER / "hall", TYPESCRIPT, "tsc", "-p", "jsconfig.json") == ""


def test_everything_is_formatted() -> None:
    assert npm(FOLDER, PRETTIER, "prettier", "--check", "--print-width=120", "hall/*.js", "*.js", "*.css") == ""


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in FOLDER.rglob("*"):
        if path.suffix in {".js", ".css"}:
            text = path.read_text()
            assert "https://" not in text, path
            assert "innerHTML" not in text, path
