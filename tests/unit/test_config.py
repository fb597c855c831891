"""What the environment may say, and what the answer is when it says something else."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.config import ServerRole, Settings, SettingsError, load_settings


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings(env_file=None)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("250ms", 0.25), ("30 d", 2_592_000), ("3h", 10_800), ("90", 90), ("1.5s", 1.5), ("2min", 120)],
)
def test_durations_are_written_as_people_write_them(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("ROWLOCK_MAX_HOLD_TIME", "100d")
    monkeypatch.setenv("ROWLOCK_HOLD_DURATION", text)
    assert load_settings(env_file=None).hold_duration == timedelta(seconds=seconds)


@pytest.mark.promise("4.9")
@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("ROWLOCK_HOLD_DURATION", "soon", "15m"),
        ("ROWLOCK_HOLD_DURATION", "0s", "longer than zero"),
        ("ROWLOCK_HOLD_DURATION", "9" * 400, "at most 36500d"),
        ("ROWLOCK_STREAM_MAX_AGE", "999999999999d", "at most 36500d"),
        ("ROWLOCK_MAX_RECEIVE_BYTES", "8GiB", "less than or equal to 2147483647"),
        ("ROWLOCK_CUSTOMER_LIMIT", "four", "integer"),
        ("ROWLOCK_CUSTOMER_LIMIT", "0", "greater than or equal to 1"),
        ("ROWLOCK_GRPC_ADDRESS", "50051", "host:port"),
        ("ROWLOCK_GRPC_ADDRESS", "localhost:99999", "host:port"),
        ("ROWLOCK_GRPC_ADDRESS", "off", "host:port"),
        ("ROWLOCK_METRICS_ADDRESS", "nowhere", "host:port"),
        ("ROWLOCK_ROLES", "api,bar", "'api' or 'edge'"),
        ("ROWLOCK_LEDGER_SCOPE", "hall", "'database' or 'performance'"),
        ("ROWLOCK_RATE_LIMIT_ACCOUNT", "many", "10/second"),
        ("ROWLOCK_RATE_LIMIT_ACCOUNT", "0/second", "10/second"),
        ("ROWLOCK_RATE_LIMIT_ACCOUNT", "5/0 minutes", "10/second"),
        ("ROWLOCK_MAX_RECEIVE_BYTES", "big", "could not parse value"),
        ("ROWLOCK_ENVIRONMENT", "test", "'development' or 'production'"),
        ("ROWLOCK_REDIS_URL", "http://cache", "redis://"),
        ("ROWLOCK_DATABASE_URL", "mysql://db/x", "postgresql://"),
        ("ROWLOCK_DATABASE_URL", "postgresql://host:port/x", "postgresql://"),
        ("ROWLOCK_REDIS_URL", "redis://cache:port", "redis://"),
        ("ROWLOCK_REFLECTION", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable_and_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, accepted: str
) -> None:
    message = refused(monkeypatch, **{variable: value})
    assert message.startswith(variable)
    assert accepted in message
    assert "pydantic" not in message


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(monkeypatch, ROWLOCK_PROCESSES="-1", ROWLOCK_LOG_LEVEL="loud")
    assert len(message.splitlines()) == 2


def test_a_password_in_a_wrong_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in refused(monkeypatch, ROWLOCK_DATABASE_URL="mysql://me:hunter2@db/x")
    assert "hunter2" not in refused(monkeypatch, ROWLOCK_REDIS_URL="http://me:hunter2@cache")


def test_a_password_is_not_in_the_printed_settings() -> None:
    settings = Settings(database_url="postgresql://me:hunter2@db/x", redis_url="redis://:hunter2@cache")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+psycopg2://"])
def test_the_driver_is_named_in_full(scheme: str) -> None:
    assert Settings(database_url=f"{scheme}db/x").database_url == "postgresql+psycopg2://db/x"


def test_roles_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWLOCK_ROLES", "edge")
    assert load_settings(env_file=None).roles == {ServerRole.EDGE}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ROWLOCK_HOLD_DURATION": "40m"}, "ROWLOCK_MAX_HOLD_TIME"),
        ({"ROWLOCK_TLS_CERT_FILE": "c.pem"}, "ROWLOCK_TLS_KEY_FILE"),
        ({"ROWLOCK_TLS_CLIENT_CA_FILE": "ca.pem"}, "ROWLOCK_TLS_CERT_FILE"),
        ({"ROWLOCK_STREAM_MAX_AGE": "20m"}, "ROWLOCK_MAX_CONNECTION_AGE_GRACE"),
        ({"ROWLOCK_ENVIRONMENT": "production"}, "ROWLOCK_JWT_PRIVATE_KEY_FILE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    assert named in refused(monkeypatch, **variables)


def test_reflection_is_for_development_unless_asked_for() -> None:
    production = {
        "environment": "production",
        "database_url": "postgresql://db/x",
        "redis_url": "redis://cache",
        "jwt_private_key_file": "key.pem",
    }
    assert load_settings(env_file=None).reflection_enabled
    assert not load_settings(production, env_file=None).reflection_enabled
    assert load_settings({**production, "reflection": True}, env_file=None).reflection_enabled


def test_operators_addresses_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWLOCK_METRICS_ADDRESS", "off")
    assert not load_settings(env_file=None).metrics_address


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("ROWLOCK_CUSTOMER_LIMIT=6\nROWLOCK_PROCESSES=2\nROWLOCK_REDIS_URL=\n")
    monkeypatch.setenv("ROWLOCK_PROCESSES", "3")
    settings = load_settings(env_file=env_file)
    assert (settings.customer_limit, settings.processes, settings.redis_url) == (6, 3, "")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "customer_limit", 5)  # noqa: B010 (mypy refuses the plain form, rightly)


def test_a_program_that_only_calls_servers_needs_none_of_its_own() -> None:
    assert load_settings({"environment": "production"}, env_file=None, calls_only=True).environment == "production"
