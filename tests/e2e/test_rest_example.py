"""The example in examples/rest.sh: a ticket by curl alone, from what `rowlock up` serves."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from server import gateway_build
from tests.e2e.test_up import free_port, running

pytestmark = pytest.mark.timeout(600, func_only=True)

EXAMPLE = Path(__file__).parents[2] / "examples" / "rest.sh"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    gateway_build.build()


def test_a_ticket_is_bought_by_curl_alone(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    quiet = {"ROWLOCK_GATEWAY_ADDRESS": address, "ROWLOCK_GATEWAY_METRICS_ADDRESS": "off"}
    with running(tmp_path, **quiet) as up:
        up.wait_for("gateway .*serving")
        assert httpx.get(f"http://{address}/healthz").text == "ok\n"
        ticket = tmp_path / "ticket.pdf"
        done = subprocess.run(
            [EXAMPLE, f"http://{address}"],
            env={**os.environ, "TICKET_FILE": str(ticket)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ticket.read_bytes().startswith(b"%PDF-")
    assert "gateway" in up.text()
    assert "did not end in" not in up.text()
