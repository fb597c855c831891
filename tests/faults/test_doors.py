"""Servers die while people go in: nobody is counted twice, and whoever was told "come in" is in."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import grpc.aio
import pytest

from rowlock.v1 import ticket_pb2 as pb
from server import clock, resources
from server.db.engine import Database
from server.db.models.inventory import Ticket
from server.states import TicketState
from tests.doors import Gate, sold, tickets_of
from tests.faults.booking_load import UNKNOWN
from tests.faults.dying_door import POINTS
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.server_processes import ServerProcess, server_process
from tests.staging import Staged, hall_document, stage

pytestmark = pytest.mark.fault

DYING_DOOR = Path(__file__).with_name("dying_door.py")


@pytest.fixture
def house(fresh_database: Database) -> Staged:
    start = clock.now() + timedelta(hours=1)
    return fresh_database.run_transaction(
        lambda s: stage(s, hall_document(rows=10, seats=40), start_time=start, customer_limit=400)
    )


@pytest.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as desk:
        yield desk


def request_for(gate: Gate, ticket: Ticket) -> pb.CheckInTicketRequest:
    return pb.CheckInTicketRequest(
        performance=resources.performance(ticket.performance_id), code=gate.code(ticket), request_id=str(uuid4())
    )


@pytest.mark.parametrize("point", POINTS)
async def test_a_scan_whose_server_dies_is_sent_again_and_lets_in_once(
    fresh_valkey_url: str, house: Staged, desk: Desk, point: str
) -> None:
    fresh_database, fresh_database_url = desk.database, desk.database.url
    (ticket,) = await sold(desk, house, 3)
    gate = Gate(fresh_database)
    request = request_for(gate, ticket)
    async with (
        server_process(fresh_database_url, fresh_valkey_url, program=(str(DYING_DOOR), point)) as dying,
        server_process(fresh_database_url, fresh_valkey_url) as other,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await dying.bookings.CheckInTicket(request, metadata=gate.token, timeout=60)
        assert cut.value.code() in UNKNOWN
        assert await dying.process.wait() == -signal.SIGKILL
        (stored,) = tickets_of(fresh_database, ticket.booking_id)
        assert stored.state is (TicketState.CHECKED_IN if point == "scan was committed" else TicketState.VALID)

        first = await other.bookings.CheckInTicket(request, metadata=gate.token, timeout=60)
        assert first.state == pb.Ticket.CHECKED_IN
        assert await other.bookings.CheckInTicket(request, metadata=gate.token, timeout=60) == first
    assert desk.one("SELECT count(*) FROM check_ins") == 1
    assert_sound(fresh_database)


async def test_two_servers_let_a_crowd_in_while_one_is_killed_again_and_again(
    fresh_database: Database, fresh_database_url: str, fresh_valkey_url: str, house: Staged, desk: Desk
) -> None:
    tickets = [ticket for n in range(8) for ticket in await sold(desk, house, *range(40 * n, 40 * n + 40))]
    gate = Gate(fresh_database)
    strikes = {len(tickets) // 4, len(tickets) // 2}
    cut: list[UUID] = []
    async with AsyncExitStack() as servers:

        async def start() -> ServerProcess:
            return await servers.enter_async_context(server_process(fresh_database_url, fresh_valkey_url))

        up = [await start(), await start()]

        async def let_in(number: int, ticket: Ticket) -> pb.Ticket:
            """Send one scan until it is answered, to whichever server is there."""
            request = request_for(gate, ticket)
            while True:
                try:
                    return await up[number % 2].bookings.CheckInTicket(request, metadata=gate.token, timeout=60)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in UNKNOWN:
                        raise
                    cut.append(ticket.id)
                    number += 1
                    await asyncio.sleep(0.01)

        async def in_turn(number: int, ticket: Ticket) -> pb.Ticket:
            async with turn:
                if number in strikes:
                    await up[0].kill()
                    up[0] = await start()
                return await let_in(number, ticket)

        turn = asyncio.Semaphore(16)
        answers = await asyncio.gather(*(in_turn(n, ticket) for n, ticket in enumerate(tickets)))
    assert cut, "no scan met the fault"
    assert {answer.state for answer in answers} == {pb.Ticket.CHECKED_IN}
    assert desk.one("SELECT count(*) FROM check_ins") == len(tickets)
    assert desk.one("SELECT count(*) FROM tickets WHERE state = 2") == len(tickets)
    assert_sound(fresh_database)
