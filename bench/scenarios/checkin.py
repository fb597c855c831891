"""`checkin`: tickets scanned at the doors of a sold-out performance, each once, every scan through everything.

128 gates at once on one server process; PostgreSQL as `rowlock up` runs it. Every scan is a call of CheckInTicket with
the signed code, as it comes from a ticket, and a request_id of its own: the signature is verified, the ticket is
locked, the scan is recorded and flushed to disk. Each round empties the hall of 20,000 tickets: none is refused.
Beside it runs `empty`.
"""

import random
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from bench import generator, yardstick
from bench.generator import Chain
from bench.programs import Program
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.scenarios.hold_hot import PLACES, rounds
from bench.stage import CREATE_BOOKING, Stage, Staged, hall_document, open_stage
from rowlock.v1 import booking_pb2, ticket_pb2
from server import clock, resources
from server.domain.signing_keys import Keys, shared_keys
from server.states import Role
from server.tickets.codes import ticket_code

GATES: Final = 200
CHECK_IN: Final = "/rowlock.v1.BookingService/CheckInTicket"
SELL: Final = f"{CREATE_BOOKING} /rowlock.v1.BookingService/ConfirmBooking<0"
_WARM_UP: Final = 500
_AT_ONCE: Final = 50
"""Places of one booking, when the hall is sold."""


def run(options: Options) -> Outcome:
    with open_stage("checkin") as stage, yardstick.echo(stage.folder) as echo, stage.rowlock() as server:
        _, gates = stage.customers(GATES, role=Role.GATE)
        _, staff = stage.customers(1, role=Role.STAFF)

        def empty() -> generator.Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds)

        def scan() -> generator.Calls:
            return scan_round(stage, server, gates, staff)

        empty(), scan()
        found = interleave(options.rounds, {"empty": empty, "scan": scan}, options.progress, generator.Calls.shown)
        details = {"postgres": stage.describe()}
    pairs = zip(found["scan"], found["empty"], strict=True)
    return Outcome(
        {
            "scans_per_s": middle([one.per_s for one in found["scan"]], 0),
            "ratio": middle([scan.per_s / empty.per_s for scan, empty in pairs]),
            "empty_per_s": middle([one.per_s for one in found["empty"]], 0),
            "p50_ms": middle([one.p50_ms for one in found["scan"]]),
            "p99_ms": middle([one.p99_ms for one in found["scan"]]),
        },
        details | {"rounds": rounds(found)},
    )


def scan_round(stage: Stage, server: Program, gates: Path, staff: Path) -> generator.Calls:
    """Sell a fresh performance out, and scan every ticket; the clock runs only while scans do.

    Raises:
        RuntimeError: a call failed, or not every ticket that was answered is checked in, once.
    """
    staged = stage.performance(hall_document(PLACES), start_time=clock.now() + timedelta(hours=1))
    sales = generator.write_chains(stage.folder / "sales", _sales(staged))
    generator.calls(server.address, SELL, sales, tokens=staff, callers=8).require_success()
    keys, tickets = stage.database.run_transaction(lambda session: (shared_keys(session), _tickets(session, staged)))
    scans = _scans(keys, staged, tickets)
    warm_up = generator.write_chains(stage.folder / "warm", scans[:_WARM_UP])
    generator.calls(server.address, CHECK_IN, warm_up, tokens=gates).require_success()
    chains = generator.write_chains(stage.folder / "scans", scans[_WARM_UP:])
    pids = {"server": server.pid, "postgres": stage.postgres.pid}
    found = generator.calls(server.address, CHECK_IN, chains, tokens=gates, pids=pids)
    found.require_success()
    admitted = stage.database.run_transaction(lambda session: _admitted(session, staged))
    if admitted != (PLACES, PLACES):
        raise RuntimeError(f"{PLACES} scans were answered; tickets checked in and scans that admitted: {admitted}")
    return found


def _sales(staged: Staged) -> list[Chain]:
    """The whole hall, in bookings of fifty, sold at the box office."""
    parent = resources.performance(staged.id)
    ids = [place.id for place in staged.hall.places]
    confirm = booking_pb2.ConfirmBookingRequest(method=booking_pb2.Booking.COMP).SerializeToString()
    sales: list[Chain] = []
    for first in range(0, len(ids), _AT_ONCE):
        claims = [booking_pb2.SeatClaim(seat=one) for one in ids[first : first + _AT_ONCE]]
        hold = booking_pb2.CreateBookingRequest(parent=parent, seats=claims).SerializeToString()
        sales.append((0, [hold, confirm]))
    return sales


def _tickets(session: Session, staged: Staged) -> list[tuple[UUID, UUID]]:
    """(id, nonce) of each ticket."""
    rows = session.execute(text("SELECT id, nonce FROM tickets WHERE performance_id = :id"), {"id": staged.id})
    tickets = [(ticket_id, nonce) for ticket_id, nonce in rows]
    if len(tickets) != PLACES:
        raise RuntimeError(f"{PLACES} places were sold, and there are {len(tickets)} tickets")
    return tickets


def _scans(keys: Keys, staged: Staged, tickets: list[tuple[UUID, UUID]]) -> list[Chain]:
    """A scan of each ticket, in the order in which an audience arrives: none; gates take turns."""
    performance = resources.performance(staged.id)
    scans: list[Chain] = []
    for number, (ticket_id, nonce) in enumerate(random.sample(tickets, len(tickets))):
        request = ticket_pb2.CheckInTicketRequest(
            performance=performance,
            code=ticket_code(keys, staged.id, ticket_id, nonce),
            place=f"Gate {number % GATES}",
            request_id=str(uuid4()),
        )
        scans.append((number % GATES, [request.SerializeToString()]))
    return scans


def _admitted(session: Session, staged: Staged) -> tuple[int, int]:
    """Tickets that are checked in, and scans that say so."""
    row = session.execute(
        text(
            "SELECT (SELECT count(*) FROM tickets WHERE performance_id = :id AND state = 2), "
            "(SELECT count(*) FROM check_ins WHERE performance_id = :id AND outcome = 1)"
        ),
        {"id": staged.id},
    ).one()
    return int(row[0]), int(row[1])
