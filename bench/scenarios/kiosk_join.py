"""`kiosk-join`: 1,000 screens come at once: streams of newline-delimited JSON of a hall of 20,000, through the gateway.

Each has a connection of its own. Measured are how long all take to have their picture of the hall, how late changes
then come (100 per second, from just before the commit to the screen), and what a screen costs the gateway in memory.
"""

import time

from sqlalchemy import text

from bench import generator
from bench.generator import Watchers
from bench.programs import memory
from bench.scenario import Options, Outcome
from bench.scenarios.gateway import gateway_of, revision_of, wait_for
from bench.stage import CREATE_BOOKING, Stage, Staged, hall_document, open_stage, random_holds
from server import gateway_build, resources

PLACES = 20_000
SCREENS = 1_000
HOLDS_PER_S = 50


def run(options: Options) -> Outcome:
    options.progress("building the gateway")
    gateway_build.build()
    with open_stage("kiosk-join") as stage, stage.rowlock() as server, gateway_of(stage, server) as front:
        _, tokens = stage.customers(250)
        staged = stage.performance(hall_document(PLACES))
        address = f"{front.url}/v1/{resources.performance(staged.id)}:watchSeats"
        with Watchers("", "", b"", watchers=1, folder=stage.folder, tokens=tokens, url=address):
            before = memory(front.pid)
        options.progress(f"{SCREENS:,} screens come")
        begin = time.monotonic()
        with Watchers("", "", b"", watchers=SCREENS, folder=stage.folder, tokens=tokens, url=address) as screens:
            joined = time.monotonic() - begin
            if screens.ready.get("ended") or screens.ready["open"] != SCREENS:
                raise RuntimeError(f"streams failed: {screens.ready}")
            opened = memory(front.pid)
            options.progress("holds are made")
            screens.tell("record")
            holds = random_holds(staged, 250)[: round(options.seconds * HOLDS_PER_S)]
            chains = generator.write_chains(stage.folder / "holds", holds)
            made = generator.calls(server.address, CREATE_BOOKING, chains, tokens=tokens, rate=HOLDS_PER_S)
            made.require_success()
            wait_for(screens, revision_of(stage, staged))
            screens.tell("stop")
            streams = screens.quit()
        committed = _commit_times(stage, staged)
        described = stage.describe()
    late = sorted((when - committed[revision]) / 1000 for stream in streams for revision, when in stream if revision)
    return Outcome(
        {
            "screens": SCREENS,
            "joined_s": round(joined, 2),
            "joins_per_s": round(SCREENS / joined, 0),
            "first_p50_ms": screens.ready["first"]["p50_ms"],
            "first_p99_ms": screens.ready["first"]["p99_ms"],
            "latency_p50_ms": round(late[len(late) // 2], 3),
            "latency_p99_ms": round(late[int(0.99 * len(late))], 3),
            "kb_per_screen": round((opened - before) / 1000 / SCREENS, 1),
        },
        {"postgres": described, "messages": len(late), "first_bytes": screens.ready["first_bytes"]},
    )


def _commit_times(stage: Stage, staged: Staged) -> dict[int, int]:
    query = text("SELECT revision, extract(epoch FROM commit_time) FROM seat_changes WHERE performance_id = :id")
    rows = stage.database.run_transaction(lambda session: session.execute(query, {"id": staged.id}).all())
    return {int(revision): round(float(when) * 1e6) for revision, when in rows}
