"""What examples/rest.sh, examples/partner.sh and the pages about REST show, run as it is, against `rowlock up`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from server import gateway_build
from tests.e2e.test_up import Up, running
from tests.ports import free_port

pytestmark = pytest.mark.timeout(600, func_only=True)

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"

# Around what a page shows: a call that is refused fails, and a stream is left after its first line.
AROUND = """\
set -euo pipefail
curl() {
  case "$*" in
    -N*)
      coproc stream { exec curl --silent --show-error --fail-with-body "$@"; }
      local left=$stream_PID line
      IFS= read -r line <&"${stream[0]}"
      echo "$line"
      kill "$left"
      ;;
    *) command curl --silent --show-error --fail-with-body "$@" ;;
  esac
}
"""


@dataclass
class House:
    """What is up, and where its gateway is."""

    up: Up
    url: str

    def run(self, command: list[str | Path], folder: Path, given: str = "", **environment: str) -> str:
        """Run a program that has to succeed; returns what it wrote."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.up.environment, "PATH": path, **environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.up.text()[-3000:]}"
        return done.stdout

    def api_key(self, command: str) -> str:
        """The secret of a key that an administrator makes by a command, in which users/0190… is the partner."""
        folder = self.up.log.parent
        told = {
            "ROWLOCK_SERVER": self.up.environment["ROWLOCK_GRPC_ADDRESS"],
            "ROWLOCK_TOKEN_FILE": str(folder / "tokens.json"),
        }
        login = ["--email", "boss@example.org"]
        self.run(["rowlock", "create-admin", *login], folder, PASSWORD)
        self.run(["rowlock", "log-in", *login], folder, PASSWORD, **told)
        account = re.search(r"users/\S+", self.run(["rowlock", "whoami"], folder, **told))
        assert account is not None
        made = self.run(["bash", "-c", command.replace("users/0190…", account[0])], folder, **told)
        secret = re.search(r"rlk_\S{20,}", made)
        assert secret is not None, made
        return secret[0]

    def follow(self, page: str, folder: Path, **environment: str) -> str:
        """Do what a page shows by curl, line by line; returns what was answered."""
        shown = "\n".join(block for block in blocks(page) if "curl " in block)
        assert shown.count("http://127.0.0.1:8080") == 1
        # Nothing arrives at the partner of the page; but its host has to be one that this machine knows.
        here = shown.replace("http://127.0.0.1:8080", self.url).replace("https://example.com", "https://127.0.0.1:9")
        return self.run(["bash", "-c", AROUND + here], folder, **environment)


def blocks(page: str) -> list[str]:
    """The shell commands that a page shows."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    gateway_build.build()
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "ROWLOCK_GATEWAY_ADDRESS": address,
        "ROWLOCK_GATEWAY_METRICS_ADDRESS": "off",
        "ROWLOCK_DELIVERY_PRIVATE_NETWORKS": "true",
    }
    with running(tmp_path_factory.mktemp("up"), **settings) as up:
        up.wait_for("gateway .*serving")
        assert httpx.get(f"http://{address}/healthz", timeout=60).text == "ok\n"
        yield House(up, f"http://{address}")


def test_a_ticket_is_bought_by_curl_alone(house: House, tmp_path: Path) -> None:
    house.run([ROOT / "examples" / "rest.sh", house.url], tmp_path)
    assert (tmp_path / "ticket.pdf").read_bytes().startswith(b"%PDF-")


def test_a_partner_books_pays_and_cancels_by_curl_alone_and_is_told_of_it_by_signed_webhooks(
    house: House, tmp_path: Path
) -> None:
    permissions = " ".join(f"--permission {name}" for name in ("read", "book", "pay", "refund", "webhooks"))
    secret = house.api_key(f"rowlock partner add-key users/0190… --name 'Travel agency' {permissions}")
    told = house.run([ROOT / "examples" / "partner.sh", house.url], tmp_path, ROWLOCK_API_KEY=secret)
    signed = re.findall(r"^signed: (\S+)", told, re.MULTILINE)
    assert signed[0] == "test"
    booking = [kind for kind in signed if kind in {"booking.held", "booking.confirmed", "booking.cancelled"}]
    assert booking == ["booking.held", "booking.confirmed", "booking.cancelled"]
    assert signed.count("ticket.issued") == signed.count("ticket.void") == 2
    assert {"payment.created", "payment.succeeded", "refund.requested", "refund.succeeded"} <= set(signed)


def test_the_page_about_rest_shows_what_works(house: House, tmp_path: Path) -> None:
    answered = house.follow("rest.md", tmp_path)
    assert re.search(r'"state": *"CANCELLED"', answered)
    assert '"snapshot"' in answered
    assert (tmp_path / "ticket.pdf").read_bytes().startswith(b"%PDF-")


def test_the_page_about_partners_shows_what_works(house: House, tmp_path: Path) -> None:
    made = next(block for block in blocks("partners.md") if "add-key" in block)
    answered = house.follow("partners.md", tmp_path, ROWLOCK_API_KEY=house.api_key(made))
    assert re.search(r'"state": *"CANCELLED"', answered)
    assert re.search(r'"type": *"booking.cancelled"', answered)
