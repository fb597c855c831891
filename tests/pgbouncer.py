"""A real PgBouncer for tests, with the settings of `deploy/pgbouncer`; `scripts/pgbouncer.sh` fetches it."""

import configparser
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from server.embedded.folders import system_account
from server.processes import ChildProcess
from tests.eventually import eventually_blocking
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
FETCHED = ROOT / ".tools" / "pgbouncer" / "usr"


@contextmanager
def pgbouncer(postgres_url: str, folder: Path, *, pool_mode: str) -> Iterator[str]:
    """The URL that leads through one to the same database.

    Args:
        postgres_url: of an embedded server.
        folder: for its settings and its log.
        pool_mode: how long a caller has a connection: ``session`` or ``transaction``.
    """
    program = shutil.which("pgbouncer", path=os.pathsep.join([os.defpath, "/usr/sbin", str(FETCHED / "sbin")]))
    if program is None:
        pytest.skip("There is no PgBouncer: run scripts/pgbouncer.sh.")
    url, host, port = make_url(postgres_url), "127.0.0.1", str(free_port())
    settings = configparser.ConfigParser()
    settings.read(ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini")
    settings["databases"] = {"*": f"host={url.query['host']} port={url.query['port']} user={url.username}"}
    own = settings["pgbouncer"]
    own.update(listen_addr=host, listen_port=port, pool_mode=pool_mode, auth_type="any", unix_socket_dir="")
    del own["auth_file"]
    if account := system_account():
        own["user"] = pwd.getpwuid(account.uid).pw_name  # the one that may reach the server's socket
    file = folder / "pgbouncer.ini"
    with file.open("w") as written:
        settings.write(written)
    libraries = os.pathsep.join(str(path) for path in (FETCHED / "lib").glob("*-linux-gnu"))
    process = ChildProcess(
        "pgbouncer",
        [program, "-q", str(file)],
        output=folder / "pgbouncer.log",
        environment={**os.environ, "LD_LIBRARY_PATH": libraries},
    )
    process.start()
    try:
        eventually_blocking(lambda: _answers(host, int(port)) or not process.running())
        assert process.running(), (folder / "pgbouncer.log").read_text()
        yield f"postgresql+psycopg2://{url.username}@{host}:{port}/{url.database}"
    finally:
        process.stop()


def _answers(host: str, port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((host, port)) == 0
