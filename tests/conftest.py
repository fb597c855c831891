"""Real servers for the tests: one PostgreSQL per run, shared by all workers, and one Valkey per worker.

A test asks for what it needs:

- `database_url`, `database`: migrated, and its module's alone; `fresh_database_url`, `fresh_database`: the test's.
- `valkey_url`: emptied when the module begins; `fresh_valkey_url`: emptied now.
- `settings`: both of the above, no open ports of its own.
- `private_postgres`, `private_valkey`: servers that the test may kill.

Databases are cloned from a template that the project's own migrations built.
"""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg2
import pytest
import redis
import structlog
from hypothesis import HealthCheck
from psycopg2 import sql
from sqlalchemy.engine import make_url

from server import health
from server.config import PREFIX, Settings
from server.db import engine
from server.db.engine import Database
from server.db.limits import ConnectionLimits
from server.db.migrate import upgrade
from server.embedded import PostgresServer, ValkeyServer
from server.logs import line_writer
from server.seats import connection as ledger_connection

TEMPLATE = "rowlock_template"

_LOCK_TIMEOUT = ledger_connection._LIMITS.values["lock_timeout"]
_FAILURES = health._FAILURES

_server_key = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    # Tests start servers from a process that uses gRPC, whose handlers of fork() crash it now and then.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    # A developer's own settings must not decide what the tests see.
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]

    _be_patient()


@pytest.fixture(scope="session", autouse=True)
def keep_logs_out_of_what_commands_print() -> None:
    """Bind every log to the standard output of now, which pytest keeps for who wants to know why a test failed.

    `CliRunner` puts another in its place while a command runs, and servers run in threads of the same process.
    """
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stdout))
    line_writer()


def _be_patient() -> None:
    """Have nothing given up because the machine stands still for some seconds, which machines of tests do.

    A server ends transactions that idle, soon stops waiting for locks, and says that it cannot serve while its database
    is slow to answer; hypothesis takes what is slow for a fault.
    """
    minute = {"idle_in_transaction_session_timeout": "1min", "lock_timeout": "1min"}
    pool = ConnectionLimits({**engine._LIMITS.values, **minute})
    ledger = ConnectionLimits({**ledger_connection._LIMITS.values, **minute, "statement_timeout": "1min"})
    engine._LIMITS = pool  # type: ignore[misc]
    engine._CONNECT_LIMIT = 60  # type: ignore[misc]
    ledger_connection._LIMITS = ledger  # type: ignore[misc]
    ledger_connection._PATIENCE = 70.0  # type: ignore[misc]
    ledger_connection._CONNECT_PATIENCE = 60.0  # type: ignore[misc]
    health._FAILURES = 60  # type: ignore[misc]

    slow = [HealthCheck.too_slow]
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 (xdist is untyped)
    """Called by xdist in its controller before each worker starts: the controller owns the server."""
    node.workerinput["postgres_url"] = _start_postgres(node.config).url()


def pytest_unconfigure(config: pytest.Config) -> None:
    server = config.stash.get(_server_key, None)
    if server is not None:
        server.stop()
        shutil.rmtree(server.folder.parent, ignore_errors=True)


def _start_postgres(config: pytest.Config) -> PostgresServer:
    server = config.stash.get(_server_key, None)
    if server is None:
        server = PostgresServer(_server_folder() / "postgres", power_safe=False)
        server.start()
        config.stash[_server_key] = server
    return server


def _server_folder() -> Path:
    """A folder that the system user of PostgreSQL can reach, which pytest's own (mode 700) is not."""
    folder = Path(tempfile.mkdtemp(prefix="rowlock-tests-"))
    folder.chmod(0o711)
    return folder


@contextmanager
def _administrator(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def _clone(postgres_url: str, template: str) -> Iterator[str]:
    """A copy of the template, dropped afterwards even if the test left connections open."""
    name = f"test_{uuid4().hex[:12]}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with _administrator(postgres_url) as cursor:
        cursor.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with _administrator(postgres_url) as cursor:
        cursor.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """The run's PostgreSQL; the URL names its administrative database."""
    worker_input: dict[str, str] | None = getattr(pytestconfig, "workerinput", None)
    return worker_input["postgres_url"] if worker_input else _start_postgres(pytestconfig).url()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a migrated, empty database. The first worker makes it, the others wait for it."""
    socket_folder = make_url(postgres_url).query["host"]
    with Path(str(socket_folder)).joinpath("template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _administrator(postgres_url) as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,))
            if cursor.fetchone() is None:
                unfinished = f"{TEMPLATE}_unfinished"
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(unfinished)))
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
                upgrade(make_url(postgres_url).set(database=unfinished).render_as_string(hide_password=False))
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                cursor.execute(rename.format(sql.Identifier(unfinished), sql.Identifier(TEMPLATE)))
    return TEMPLATE


@pytest.fixture(scope="module")
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of this module."""
    with _clone(postgres_url, template_database) as url:
        yield url


@pytest.fixture
def fresh_database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of this test."""
    with _clone(postgres_url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Database]:
    """The module's database, opened."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def fresh_database(fresh_database_url: str) -> Iterator[Database]:
    """The test's database, opened."""
    opened = Database(fresh_database_url)
    yield opened
    opened.close()


@pytest.fixture
def prompt_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has ledgers that begin in this test wait for locks for no longer than a real server's do."""
    prompt = {**ledger_connection._LIMITS.values, "lock_timeout": _LOCK_TIMEOUT}
    monkeypatch.setattr(ledger_connection, "_LIMITS", ConnectionLimits(prompt))


@pytest.fixture
def prompt_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has servers of this test say as soon as a real one that their database or Redis is away."""
    monkeypatch.setattr(health, "_FAILURES", _FAILURES)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """This worker's Valkey. Channels are not apart by database number, so workers do not share one."""
    folder = _server_folder()
    server = ValkeyServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _emptied(server: ValkeyServer) -> str:
    with redis.Redis.from_url(server.url()) as client:
        client.flushall()
    return server.url()


@pytest.fixture(scope="module")
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The worker's Valkey, empty when the module begins."""
    return _emptied(valkey_server)


@pytest.fixture
def fresh_valkey_url(valkey_server: ValkeyServer) -> str:
    """The worker's Valkey, emptied for this test."""
    return _emptied(valkey_server)


@pytest.fixture(scope="module")
def settings(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a server for this module: any free port, no ports for operators, no rate limits."""
    return Settings(
        database_url=database_url,
        redis_url=valkey_url,
        data_dir=tmp_path_factory.mktemp("data"),
        redis_timeout=timedelta(minutes=1),  # like all that waits: see `_be_patient`
        grpc_address="127.0.0.1:0",
        admin_address="",
        metrics_address="",
        rate_limits=False,
    )


@pytest.fixture
def private_postgres() -> Iterator[PostgresServer]:
    """A server for this test alone, to be killed and started again; its database `rowlock` is migrated."""
    folder = _server_folder()
    server = PostgresServer(folder / "postgres")
    server.start()
    server.create_database("rowlock")
    upgrade(server.url("rowlock"))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def private_valkey() -> Iterator[ValkeyServer]:
    """A server for this test alone, to be killed and started again."""
    folder = _server_folder()
    server = ValkeyServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
