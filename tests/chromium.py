"""A real Chromium for tests of what is shown in a browser: Debian's, which `scripts/chromium.sh` installs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE_MS = 60_000
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of one's own within the block; without one the test fails, and says what to do."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.fail("There is no Chromium: run scripts/chromium.sh, or name one in the variable CHROMIUM.")
    # A machine that is busy with other tests is slow to draw.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Without a sandbox of its own, which root may not use; what is shown is this project's alone.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
