"""What a process says when its database or its Redis is not there."""

from datetime import timedelta
from pathlib import Path

import pytest

from server.config import Settings, StartError, load_settings
from server.start_checks import ready_settings, wait_for_database, wait_for_redis, warnings

NOBODY = Settings(
    database_url="postgresql://me:hunter2@127.0.0.1:1/shop",
    redis_url="redis://me:hunter2@127.0.0.1:1/0",
    start_timeout=timedelta(0),
)


def test_a_missing_database_is_named_with_its_place_and_its_remedy() -> None:
    with pytest.raises(StartError) as error:
        wait_for_database(NOBODY)
    message = str(error.value)
    assert "127.0.0.1:1/shop" in message
    assert "Connection refused" in message
    assert "ROWLOCK_DATABASE_URL" in message
    assert "hunter2" not in message


def test_a_missing_redis_is_named_with_its_place_and_its_remedy() -> None:
    with pytest.raises(StartError) as error:
        wait_for_redis(NOBODY)
    message = str(error.value)
    assert "redis://127.0.0.1:1/0" in message
    assert "ROWLOCK_REDIS_URL" in message
    assert "hunter2" not in message


def test_without_urls_and_without_rowlock_up_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"ROWLOCK_DATABASE_URL and ROWLOCK_REDIS_URL not set.*rowlock up"):
        ready_settings(Settings(data_dir=tmp_path))


def test_a_database_without_the_schema_is_refused(postgres_url: str, valkey_url: str) -> None:
    with pytest.raises(StartError, match="rowlock migrate"):
        ready_settings(Settings(database_url=postgres_url, redis_url=valkey_url))


def test_a_migrated_database_and_a_living_redis_will_do(settings: Settings) -> None:
    assert ready_settings(settings) == settings


def test_asking_for_verified_addresses_without_a_mail_server_is_warned_of_in_production(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("")
    house = {
        "environment": "production",
        "database_url": "postgresql://db/x",
        "redis_url": "redis://cache",
        "jwt_private_key_file": key,
    }
    (warning,) = warnings(load_settings({**house, "require_verified_email": True}, env_file=None))
    assert "ROWLOCK_SMTP_URL" in warning
    mailing = {**house, "require_verified_email": True, "smtp_url": "smtp://mail:25"}
    assert warnings(load_settings(mailing, env_file=None)) == []
    assert warnings(load_settings({**house, "require_verified_email": False}, env_file=None)) == []
    # `rowlock up` catches mails by itself.
    assert warnings(Settings(require_verified_email=True)) == []
