"""Every service of Rowlock in `docker-compose.yml`, without the engine: its command, its environment, its health check.

Only addresses are others: containers have names and fixed ports, and the tests of one machine have to share it.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from server import gateway_build
from tests.ports import free_port

pytestmark = pytest.mark.timeout(600, func_only=True)

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("server", "worker", "scheduler", "gateway", "console", "mail-catcher")
LISTENING = ("server", "gateway", "console", "mail-catcher")
PATIENCE = 120.0


class System:
    """The services as processes.

    Args:
        folder: for their data and logs.
        given: settings that take the place of those that name other containers.
    """

    def __init__(self, folder: Path, given: dict[str, str]) -> None:
        self.services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self.folder = folder
        self.programs = {"/healthcheck": str(folder / "healthcheck"), "python": sys.executable}
        self._given = given
        self._ports: dict[str, int] = {}
        self._stack = ExitStack()

    def address(self, port: str) -> str:
        """Where something is that listens on this port of a container."""
        return f"127.0.0.1:{self._ports.setdefault(port, free_port())}"

    def environment(self, service: str) -> dict[str, str]:
        """What the service is given, as Compose would, and nothing of ours."""
        found = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        for name, value in self.services[service].get("environment", {}).items():
            if value is None:
                continue  # from .env, which is not here
            text = self._given.get(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)))
            inside = re.fullmatch(r"(?:0\.0\.0\.0|server):(\d+)", text)
            found[name] = self.address(inside[1]) if inside else text
        # Nobody publishes this one; in a container it is the container's.
        return {"ROWLOCK_ADMIN_ADDRESS": "off", **found}

    def start(self, service: str) -> "subprocess.Popen[bytes]":
        """Start it, as its image would."""
        image = self.services[service]["build"]["dockerfile"]
        program = str(gateway_build.build()) if "gateway" in image else str(Path(sys.executable).parent / "rowlock")
        log = self._stack.enter_context((self.folder / f"{service}.log").open("wb"))
        process = subprocess.Popen(
            [program, *self._arguments(service)],
            env=self.environment(service),
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._stack.callback(_ended, process)
        return process

    def asked(self, service: str) -> "subprocess.CompletedProcess[bytes]":
        """Run its health check once."""
        (kind, program, *arguments) = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [self.programs.get(program, program), *(self._mapped(one) for one in arguments)]
        return subprocess.run(command, env=self.environment(service), cwd=self.folder, capture_output=True, check=False)

    def becomes_healthy(self, service: str) -> None:
        """Return when its health check succeeds."""
        end = time.monotonic() + PATIENCE
        while (done := self.asked(service)).returncode:
            assert time.monotonic() < end, (done.stderr, (self.folder / f"{service}.log").read_text())
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything, in the opposite order."""
        self._stack.close()

    def _arguments(self, service: str) -> list[str]:
        return [self._mapped(str(one)) for one in self.services[service].get("command", [])]

    def _mapped(self, argument: str) -> str:
        port = self.address("1025").rpartition(":")[2]
        folder = argument.replace("/var/lib/rowlock", str(self.folder / "data"))
        return folder.replace("0.0.0.0:1025", f"127.0.0.1:{port}").replace("1025)", f"{port})")


def _ended(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(60)
    finally:
        process.kill()


@pytest.fixture
def system(fresh_database_url: str, fresh_valkey_url: str, tmp_path: Path) -> Iterator[System]:
    made = System(
        tmp_path,
        {
            "ROWLOCK_DATABASE_URL": fresh_database_url,
            "ROWLOCK_REDIS_URL": fresh_valkey_url,
            "ROWLOCK_DATA_DIR": str(tmp_path / "data"),
            "ROWLOCK_GATEWAY_KIOSK_DIR": str(ROOT / "clients" / "kiosk"),
        },
    )
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    build = [go, "build", "-buildvcs=false", "-o", made.programs["/healthcheck"], "./healthcheck"]
    subprocess.run(build, cwd=ROOT / "gateway", check=True)
    yield made
    made.stop()


def test_all_services_become_healthy_and_the_outside_reaches_them(system: System) -> None:
    assert system.start("migrate").wait(120) == 0
    for service in PROGRAMS:
        system.start(service)
    for service in PROGRAMS:
        system.becomes_healthy(service)

    web = f"http://{system.address('8080')}"
    for path in ("/readyz", "/openapi.json", "/docs/", "/kiosk/", "/v1/events"):
        assert httpx.get(web + path, timeout=60).status_code == 200, path
    office = f"http://{system.address('8090')}"
    assert httpx.get(office, follow_redirects=True, timeout=60).url.path == "/login"
    # Of both server processes the second listens one port higher.
    for port in ("9464", "9564", "9664", "9480"):
        assert "rowlock" in httpx.get(f"http://{system.address(port)}/metrics", timeout=60).text, port


def test_a_service_that_does_not_run_is_not_healthy(system: System) -> None:
    assert {service: system.asked(service).returncode == 0 for service in LISTENING} == dict.fromkeys(LISTENING, False)
