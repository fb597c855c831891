"""The embedded servers keep what was committed and leave nobody behind, however they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from server.config import Settings
from server.embedded import EmbeddedServerError, EmbeddedServers, PostgresServer, ValkeyServer

pytestmark = pytest.mark.fault

OWNER = """
import sys, time
from pathlib import Path
from server.config import Settings
from server.embedded import EmbeddedServers
with EmbeddedServers(Settings(data_dir=Path(sys.argv[1]))) as servers:
    print(servers.postgres.pid, servers.valkey.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded") / ".rowlock"


def test_a_committed_row_survives_kill_9_of_the_postmaster(private_postgres: PostgresServer) -> None:
    with private_postgres.connect("rowlock") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int)")
        cursor.execute("INSERT INTO kept VALUES (42)")

    private_postgres.kill()
    with pytest.raises(psycopg2.OperationalError), private_postgres.connect("rowlock"):
        pass
    private_postgres.start()

    with private_postgres.connect("rowlock") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        assert cursor.fetchone() == (42,)


def test_kill_9_of_one_backend_leaves_the_server_usable(private_postgres: PostgresServer) -> None:
    with private_postgres.connect() as connection, connection.cursor() as cursor:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGKILL)
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT 1")
    deadline = time.monotonic() + 60
    while True:
        try:
            with private_postgres.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                break
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_killed_valkey_comes_back_under_the_same_url(private_valkey: ValkeyServer) -> None:
    url = private_valkey.url()
    private_valkey.kill()
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(url).ping()
    private_valkey.start()
    assert redis.Redis.from_url(url).ping()


def test_the_servers_end_when_their_owner_is_killed_and_start_again(data_dir: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert owner.stdout is not None
    children = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
    assert len(children) == 2

    owner.kill()
    owner.wait()
    owner.stdout.close()

    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    with EmbeddedServers(Settings(data_dir=data_dir)) as servers:
        assert servers.postgres is not None
        assert servers.postgres.process.running()


def test_a_second_owner_of_the_folder_is_told_who_has_it(data_dir: Path) -> None:
    with (
        EmbeddedServers(Settings(data_dir=data_dir)),
        pytest.raises(EmbeddedServerError, match=rf"process {os.getpid()}\) uses .* ROWLOCK_DATA_DIR"),
    ):
        EmbeddedServers(Settings(data_dir=data_dir)).__enter__()


def test_a_stale_process_id_of_somebody_else_does_not_stop_the_start(data_dir: Path) -> None:
    with EmbeddedServers(Settings(data_dir=data_dir)) as servers:
        assert servers.postgres is not None
        postgres_data = servers.postgres.data
    # The number now belongs to a living process that is no PostgreSQL: this one.
    (postgres_data / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres_data}\n")
    with EmbeddedServers(Settings(data_dir=data_dir)) as servers:
        assert servers.postgres is not None


def test_a_folder_with_a_long_path_works(tmp_path_factory: pytest.TempPathFactory) -> None:
    deep = tmp_path_factory.mktemp("deep") / ("x" * 120) / ".rowlock"
    with EmbeddedServers(Settings(data_dir=deep)) as servers:
        assert servers.valkey is not None
        assert redis.Redis.from_url(servers.valkey.url()).ping()


def test_given_urls_nothing_is_started_and_no_folder_is_taken(data_dir: Path) -> None:
    given = Settings(data_dir=data_dir, database_url="postgresql://h/d", redis_url="redis://h")
    with EmbeddedServers(given) as servers:
        assert servers.settings == given
        assert servers.postgres is None
        assert servers.valkey is None
    assert not data_dir.exists()
