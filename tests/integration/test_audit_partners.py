"""The checkers of the log of changes, of webhooks and of quotas find what they are for."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.audit import audit
from server.db.engine import Database
from server.domain import api_keys, key_uses
from server.states import KeyQuota, Role
from tests.partnering import PostOffice, partner
from tests.paying import desk_on
from tests.staging import stage


@pytest.fixture
async def inhabited(fresh_database: Database) -> Database:
    """With changes that have their positions, an endpoint that nobody answers at, and a key that was charged."""
    office = PostOffice(fresh_database)
    owner = partner(fresh_database)
    office.subscribe("http://127.0.0.1:1/", owner)
    house = fresh_database.run_transaction(stage)
    async with desk_on(fresh_database) as desk:
        await desk.cancel(await desk.hold(house, 0))
    await office.work()
    fresh_database.run_transaction(lambda session: charge(session, owner))
    assert audit(fresh_database) == []
    return fresh_database


def charge(session: Session, owner: UUID) -> None:
    made = api_keys.create(
        session,
        owner,
        display_name="Agency",
        role=Role.PARTNER,
        bounds=api_keys.Bounds(held_places_per_day=5),
        expire_time=None,
    )
    assert key_uses.charge(session, made.key.id, KeyQuota.HELD_PLACES, "one", 3)


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("UPDATE changes SET position = 1 WHERE position = 2", "a position is given once"),
        ("DELETE FROM changes WHERE position = 1", "no position is missing"),
        (
            "UPDATE changes SET position = CASE position WHEN 2 THEN 3 ELSE 2 END WHERE position > 1",
            "changes of one thing",
        ),
        ("UPDATE changes SET old_state = 2 WHERE position = 3", "changes of one thing"),
        ("UPDATE changes SET data = data || '{\"nonce\": 1}'", "the log knows no secrets"),
        ("UPDATE changes SET new_state = 4 WHERE position = 3", "the newest change of a booking"),
        ("UPDATE webhook_lanes SET next_attempt_time = NULL", "a lane that is not done with"),
        ("UPDATE webhook_endpoints SET disable_time = now()", "what is switched off"),
        ("UPDATE key_uses SET used = 2", "what an API key has used up"),
    ],
)
def test_each_damage_is_found(inhabited: Database, damage: str, promise: str) -> None:
    inhabited.run_transaction(lambda session: session.execute(text(damage)))
    assert any(fault.startswith(promise) for fault in audit(inhabited))
