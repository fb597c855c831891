"""`rowlock watch`: a hall, live in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console, Group
from rich.live import Live

from rowlock.v1.seat_map_pb2 import SeatState
from rowlock_client import aio
from rowlock_client.aio.seats import SeatWatcher
from rowlock_client.aio.stream import StreamState
from rowlock_client.cli.hall_screen import HallScreen
from rowlock_client.cli.naming import performance_name, title_of
from rowlock_client.cli.options import PATIENCE, CaFile, Json, Server, api_key, connect, tls_of, token_store, told
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.retrying import RetryPolicy
from rowlock_client.seat_view import SeatUpdate

app = typer.Typer()

_FRAME_SECONDS: Final = 0.2
_SIZE: Final = re.compile(r"(\d{2,3})x(\d{2,3})")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    live: bool
    seconds: float
    size: tuple[int, int] | None
    svg: Path | None
    as_json: bool


@app.command()
@told
def watch(
    performance: Annotated[str, typer.Argument(help="The performance; without one: the next.")] = "",
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    seconds: Annotated[float, typer.Option(min=0, help="End after so many seconds; 0: at Ctrl-C.")] = 0.0,
    svg: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Save the last picture to this file, and end.")
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="COLUMNSxLINES", help="How large to draw; without: as large as the terminal.")
    ] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Draw a hall and every change of it, within milliseconds. Needs a log-in; Ctrl-C ends it.

    Outlives restarts of the server: it goes on from where it was. With --json it prints one line for each update.
    """
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        about = client.performance(name)
        screen = HallScreen(f"{title_of(about)}   {about.name}", client.seat_map(name))
    still = once or (svg is not None and not seconds)
    live = not still and not as_json and sys.stdout.isatty()
    # Where nobody can see it move, one picture is all there is to show, unless a time was given to wait.
    stop_at_once = still or (not live and not as_json and not seconds)
    wish = Wish(live, 0.0 if stop_at_once else seconds or float("inf"), _parse(size), svg, as_json)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(name, screen, wish, server, ca))


async def _watch(performance: str, screen: HallScreen, wish: Wish, server: str, ca: Path | None) -> None:
    tls, store, key = tls_of(ca), token_store(server), api_key()
    async with aio.Client(server, tls=tls, store=store, api_key=key, retry=PATIENCE) as client:
        # Who watches on waits for a server that is away; who wants one picture does not.
        retry = RetryPolicy() if wish.seconds else PATIENCE
        async with client.watch_seats(performance, retry=retry) as watcher:
            first = await anext(watcher)
            _say(screen, watcher, first, wish)
            if wish.seconds:
                await _follow(watcher, screen, wish)
            _end(watcher, screen, wish)


async def _follow(watcher: SeatWatcher, screen: HallScreen, wish: Wish) -> None:
    """Show what happens until the time is over."""
    drawing = asyncio.create_task(_draw(watcher, screen, wish)) if wish.live else None
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wish.seconds == float("inf") else wish.seconds):
                async for update in watcher:
                    _say(screen, watcher, update, wish)
    finally:
        if drawing is not None:
            drawing.cancel()
            await asyncio.wait([drawing])


async def _draw(watcher: SeatWatcher, screen: HallScreen, wish: Wish) -> None:
    """Draw at a steady pace whatever changed, however much that is."""
    shown: object = None
    with Live(screen=True, auto_refresh=False) as live:
        while True:
            size = wish.size or live.console.size
            looks = (*screen.looks_like(watcher.state), size)
            if looks != shown:
                live.update(_picture(watcher, screen, watcher.state, size), refresh=True)
                shown = looks
            await asyncio.sleep(_FRAME_SECONDS)


def _say(screen: HallScreen, watcher: SeatWatcher, update: SeatUpdate, wish: Wish) -> None:
    screen.note(update)
    if wish.as_json:
        typer.echo(json.dumps(_as_dict(screen, watcher, update)))


def _as_dict(screen: HallScreen, watcher: SeatWatcher, update: SeatUpdate) -> dict[str, object]:
    counts = watcher.view.counts
    return {
        "time": time.time(),
        "revision": update.revision,
        "snapshot": update.snapshot,
        "counts": {
            "available": counts.available,
            "held": counts.held,
            "sold": counts.sold,
            "blocked": counts.blocked,
        },
        "changes": [
            {
                "seat": screen.seat_id(change.index),
                "index": change.index,
                "state": SeatState.Name(SeatState.ValueType(change.after)).removeprefix("SEAT_STATE_"),
            }
            for change in update.changes
        ],
    }


def _end(watcher: SeatWatcher, screen: HallScreen, wish: Wish) -> None:
    """Print or save the last picture."""
    if wish.as_json:
        return
    if wish.svg is None:
        if not wish.live:
            console = Console(highlight=False)
            console.print(_picture(watcher, screen, StreamState.LIVE, wish.size or console.size))
        return
    columns, lines = wish.size or Console().size
    console = Console(
        record=True, width=columns, force_terminal=True, color_system="truecolor", file=io.StringIO(), highlight=False
    )
    console.print(_picture(watcher, screen, StreamState.LIVE, (columns, lines)))
    wish.svg.write_text(console.export_svg(title=f"rowlock watch {watcher.performance}"), encoding="utf-8")
    typer.echo(f"Saved {wish.svg}.")


def _picture(watcher: SeatWatcher, screen: HallScreen, state: StreamState, size: tuple[int, int]) -> Group:
    return screen.draw(watcher.view, state, (size[0], size[1]), connections=watcher.connections)


def _parse(size: str) -> tuple[int, int] | None:
    """`120x40` as two numbers; nothing as None.

    Raises:
        ValueError: it is neither.
    """
    if not size:
        return None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"--size {size}: give columns and lines, such as 120x40")
    return int(match[1]), int(match[2])
