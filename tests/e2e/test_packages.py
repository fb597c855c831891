"""Both wheels as they are published: built, installed in environments that have nothing else, and used from there."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from rowlock_client import __version__
from server import gateway_build

ROOT = Path(__file__).resolve().parents[2]

# Packages are fetched, on a machine that is busy with other tests.
# Installing everything, which fixtures do, takes minutes on a machine that is busy.
pytestmark = pytest.mark.timeout(600, func_only=True)


def uv(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run uv: the one that `make` brought, else the machine's."""
    brought = next((ROOT / ".tools").glob("uv-*/bin/uv"), None)
    program = str(brought) if brought else shutil.which("uv")
    assert program, "no uv: run the tests by `make test`"
    done = subprocess.run(
        [program, "--quiet", *arguments], cwd=cwd, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr


def clean_environment(**more: str) -> dict[str, str]:
    """Nothing of ours: no settings, no path to the checkout, no environment of uv."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE") if name in os.environ
    }
    return {**kept, **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}, **more}


class Environment:
    """A virtual environment with nothing but one wheel and what that asks for."""

    def __init__(self, folder: Path, requirement: str) -> None:
        self.folder = folder
        uv("venv", "--python", sys.executable, folder)
        self.install(requirement)

    def install(self, requirement: str) -> None:
        uv("pip", "install", "--python", self.folder / "bin" / "python", requirement)

    def run(self, program: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """A program of this environment, away from the checkout."""
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(**settings),
        )

    def packages(self) -> set[str]:
        """What is installed, by name."""
        code = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
        return {name.lower().replace("_", "-") for name in ast.literal_eval(self.run("python", "-c", code).stdout)}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, and with the name of the gateway that their sources make."""
    folder = tmp_path_factory.mktemp("dist")
    # The client's goes through its source archive, as uv does by default, which has to carry the generated code.
    uv("build", "--out-dir", folder, cwd=ROOT / "clients" / "python")
    uv("build", "--wheel", "--out-dir", folder)
    (folder / "gateway").write_text(gateway_build.binary().name)
    return folder


@pytest.fixture(scope="module")
def server(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    wheel = wheels / f"rowlock-{__version__}-py3-none-any.whl"
    return Environment(tmp_path_factory.mktemp("server") / "environment", str(wheel))


def files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_client_installs_alone_and_needs_nothing_of_the_server(wheels: Path, tmp_path: Path) -> None:
    wheel = wheels / f"rowlock_client-{__version__}-py3-none-any.whl"
    client = Environment(tmp_path / "environment", str(wheel))
    used = client.run("python", "-c", "import rowlock_client, rowlock_client.aio; print(rowlock_client.__version__)")
    assert used.stdout.strip() == __version__, used.stderr
    assert client.packages() == {
        "rowlock-client",
        "grpcio",
        "protobuf",
        "googleapis-common-protos",
        "typing-extensions",
    }

    told = client.run("rowlock-client", "events")
    assert told.returncode == 2
    assert "rowlock-client[cli]" in told.stderr

    client.install(f"{wheel}[cli]")
    assert client.run("rowlock-client", "--version").stdout.strip() == f"rowlock-client {__version__}"
    shown = client.run("rowlock-client", "book", "--help")
    assert shown.returncode == 0, shown.stderr
    away = client.run("rowlock-client", "events", "--server", "127.0.0.1:1")
    assert away.returncode == 69, away.stderr


def test_the_client_is_typed(wheels: Path) -> None:
    found = files(wheels / f"rowlock_client-{__version__}-py3-none-any.whl")
    assert {"rowlock_client/py.typed", "rowlock/py.typed", "buf/py.typed"} <= found
    generated = {name for name in found if name.endswith(("_pb2.py", "_pb2_grpc.py"))}
    assert len(generated) > 20
    assert {f"{name}i" for name in generated} <= found
    assert not [name for name in found if name.startswith(("server/", "workers/"))]


def test_both_wheels_have_the_same_client(wheels: Path) -> None:
    client = wheels / f"rowlock_client-{__version__}-py3-none-any.whl"
    whole = wheels / f"rowlock-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(client) as small, zipfile.ZipFile(whole) as large:
        shared = [name for name in small.namelist() if ".dist-info/" not in name]
        assert all(small.read(name) == large.read(name) for name in shared)


def test_the_commands_ask_only_for_what_the_whole_asks_for() -> None:
    light = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*light["dependencies"], *(one for more in light["optional-dependencies"].values() for one in more)} <= set(
        whole["dependencies"]
    )


def test_the_whole_has_everything_that_a_checkout_has(wheels: Path) -> None:
    found = files(wheels / f"rowlock-{__version__}-py3-none-any.whl")
    for folder in ("server", "workers"):
        ours = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {name for name in ours if "__pycache__" not in name} <= found
    screens = {
        str(path.relative_to(ROOT / "clients")) for path in (ROOT / "clients/kiosk").rglob("*") if path.is_file()
    }
    assert {f"server/{name}" for name in screens} <= found
    assert {f"server/examples/{path.name}" for path in (ROOT / "examples").glob("*.json")} <= found


def test_the_installed_program_works_away_from_the_checkout(server: Environment, fresh_database_url: str) -> None:
    assert server.run("rowlock", "--version").stdout.strip() == f"rowlock {__version__}"
    assert server.run("rowlock", "mail", "preview").returncode == 0
    done = server.run("rowlock", "migrate", ROWLOCK_DATABASE_URL=fresh_database_url)
    assert done.returncode == 0, done.stderr
    code = "from server.demo_venue import _examples; print(len(list(_examples().glob('*.json'))))"
    assert int(server.run("python", "-c", code).stdout) >= 4


def test_the_installed_gateway_is_built_from_the_same_sources(server: Environment, wheels: Path) -> None:
    code = (
        "from server import gateway_build as g, shipped; print(g.binary().name, g.sources().name, shipped.kiosk().name)"
    )
    name, sources, screens = server.run("python", "-c", code).stdout.split()
    # The same name says that the same files are built, to the byte.
    assert name == (wheels / "gateway").read_text()
    assert (sources, screens) == ("gateway_source", "kiosk")
