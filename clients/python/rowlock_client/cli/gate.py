"""`rowlock gate`: a gate in a terminal, for scanners that type."""

from __future__ import annotations

import asyncio
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from rowlock.v1.performance_pb2 import Performance
from rowlock_client.cli.gate_hand_in import HandedIn
from rowlock_client.cli.gate_session import Wish, hand_in_all, is_away, work
from rowlock_client.cli.gate_store import open_stores
from rowlock_client.cli.naming import PERFORMANCE, title_of
from rowlock_client.cli.options import EXIT_REFUSED, EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.errors import RowlockError

app = typer.Typer()

_CHOICES: Final = 50
_BEFORE: Final = timedelta(hours=12)
_AHEAD: Final = timedelta(days=2)
_PLACE_CHARACTERS: Final = 100
_HELP: Final = """
Let people in by a scanner that types: it scans, the answer stands there. No other key is needed.

\b
  rowlock gate                        choose the performance
  rowlock gate hamlet --gate North    by its title; the gate has a name
  ROWLOCK_API_KEY=… rowlock gate 1    a device with a key of the role GATE
  rowlock gate 1 --plain < codes      a line in, a line out

ADMITTED is green with ✓ and rings the bell once; a refusal is vermilion with ✗ and rings three times; what
staff should look at is yellow with ▲ and rings twice. Ctrl-Z takes the last admission back, for staff. Ctrl-C ends.

When the server cannot be reached, the gate goes on by itself with the signed list of tickets that it keeps
on disk, keeps its scans there, too, and hands them in when the connection is back. People whom two gates let
in with one ticket meanwhile are shown as conflicts then. Nothing is lost if the gate is killed.

With --plain each line is answered by OK, NO or ASK, and what it is; status 1 says that somebody was not let in.
"""


@app.command(help=_HELP)
@told
def gate(
    performance: Annotated[
        str, typer.Argument(help="Whom to let in: performances/1, 1, or words of the title. Without: choose.")
    ] = "",
    *,
    name: Annotated[
        str, typer.Option("--gate", "-g", metavar="NAME", help="How this gate is called. Without: this machine's name.")
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not use the server, only the list that this gate fetched before.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="No screen: a line in, a line out. So it is without a terminal, too.")
    ] = False,
    hand_in_only: Annotated[
        bool, typer.Option("--hand-in", help="Only hand in what gates of this machine did without a connection.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Without the bell.")] = False,
    patience: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to wait for the server before the list decides.")
    ] = 3.0,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Let people in."""
    plain = plain or as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    wish = Wish(
        performance="" if hand_in_only else _chosen(performance, server, ca, offline=offline, ask=not plain),
        place=_place(name),
        offline=offline,
        plain=plain,
        quiet=quiet,
        patience=patience,
        as_json=as_json,
        server=server,
        ca=ca,
    )
    if hand_in_only:
        _hand_in(wish)
    elif not asyncio.run(work(wish)):
        raise typer.Exit(EXIT_REFUSED)


def _place(given: str) -> str:
    place = given or socket.gethostname()
    if len(place) > _PLACE_CHARACTERS or not place.isprintable():
        raise Failure(f"--gate: give one line of at most {_PLACE_CHARACTERS} characters", EXIT_USAGE)
    return place


def _hand_in(wish: Wish) -> None:
    result = HandedIn()
    count = asyncio.run(hand_in_all(wish, result))
    typer.echo(f"{count} scans were handed in, {len(result.conflicts)} of them conflicts.")
    for scan, why in result.refused:
        sys.stderr.write(f"rowlock: the scan of {scan.time.astimezone():%H:%M:%S} was not taken: {why}\n")


def _chosen(given: str, server: str, ca: Path | None, *, offline: bool, ask: bool) -> str:
    """Which performance was meant: `performances/1`, `1`, or words of its title."""
    if given.isdecimal():
        return f"performances/{given}"
    if PERFORMANCE.fullmatch(given):
        return given
    known, where = _to_come(given, server, ca, offline=offline)
    if not known:
        what = f"no performance with {given!r} in its title" if given else "no performance"
        raise Failure(f"there is {what} {where}; give its name, such as performances/1")
    if len(known) == 1:
        return known[0].name
    if not ask:
        raise Failure("which performance? " + "; ".join(f"{one.name} {title_of(one)}" for one in known), EXIT_USAGE)
    for row, one in enumerate(known, start=1):
        typer.echo(f"{row:3}  {title_of(one)}   {one.name}")
    if len(known) == _CHOICES:
        typer.echo("     … and maybe more: rowlock gate WORDS-OF-THE-TITLE")
    while True:
        number: int = typer.prompt("Which performance", type=int, default=1)
        if 1 <= number <= len(known):
            return known[number - 1].name


def _to_come(text: str, server: str, ca: Path | None, *, offline: bool) -> tuple[list[Performance], str]:
    """The performances of these days with the text in their title, and where they were looked for."""
    if not offline:
        now = datetime.now(UTC)
        try:
            with connect(server, ca) as client:
                found = client.performances(text=text, start=now - _BEFORE, before=now + _AHEAD, page_size=_CHOICES)
            return list(found.performances), "from today to the day after tomorrow"
        except RowlockError as error:
            if not is_away(error):
                raise
    kept: dict[str, Performance] = {}
    for store in open_stores(server):
        facts = store.load()
        if facts is not None and text.casefold() in facts.performance.event_title.casefold():
            kept[facts.performance.name] = facts.performance
    newest_first = sorted(kept.values(), key=lambda one: one.start_time.seconds, reverse=True)
    return newest_first, "that a gate of this machine has a list of"
