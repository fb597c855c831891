"""`queue`: a line before a sale with 100,000 customers in it.

*Reads*: GetQueueEntry by 1,000 customers who stand all over the line; a yardstick of empty calls in turn with them.
*Joins*: 5,000 customers join a line that nobody is in yet, a new one in each round. *Rebuild*: Redis loses everything,
and the next whom the server does not know yet waits until the line is there again.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from bench import generator, yardstick
from bench.generator import Calls
from bench.rounds import interleave, middle
from bench.scenario import Options, Outcome
from bench.stage import NO_LIMIT, Stage, Staged, hall_document, open_stage
from rowlock.v1 import waiting_room_pb2 as pb
from rowlock.v1 import waiting_room_pb2_grpc
from server import clock, resources
from server.db.ids import new_id
from server.domain import waiting_room
from server.domain.waiting_room import USUAL, RoomValues
from server.domain.waiting_room_answers import Join, Joined
from server.domain.waiting_room_joining import join_all
from server.states import LineOrder

ENTRIES = 100_000
READERS = 1_000
JOINERS = 5_000
GET = "/rowlock.v1.WaitingRoomService/GetQueueEntry"
JOIN = "/rowlock.v1.WaitingRoomService/JoinQueue"


def run(options: Options) -> Outcome:
    with (
        open_stage("queue") as stage,
        yardstick.echo(stage.folder) as echo,
        stage.rowlock(rate_limit_joins=f"{NO_LIMIT}/second") as server,
    ):
        customers, tokens = stage.customers(JOINERS)
        options.progress(f"putting {ENTRIES} customers in line")
        house = with_room(stage)
        entries = fill(stage, house, customers[:READERS])
        reads = generator.write_chains(
            stage.folder / "reads",
            (
                (number, [pb.GetQueueEntryRequest(name=resources.queue_entry(house.id, entry)).SerializeToString()])
                for number, entry in enumerate(entries)
            ),
        )

        def read() -> Calls:
            found = generator.calls(
                server.address, GET, reads, tokens=tokens, seconds=options.seconds, pids={"server": server.pid}
            )
            found.require_success()
            return found

        def bare() -> Calls:
            return yardstick.empty_calls(echo, stage.folder, seconds=options.seconds)

        def join() -> Calls:
            return join_all_at(stage, server.address, tokens, server.pid)

        carried = tokens.read_text().splitlines()
        rebuilds = [
            rebuild(stage, server.address, house, number, (entries[number], carried[number]))
            for number in range(options.rounds)
        ]
        for warm in (read, bare, join):
            warm()
        found = interleave(options.rounds, {"reads": read, "empty": bare, "joins": join}, options.progress, Calls.shown)
        check(stage, house, ENTRIES)
        described = stage.describe()
    ratios = [ours.per_s / empty.per_s for ours, empty in zip(found["reads"], found["empty"], strict=True)]
    return Outcome(
        {
            "joins_per_s": middle([one.per_s for one in found["joins"]], 0),
            "reads_per_s": middle([one.per_s for one in found["reads"]], 0),
            "ratio": middle(ratios),
            "read_p50_ms": middle([one.p50_ms for one in found["reads"]]),
            "read_p99_ms": middle([one.p99_ms for one in found["reads"]]),
            "join_p99_ms": middle([one.p99_ms for one in found["joins"]]),
            "rebuild_s": middle(rebuilds),
            "entries": ENTRIES,
        },
        {
            "rounds": {name: [one.kept() for one in rounds] for name, rounds in found.items()},
            "rebuilds": rebuilds,
            "postgres": described,
        },
    )


def with_room(stage: Stage) -> Staged:
    """A performance whose line opens in an hour."""
    house = stage.performance(hall_document(1000))

    def work(session: Session) -> None:
        room = waiting_room.lock(session, house.id, "")
        opening = clock.now() + timedelta(hours=1)
        waiting_room.update(session, room, RoomValues(True, USUAL, LineOrder.FIRST_COME, opening))

    stage.database.run_transaction(work)
    return house


def fill(stage: Stage, house: Staged, readers: Sequence[UUID]) -> list[UUID]:
    """Fill a line, with readers evenly among the others; returns the readers' entries."""
    every = ENTRIES // len(readers)
    customers = [readers[n // every] if n % every == every - 1 else new_id() for n in range(ENTRIES)]
    wanted = set(readers)
    found: list[UUID] = []
    for at in range(0, ENTRIES, 2000):
        joins = [Join(house.id, customer) for customer in customers[at : at + 2000]]
        joined = stage.database.run_transaction(partial(join_all, joins=joins))
        found += [one.entry.id for one in joined if isinstance(one, Joined) and one.entry.customer_id in wanted]
    return found


def join_all_at(stage: Stage, address: str, tokens: Path, pid: int) -> Calls:
    """Every customer joins a line that was empty."""
    house = with_room(stage)
    request = pb.JoinQueueRequest(parent=resources.performance(house.id)).SerializeToString()
    chains = generator.write_chains(stage.folder / "joins", ((number, [request]) for number in range(JOINERS)))
    found = generator.calls(address, JOIN, chains, tokens=tokens, pids={"server": pid})
    found.require_success()
    check(stage, house, JOINERS)
    return found


def rebuild(stage: Stage, address: str, house: Staged, number: int, reader: tuple[UUID, str]) -> float:
    """Seconds from the loss of all that Redis had to the answer to a reader whom the server does not know yet."""
    entry, token = reader
    with grpc.insecure_channel(address) as channel:
        ask: Any = waiting_room_pb2_grpc.WaitingRoomServiceStub(channel).GetQueueEntry
        request = pb.GetQueueEntryRequest(name=resources.queue_entry(house.id, entry))
        metadata = (("authorization", f"Bearer {token}"),)
        with redis.Redis.from_url(stage.valkey.url()) as client:
            client.flushall()
        begin = time.perf_counter()
        answer = ask(request, metadata=metadata)
        took = time.perf_counter() - begin
    if answer.position != (number + 1) * (ENTRIES // READERS):
        raise RuntimeError(f"reader {number} is at position {answer.position}")
    return took


def check(stage: Stage, house: Staged, expected: int) -> None:
    """The database holds what was answered.

    Raises:
        RuntimeError: it does not.
    """
    query = text("SELECT count(*), count(DISTINCT customer_id) FROM queue_entries WHERE performance_id = :id")
    found = stage.database.run_transaction(lambda session: tuple(session.execute(query, {"id": house.id}).one()))
    if found != (expected, expected):
        raise RuntimeError(f"{found} entries and customers, {expected} were expected")
