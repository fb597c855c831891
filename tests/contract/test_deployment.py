"""What is in `deploy/` and `docker-compose.yml`, held against what it is for."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from server.commands.gateway import flags
from server.config import PREFIX, Settings, variable_name

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_GO = "github.com/compose-spec/compose-go/v2@v2.16.2"
"""Where the schema of Compose files is published, by version; Docker Compose itself uses it."""

VARIABLES = {variable_name(name) for name in Settings.model_fields}
IMAGES = {f"{PREFIX}IMAGE", f"{PREFIX}GATEWAY_IMAGE"}
PRODUCTION = "deploy/compose.production.yaml"
DOCKERFILES = ("deploy/Dockerfile", "deploy/gateway.Dockerfile")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_the_compose_file_keeps_the_schema(compose: dict[str, Any], tmp_path: Path) -> None:
    go = shutil.which("go") or str(Path(sys.executable).parent / "go")
    told = subprocess.run(
        [go, "mod", "download", "-json", COMPOSE_GO], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    schema = json.loads((Path(json.loads(told.stdout)["Dir"]) / "schema" / "compose-spec.json").read_bytes())
    for file in (compose, yaml.safe_load((ROOT / PRODUCTION).read_text())):
        faults = [f"{fault.json_path}: {fault.message}" for fault in Draft7Validator(schema).iter_errors(file)]
        assert not faults


def test_production_gives_each_program_its_keys(compose: dict[str, Any]) -> None:
    production = yaml.safe_load((ROOT / PRODUCTION).read_text())["services"]
    programs = {
        name for name, service in compose["services"].items() if "build" in service and "profiles" not in service
    }
    assert programs <= set(production)
    assert set(production) <= set(compose["services"])
    callers = {"gateway", "console"}
    for name in callers:
        assert not {"ROWLOCK_JWT_PRIVATE_KEY_FILE", "ROWLOCK_DATABASE_URL"} & set(production[name]["environment"]), name
    for name in programs - callers:
        settings = production[name]["environment"]
        assert settings["ROWLOCK_ENVIRONMENT"] == "production"
        (folder,) = [volume.split(":")[-2] for volume in production[name]["volumes"]]
        assert settings["ROWLOCK_JWT_PRIVATE_KEY_FILE"].startswith(folder)


def test_who_only_calls_the_servers_is_told_its_own_settings_and_no_secrets(compose: dict[str, Any]) -> None:
    console = {name for name in Settings.model_fields if name.startswith("console_")}
    own = {
        "gateway": set(flags().values()),
        "console": console | {"environment", "log_level", "log_format", "trusted_proxies"},
    }
    for service, settings in own.items():
        assert not compose["services"][service].get("env_file"), service
        assert set(compose["services"][service]["environment"]) == {variable_name(name) for name in settings}


def test_every_service_is_known_to_be_healthy_before_it_is_used(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert service.get("healthcheck"), name
        for needed, how in service.get("depends_on", {}).items():
            once = services[needed].get("restart") == "on-failure"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), (name, needed)


@pytest.mark.promise("4.9")
def test_all_of_rowlock_runs_in_the_containers(compose: dict[str, Any]) -> None:
    assert {"postgres", "valkey", "migrate", "server", "worker", "scheduler", "gateway", "console"} <= {
        name for name, service in compose["services"].items() if "profiles" not in service
    }
    for name, service in compose["services"].items():
        if "build" in service:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert (ROOT / service["build"]["dockerfile"]).exists(), name
        # What is published is published to this machine.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_containers_get_longer_to_stop_than_the_programs_take(compose: dict[str, Any]) -> None:
    limits = {name: service.get("stop_grace_period", "10s") for name, service in compose["services"].items()}
    seconds = {name: int(limit.removesuffix("s")) for name, limit in limits.items()}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert seconds["server"] > defaults["drain_time"].total_seconds() + 5
    assert seconds["gateway"] > defaults["gateway_drain_time"].total_seconds() + 2


@pytest.mark.parametrize("path", ["docker-compose.yml", PRODUCTION, *DOCKERFILES])
def test_what_is_set_is_a_setting(path: str) -> None:
    text = (ROOT / path).read_text()
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text)) - IMAGES <= VARIABLES


@pytest.mark.parametrize("path", DOCKERFILES)
def test_images_are_small_and_run_as_nobody_in_particular(path: str) -> None:
    text = (ROOT / path).read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    final = text[text.rindex("\nFROM ") :]
    assert "USER 10001:10001" in final
    assert "HEALTHCHECK" in final
    assert re.search(r'^ENTRYPOINT \["', final, re.MULTILINE), "the program itself gets the signals, not a shell"
    assert not re.search(r"\b(apt-get|pip|uv sync|go build|gcc)\b", final)
    # A base without a version is another one tomorrow.
    assert not re.search(r"IMAGE=\S+:latest|IMAGE=[^:\s]+$", text, re.MULTILINE)


@pytest.mark.parametrize("path", DOCKERFILES)
def test_images_copy_only_what_is_there_and_is_sent_to_the_builder(path: str) -> None:
    sent = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"]
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / path).read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == one or source.startswith(f"{one}/") for one in sent), source
