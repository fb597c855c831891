"""A server dies while staff block seats: what is blocked and the record of who did it are both there, or neither."""

from pathlib import Path
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from sqlalchemy import text

from rowlock.v1 import performance_pb2 as pb
from server import resources
from server.db.engine import Database
from server.states import Role
from tests.faults.booking_load import UNKNOWN
from tests.invariants import assert_sound
from tests.server_processes import Customers, server_process
from tests.staging import stage

pytestmark = pytest.mark.fault

DYING_SERVER = Path(__file__).with_name("dying_server.py")


def blocked_and_recorded(database: Database) -> tuple[int, int]:
    """How many seats are blocked, and how many records say so."""
    count = text(
        "SELECT (SELECT count(*) FROM seats WHERE state = 4),"
        " (SELECT count(*) FROM staff_actions WHERE method = 'EventService.BlockSeats')"
    )
    blocked, recorded = database.run_transaction(lambda session: session.execute(count).one())
    return blocked, recorded


@pytest.mark.parametrize(
    ("point", "left"),
    [("ledger is about to commit", (0, 0)), ("ledger has committed", (1, 1))],
    ids=["not yet", "done"],
)
async def test_a_change_of_staffs_and_its_record_survive_together_or_not_at_all(
    fresh_database: Database, fresh_database_url: str, fresh_valkey_url: str, point: str, left: tuple[int, int]
) -> None:
    house = fresh_database.run_transaction(stage)
    staff = Customers(fresh_database).token(role=Role.STAFF)
    request = pb.BlockSeatsRequest(
        performance=resources.performance(house.performance_id),
        seats=[house.hall.places[5].id],
        reason="camera",
        request_id=str(uuid4()),
    )
    async with (
        server_process(fresh_database_url, fresh_valkey_url, program=(str(DYING_SERVER), point)) as dying,
        server_process(fresh_database_url, fresh_valkey_url) as other,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await dying.events.BlockSeats(request, metadata=staff, timeout=60)
        assert cut.value.code() in UNKNOWN
        await dying.process.wait()
        assert blocked_and_recorded(fresh_database) == left
        for _ in range(2):
            await other.events.BlockSeats(request, metadata=staff, timeout=60)
            assert blocked_and_recorded(fresh_database) == (1, 1)
    assert_sound(fresh_database)
