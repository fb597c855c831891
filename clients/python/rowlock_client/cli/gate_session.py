"""From opening a gate to closing it: its facts, its store, what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rowlock_client import aio
from rowlock_client.cli.gate_facts import fetch
from rowlock_client.cli.gate_hand_in import HandedIn, hand_in
from rowlock_client.cli.gate_keeper import Gate
from rowlock_client.cli.gate_lines import scan_lines
from rowlock_client.cli.gate_link import Link
from rowlock_client.cli.gate_live import scan_on_screen
from rowlock_client.cli.gate_store import GateStore, open_stores
from rowlock_client.cli.options import EXIT_UNAVAILABLE, Failure, api_key, tls_of, token_store
from rowlock_client.cli.terminal import ended_by_signals
from rowlock_client.errors import Cancelled, DeadlineExceeded, RowlockError, Unavailable
from rowlock_client.retrying import RetryPolicy


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for.

    Attributes:
        performance: `performances/{performance}`; empty: only hand in.
        place: how the gate calls itself.
        offline: not to use the server.
        plain: lines instead of a screen.
        quiet: without the bell.
        patience: seconds to wait for the server.
        as_json: JSON instead of words.
        server: as the user names it.
        ca: whom to trust; None: no encryption.
    """

    performance: str
    place: str
    offline: bool
    plain: bool
    quiet: bool
    patience: float
    as_json: bool
    server: str
    ca: Path | None


def is_away(error: RowlockError) -> bool:
    """Whether the server was not reached, so that nothing is known of what it would say."""
    return isinstance(error, Unavailable | DeadlineExceeded | Cancelled)


async def work(wish: Wish) -> bool:
    """Scan until the end. Returns whether everybody was let in; of a screen nobody asks that.

    Raises:
        Failure: there is neither a connection nor a list.
        RowlockError: the server does not let this gate work.
    """
    async with _opened(wish) as gate:
        ended = ended_by_signals()
        keeping = [asyncio.create_task(gate.link.keep_up())]
        if not wish.offline:
            keeping.append(asyncio.create_task(_hand_in_left_behind(wish, gate)))
        try:
            if wish.plain:
                return await scan_lines(gate, ended, as_json=wish.as_json)
            await scan_on_screen(gate, ended, quiet=wish.quiet)
            return True
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
            if gate.link.waiting:
                await gate.link.catch_up()
            _say_goodbye(gate)


async def hand_in_all(wish: Wish, result: HandedIn) -> int:
    """Hand in what waits in gates of this machine that no process has open. Returns how many scans that was.

    Args:
        wish: where the server is.
        result: what became of them is added here, also if not all could be handed in.

    Raises:
        RowlockError: the server could not take them; what it did not take goes on waiting.
    """
    count = 0
    async with _client(wish) as client:
        for store in open_stores(wish.server):
            waiting = len(store.scans.waiting)
            if waiting:
                await hand_in(client, store.performance, store.device, store.scans, result)
                count += waiting
    return count


def _client(wish: Wish) -> aio.Client:
    return aio.Client(
        wish.server,
        tls=tls_of(wish.ca),
        store=token_store(wish.server),
        api_key=api_key(),
        retry=RetryPolicy(patience=wish.patience),
    )


@asynccontextmanager
async def _opened(wish: Wish) -> AsyncIterator[Gate]:
    """The gate, ready to scan."""
    async with AsyncExitStack() as stack:
        client = None if wish.offline else await stack.enter_async_context(_client(wish))
        store = stack.enter_context(GateStore.at(wish.server, wish.performance, wish.place))
        facts, fresh = None, False
        if client is not None:
            try:
                facts, fresh = await fetch(client, wish.performance), True
                store.save(facts)
            except RowlockError as error:
                if not is_away(error):
                    raise
        facts = facts or store.load()
        if facts is None:
            why = "--offline was asked for" if wish.offline else "the server cannot be reached"
            raise Failure(f"{why}, and this gate has no list of {wish.performance} yet", EXIT_UNAVAILABLE)
        gate = Gate(store, facts, place=wish.place, client=client, fresh=fresh, patience=wish.patience)
        if fresh:
            await gate.link.catch_up()
        yield gate


async def _hand_in_left_behind(wish: Wish, gate: Gate) -> None:
    """What other gates of this machine left behind goes to the server, as soon as there is a connection."""
    while gate.link.state is not Link.ONLINE:
        await gate.link.state_changed.wait()
    result = HandedIn()
    try:
        with contextlib.suppress(RowlockError, OSError):
            await hand_in_all(wish, result)
    finally:
        gate.link.note(result)


def _say_goodbye(gate: Gate) -> None:
    for conflict in gate.link.conflicts:
        sys.stderr.write(f"rowlock: conflict: {conflict.seat}, let in at {conflict.time:%H:%M:%S}: {conflict.why}\n")
    for complaint in gate.link.complaints:
        sys.stderr.write(f"rowlock: {complaint}\n")
    if gate.link.waiting:
        sys.stderr.write(f"rowlock: {gate.link.waiting} scans wait to be handed in: rowlock gate --hand-in\n")
