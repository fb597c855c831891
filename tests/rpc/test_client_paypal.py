"""`rowlock pay --provider paypal`, and the provider that it is tried with."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from server.cli import build
from server.config import PayPalMode, Settings, SettingsError
from server.db.engine import Database
from tests.fake_paypal import FakePayPal, fake_paypal
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery\n"


@pytest.fixture(scope="module")
def paypal() -> Iterator[FakePayPal]:
    with fake_paypal() as found:
        yield found


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database, paypal: FakePayPal) -> Iterator[ThreadedServer]:
    told = paypal.settings() | {"paypal_mode": PayPalMode.SANDBOX, "payment_ask_interval": timedelta(milliseconds=200)}
    paid = settings.model_copy(update={**QUICK, **told})
    work = worker(paid)
    work.start()
    with threaded_server(paid) as running:
        yield running
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(stage)


@pytest.mark.promise("1.7")
def test_paypal_is_where_the_terminal_says_and_an_approval_there_pays(
    server: ThreadedServer, house: Staged, paypal: FakePayPal, tmp_path: Path
) -> None:
    environment = {"ROWLOCK_SERVER": server.address, "ROWLOCK_TOKEN_FILE": str(tmp_path / "tokens.json")}

    def run(*arguments: str, given: str = "") -> str:
        result = CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)
        assert result.exit_code == 0, result.output
        return result.output

    run("sign-up", "--email", f"{uuid4().hex}@example.org", "--name", "Ada", given=PASSWORD)
    run("book", f"performances/{house.performance_id}", "--best", "2")

    def approve() -> None:
        while not paypal.provider.books.orders:
            time.sleep(0.05)
        paypal.control.approve(next(iter(paypal.provider.books.orders)))

    customer = threading.Thread(target=approve)
    customer.start()
    shown = run("pay", "--provider", "paypal")
    customer.join()
    assert f"{paypal.provider.base_url}/checkoutnow?token=" in shown
    assert "50.00 EUR paid" in shown


def test_the_fake_provider_says_by_which_settings_it_is_paid() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "fake-provider", "--address", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = dict(process.stdout.readline().strip().split("=", 1) for _ in range(5))
        settings = Settings(**{name.removeprefix("ROWLOCK_").lower(): value for name, value in told.items()})  # type: ignore[arg-type]
        assert settings.paypal_mode is PayPalMode.SANDBOX
        answer = httpx.get(f"{settings.paypal_base_url}/fake/books", timeout=60)
        assert answer.json() == {"orders": [], "captures": [], "refunds": []}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) is not None


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--address", "0.0.0.0:0"], {}),
        (["--address", "127.0.0.1"], {}),
        (
            [],
            {
                "ROWLOCK_ENVIRONMENT": "production",
                "ROWLOCK_DATABASE_URL": "postgresql://h/d",
                "ROWLOCK_REDIS_URL": "redis://h",
                "ROWLOCK_JWT_PRIVATE_KEY_FILE": "key.pem",
            },
        ),
    ],
)
def test_the_fake_provider_serves_this_machine_only_and_never_in_production(
    arguments: list[str], environment: dict[str, str]
) -> None:
    result = CliRunner(env=environment).invoke(build("fake-provider"), ["fake-provider", *arguments])
    assert isinstance(result.exception, SettingsError)
