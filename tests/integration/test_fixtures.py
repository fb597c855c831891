"""What every other test relies on: a migrated database of its own and an empty Valkey."""

import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.config import Settings
from server.db.engine import Database
from server.db.migrate import Fit, fit


def test_the_database_has_the_newest_schema(database_url: str) -> None:
    assert fit(database_url) is Fit.EXACT


async def test_each_test_that_asks_gets_a_database_of_its_own(database: Database, fresh_database: Database) -> None:
    def name(session: Session) -> str:
        return str(session.execute(text("SELECT current_database()")).scalar_one())

    assert await database.read(name) != await fresh_database.read(name)


def test_the_settings_name_living_servers(settings: Settings, database_url: str) -> None:
    assert settings.database_url == database_url
    assert redis.Redis.from_url(settings.redis_url).dbsize() == 0
