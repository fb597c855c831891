"""Every setting is documented, and every documented default is the real one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from server.commands.gateway import flags
from server.config import PREFIX, Settings, load_settings, variable_name

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {variable_name(name) for name in Settings.model_fields}


def test_the_documents_are_fresh() -> None:
    result = subprocess.run(
        [sys.executable, "scripts/configuration.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_template_names_every_setting_and_no_other() -> None:
    template = (ROOT / ".env.example").read_text()
    assert set(re.findall(rf"^#({PREFIX}\w+)=", template, re.MULTILINE)) == VARIABLES


@pytest.mark.promise("4.9", "0.1")
def test_the_template_with_every_line_taken_up_gives_the_defaults(tmp_path: Path) -> None:
    template = (ROOT / ".env.example").read_text()
    env_file = tmp_path / ".env"
    env_file.write_text(re.sub(rf"^#({PREFIX})", r"\1", template, flags=re.MULTILINE))
    assert load_settings(env_file=env_file) == load_settings(env_file=None)


def test_nobody_else_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for folder in ("server", "workers")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    # These hand the environment on to child processes or honour NO_COLOR; they read no setting.
    assert set(readers) <= {"server/commands/children.py", "server/supervisor.py"}


def test_every_setting_says_what_it_does() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert len(field.description) > 15, name
        assert field.description.endswith("."), name


def test_every_setting_decides_something() -> None:
    folders = ("console", "server", "workers")
    code = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    # The gateway is told all of its settings as flags, one like the other.
    for name in set(Settings.model_fields) - set(flags().values()):
        # By attribute, or by name where several are read alike.
        assert re.search(rf'[.]{name}\b|"{name}"', code), f"{variable_name(name)} is read by nobody"
