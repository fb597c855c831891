"""The kiosk's own sources: their types hold, and they are formatted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "clients/kiosk"
TYPESCRIPT = "typescript@5.9.3"
PRETTIER = "prettier@3.6.2"


def npm(package: str, *command: str) -> str:
    """Run a program of an npm package; what it writes if it fails, and "" if it does not."""
    program = shutil.which("npm")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("There is no npm, and CI checks the kiosk's types with it.")
        pytest.skip("There is no npm here; CI checks this.")
    done = subprocess.run(
        [program, "exec", "--yes", f"--package={package}", "--", *command],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr) if done.returncode else ""


def test_the_types_hold() -> None:
    assert npm(TYPESCRIPT, "tsc", "-p", "jsconfig.json") == ""


def test_everything_is_formatted() -> None:
    assert npm(PRETTIER, "prettier", "--check", "--print-width=120", "**/*.{js,css,html}") == ""


def test_nothing_is_loaded_from_elsewhere_and_no_file_is_long() -> None:
    for path in FOLDER.rglob("*"):
        if path.suffix not in {".js", ".css", ".html"}:
            continue
        text = path.read_text()
        assert "https://" not in text.replace('"https:"', ""), path
        assert "innerHTML" not in text, path
        limit = 460 if path.suffix == ".css" else 400
        assert text.count("\n") <= limit, path
