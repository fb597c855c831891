"""`rowlock demo`, smaller than it usually is."""

import json
import subprocess
import sys

import pytest


@pytest.mark.promise("0.8", "0.10", "0.12", "0.13", "1.4", "1.6", "2.4", "3.3", "3.5")
@pytest.mark.timeout(300)
def test_a_race_sells_nothing_twice_and_every_screen_shows_the_truth() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "demo", "--customers", "40", "--watchers", "6"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    word, _, told = done.stdout.splitlines()[-1].partition(" ")
    result = json.loads(told)
    assert word == "RESULT"
    assert (result["customers"], result["watchers"]) == (40, 6)
    assert result["confirmed"] > 10
    assert result["expired"] > 0
    assert result["oversold"] == result["diverged_watchers"] == result["broken_promises"] == result["over_limit"] == 0
    assert result["surprises"] == 0, done.stdout
