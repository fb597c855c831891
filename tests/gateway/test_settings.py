"""The gateway's settings are those of server/config/, and wrong ones are told before anything is served."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from server import gateway_build
from server.cli import build
from server.commands.gateway import flags
from server.config import Settings


def test_every_flag_is_a_setting_with_the_same_default() -> None:
    program = gateway_build.build()
    told = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stderr
    found = dict(re.findall(r"^  -([a-z-]+).*\n((?:    .*\n)*)", told, re.MULTILINE))
    assert set(found) == set(flags())
    settings = Settings()
    for flag, text in found.items():
        default = re.search(r'\(default "?([^")]*)"?\)', text)
        if default and flag != "servers":
            assert _as_shown(getattr(settings, flags()[flag])) == default[1], flag


def _as_shown(value: Any) -> str:
    if hasattr(value, "total_seconds"):
        return f"{value.total_seconds():g}s"
    return str(getattr(value, "value", value))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-servers="], "-servers"),
        (["-body-limit=5"], "-body-limit"),
        (["-tls-cert-file=a.pem"], "belong together"),
        (["-trusted-proxies=here"], "'here'"),
        (["-log-level=loud"], "-log-level"),
        (["-tracing-endpoint=127.0.0.1:4318"], "-tracing-endpoint"),
        (["-tracing-ratio=NaN"], "-tracing-ratio"),
        (["serve"], "is no flag"),
        (["-server-ca-file=/nowhere.pem"], "-server-ca-file"),
        (["-metrics-address=off", "-address=127.0.0.1:99999"], "-address"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_served(arguments: list[str], words: str) -> None:
    program = gateway_build.build()
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode in {1, 2}
    assert words.replace("'", '"').strip('"') in ended.stdout + ended.stderr


def test_without_go_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gateway_build, "binary", lambda: tmp_path / "gateway")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    result = CliRunner().invoke(build("gateway"), ["gateway", "--build-only"])
    assert result.exit_code != 0
    said = str(result.exception) if result.exception else ""
    assert "Install Go" in said + result.output
    assert "ROWLOCK_GATEWAY_BINARY" in said + result.output
