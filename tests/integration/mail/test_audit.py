"""The audit finds people who were not told, told twice, or told of what is not theirs."""

from uuid import uuid4

import pytest

from server.audit import audit
from server.db.engine import Database
from tests.mailing import person
from tests.paying import desk_on
from tests.staging import stage


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("DELETE FROM notifications WHERE kind = 4", "a booking that was paid for is told"),
        ("DELETE FROM notifications WHERE kind = 6", "a hold that ran out is told"),
        ("DELETE FROM notifications WHERE kind = 5", "the end of a confirmed booking is told"),
        (
            """INSERT INTO notifications
               SELECT (jsonb_populate_record(n, jsonb_build_object('id', gen_random_uuid()))).*
               FROM notifications n WHERE kind = 5""",
            "the end of a booking is told once",
        ),
        ("UPDATE notifications SET recipient_id = gen_random_uuid()", "A3"),
        (
            "UPDATE notifications SET state = 2, send_time = now(), next_attempt_time = NULL WHERE kind = 4",
            "a mail that failed says why, one that was sent says what",
        ),
        (
            "UPDATE notifications SET state = 4, next_attempt_time = NULL, handover_time = now() WHERE kind = 4",
            "only a mail that waits",
        ),
    ],
)
async def test_each_damage_is_found(fresh_database: Database, damage: str, promise: str) -> None:
    house, ada = fresh_database.run_transaction(stage), person(fresh_database)
    async with desk_on(fresh_database) as desk:
        bought = [await desk.hold(house, place, customer=ada.id) for place in (1, 2)]
        for booking in bought:
            await desk.captured(booking)
        await desk.settle()
        await desk.cancel(bought[0])
        forgotten = await desk.hold(house, 3, customer=uuid4())
        desk.let_time_pass(forgotten)
        await desk.expire(forgotten)
        await desk.settle()
        assert audit(fresh_database, quiet=True) == []

        desk.one(damage)

        assert any(fault.startswith(promise) for fault in audit(fresh_database))
