"""`rowlock watch`: a hall, live in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from rowlock.v1.seat_map_pb2 import SeatState
from rowlock_client import aio, calls
from rowlock_client.aio.seats import SeatWatcher
from rowlock_client.cli.hall_screen import Feed, HallScreen
from rowlock_client.cli.naming import performance_name, title_of
from rowlock_client.cli.options import PATIENCE, CaFile, Json, Server, api_key, connect, tls_of, token_store, told
from rowlock_client.cli.terminal import Keyboard, KeyReader, ended_by_signals
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
    """Draw a hall and every change of it, within milliseconds. Needs a log-in; q or Ctrl-C ends it.

    Keys: + and - go nearer and farther, arrows move, 0 shows all, Tab goes through places, sections and prices.
    ○ is free, ◐ held, ● sold, × blocked; where places have no character of their own they are dots, or, in a hall
    too large even for that, its sections are listed. NO_COLOR is heeded.

    Outlives restarts of the server: it goes on from where it was. With --json it prints one line for each update.
    """
    with connect(server, ca) as client:
        name = performance_name(client, performance)
        about = client.performance(name)
        types = [one for page in client.pages(calls.ticket_types(name)) for one in page.ticket_types]
        # https://no-color.org: set and not empty. A picture in a file has colours all the same.
        colours = svg is not None or not os.environ.get("NO_COLOR")
        title = f"{title_of(about)}   {about.name}"
        screen = HallScreen(title, client.seat_map(name), types, colours=colours)
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
    """Show what happens until the time is over, or somebody ends it."""
    ended = ended_by_signals()
    tasks = [asyncio.create_task(_listen(watcher, screen, wish)), asyncio.create_task(ended.wait())]
    drawing = asyncio.create_task(_draw(watcher, screen, wish, ended)) if wish.live else None
    try:
        limit = None if wish.seconds == float("inf") else wish.seconds
        watched = [*tasks, drawing] if drawing is not None else tasks
        done, _ = await asyncio.wait(watched, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, drawing):
            if task is not None:
                task.cancel()
        await asyncio.wait([*tasks, drawing] if drawing is not None else tasks)
    for task in done:
        task.result()


async def _listen(watcher: SeatWatcher, screen: HallScreen, wish: Wish) -> None:
    async for update in watcher:
        _say(screen, watcher, update, wish)


async def _draw(watcher: SeatWatcher, screen: HallScreen, wish: Wish, ended: asyncio.Event) -> None:
    """Draw at a steady pace whatever changed, however much that is, and at once what a key asked for."""
    shown: object = None
    with contextlib.ExitStack() as stack:
        keyboard = stack.enter_context(Keyboard()) if sys.stdin.isatty() else None
        live = stack.enter_context(Live(screen=True, auto_refresh=False))
        reader = KeyReader()
        while not ended.is_set():
            size = wish.size or live.console.size
            feed = _feed(watcher)
            looks = (*screen.looks_like(feed), size)
            if looks != shown:
                picture = screen.draw(watcher.view, (size[0], size[1]), feed, keys=keyboard is not None)
                live.update(picture, refresh=True)
                shown = looks
            if keyboard is None:
                await asyncio.sleep(_FRAME_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FRAME_SECONDS):
                    _press(reader, await keyboard.chunks.get(), screen, ended)


def _press(reader: KeyReader, data: bytes, screen: HallScreen, ended: asyncio.Event) -> None:
    keys = reader.feed(data)
    if not data or not {"q", "Q", "ctrl-c", "ctrl-d"}.isdisjoint(keys):
        ended.set()  # no data: the terminal has gone
    for key in keys:
        screen.press(key)


def _feed(watcher: SeatWatcher) -> Feed:
    return Feed(watcher.state, watcher.connections, time.monotonic() - watcher.heard)


def _say(screen: HallScreen, watcher: SeatWatcher, update: SeatUpdate, wish: Wish) -> None:
    screen.note(update, watcher.connections)
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
            size = wish.size or console.size
            console.print(screen.draw(watcher.view, (size[0], size[1])))
        return
    columns, lines = wish.size or Console().size
    console = Console(
        record=True, width=columns, force_terminal=True, color_system="truecolor", file=io.StringIO(), highlight=False
    )
    console.print(screen.draw(watcher.view, (columns, lines)))
    wish.svg.write_text(console.export_svg(title=f"rowlock watch {watcher.performance}"), encoding="utf-8")
    typer.echo(f"Saved {wish.svg}.")


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
