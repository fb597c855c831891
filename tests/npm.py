"""Checks of JavaScript by programs of npm, which are fetched on first use."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TYPESCRIPT = "typescript@5.9.3"
PRETTIER = "prettier@3.6.2"


def npm(folder: Path, package: str, *command: str) -> str:
    """Run a program of an npm package in a folder; what it writes if it fails, and "" if it does not."""
    program = shutil.which("npm")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("There is no npm, and CI checks the types of what browsers run with it.")
        pytest.skip("There is no npm here; CI checks this.")
    done = subprocess.run(
        [program, "exec", "--yes", f"--package={package}", "--", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr) if done.returncode else ""
