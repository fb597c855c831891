"""`rowlock queue`: stand in the line before a sale; and, for staff, open one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from rowlock.v1.waiting_room_pb2 import QueueEntry, WaitingRoom
from rowlock_client import aio
from rowlock_client.cli.naming import performance_name
from rowlock_client.cli.options import (
    EXIT_USAGE,
    PATIENCE,
    CaFile,
    Failure,
    Json,
    Server,
    api_key,
    connect,
    tls_of,
    token_store,
    told,
)
from rowlock_client.cli.output import clock_time, local_time, print_json, time_left
from rowlock_client.cli.queue_file import EntryFile, Kept
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Stand in the line before a sale: join, watch, show, leave, room, set.")

PerformanceName = Annotated[
    str, typer.Argument(metavar="[PERFORMANCE]", help="The performance; without one: the next.")
]


class Order(StrEnum):
    """In which order customers are admitted."""

    FIRST_COME = "first-come"
    DRAW = "draw"


@app.command()
@told
def join(
    performance: PerformanceName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Take a place in line, or get back the one that you have. Then: rowlock queue watch."""
    with connect(server, ca) as client:
        entry = joined(client, kept_places(client, server), performance_name(client, performance))
    show_entry(entry, as_json=as_json)


@app.command()
@told
def watch(
    performance: PerformanceName = "",
    *,
    seconds: Annotated[float, typer.Option(min=0, help="End after so many seconds; 0: when it is your turn.")] = 0.0,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Join, and watch your place until it is your turn. Then: rowlock book, which shows the admission for you."""
    with connect(server, ca) as client:
        entry = joined(client, kept_places(client, server), performance_name(client, performance))

    async def follow() -> None:
        async with aio.Client(
            server, tls=tls_of(ca), store=token_store(server), api_key=api_key(), retry=PATIENCE
        ) as watching:
            async for one in watching.watch_queue_entry(entry.name):
                show_entry(one, as_json=as_json)
                if one.state != QueueEntry.WAITING:
                    return

    async def follow_for_a_while() -> None:
        try:
            async with asyncio.timeout(seconds or None):
                await follow()
        except TimeoutError:
            return

    asyncio.run(follow_for_a_while())


@app.command()
@told
def show(
    performance: PerformanceName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Show your place in line."""
    with connect(server, ca) as client:
        entry = client.queue_entry(_kept(kept_places(client, server), performance_name(client, performance)).name)
    show_entry(entry, as_json=as_json)


@app.command()
@told
def leave(
    performance: PerformanceName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Give your place in line up, or your admission."""
    with connect(server, ca) as client:
        file, name = kept_places(client, server), performance_name(client, performance)
        entry = client.leave_queue(_kept(file, name).name)
        file.forget(name)
    show_entry(entry, as_json=as_json)


@app.command()
@told
def room(
    performance: PerformanceName = "", server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False
) -> None:
    """Show a performance's waiting room: whether it is on, how many wait, when the next are admitted."""
    with connect(server, ca) as client:
        found = client.waiting_room(performance_name(client, performance))
    show_room(found, as_json=as_json)


@app.command("set")
@told
def set_room(
    performance: PerformanceName = "",
    *,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether booking needs an admission.")] = None,
    admit: Annotated[int, typer.Option(min=0, max=10_000, help="So many customers at a time; 0: unchanged.")] = 0,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two admissions; 0: unchanged.")] = 0.0,
    valid: Annotated[float, typer.Option(min=0, help="Seconds that an admission is valid; 0: unchanged.")] = 0.0,
    at_once: Annotated[
        int | None, typer.Option(min=0, help="So many customers shopping at once; 0: any number.")
    ] = None,
    order: Annotated[Order | None, typer.Option(help="Whoever comes first, or by a draw before the opening.")] = None,
    opens: Annotated[
        datetime | None, typer.Option(help="When the first are admitted, in UTC. Without: when the sale starts.")
    ] = None,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Change a waiting room; what you leave out stays as it is. Staff.

    rowlock queue set performances/1 --on --admit 50 --every 60

    rowlock queue set performances/1 --order draw --opens 2027-03-01T09:00:00
    """
    new = WaitingRoom()
    paths: list[str] = []
    if on is not None:
        new.enabled = on
        paths.append("enabled")
    if admit:
        new.admit_count = admit
        paths.append("admit_count")
    for seconds, field in ((every, "admit_interval"), (valid, "admission_duration")):
        if seconds:
            getattr(new, field).FromTimedelta(timedelta(seconds=seconds))
            paths.append(field)
    if at_once is not None:
        if at_once:
            new.shopping_limit = at_once
        paths.append("shopping_limit")
    if order is not None:
        new.order = WaitingRoom.Order.Value(order.name)
        paths.append("order")
    if opens is not None:
        new.open_time.FromDatetime(opens.replace(tzinfo=UTC))
        paths.append("open_time")
    if not paths:
        raise Failure("say what to change, such as --on or --admit 50; rowlock queue set --help lists it", EXIT_USAGE)
    with connect(server, ca) as client:
        new.name = f"{performance_name(client, performance)}/waitingRoom"
        changed = client.update_waiting_room(new, *paths)
    show_room(changed, as_json=as_json)


def kept_places(client: Client, server: str) -> EntryFile:
    """Where the places of whoever is logged in are kept."""
    return EntryFile(server, client.tokens.user if client.tokens is not None else "")


def joined(client: Client, file: EntryFile, performance: str) -> QueueEntry:
    """A place in line, kept for the commands that follow; a lost one is restored from its ticket."""
    kept = file.find(performance)
    entry = client.join_queue(performance, entry_token=kept.entry_token if kept is not None else "")
    file.keep(performance, Kept(entry.name, entry.entry_token))
    return entry


def admission_of(client: Client, server: str, performance: str) -> str:
    """The admission token that `rowlock queue` has got for a performance; empty: none."""
    kept = kept_places(client, server).find(performance)
    if kept is None:
        return ""
    try:
        return client.queue_entry(kept.name).admission_token
    except NotFound:
        return ""


def _kept(file: EntryFile, performance: str) -> Kept:
    kept = file.find(performance)
    if kept is None:
        raise Failure(f"you have no place in the line for {performance}. See: rowlock queue join")
    return kept


def show_entry(entry: QueueEntry, *, as_json: bool = False) -> None:
    """Print a place in line, and what to do next."""
    if as_json:
        print_json(entry)
        return
    if entry.state == QueueEntry.WAITING:
        wait = f", about {_length(entry.estimated_wait.ToTimedelta())}" if entry.HasField("estimated_wait") else ""
        place = f"number {entry.position} in line" if entry.position else "in the draw, which is made at the opening"
        typer.echo(f"You are {place}{wait}.")
    elif entry.state == QueueEntry.ADMITTED:
        until = entry.admission_expire_time
        typer.echo(f"It is your turn, until {clock_time(until)}, for {time_left(until)}. Next: rowlock book")
    else:
        typer.echo(f"Your place is {QueueEntry.State.Name(entry.state).lower()}. {entry.booking}".rstrip())


def show_room(room: WaitingRoom, *, as_json: bool = False) -> None:
    """Print a waiting room."""
    if as_json:
        print_json(room)
        return
    typer.echo(f"{room.name} is {'on' if room.enabled else 'off'}")
    typer.echo(f"  {room.waiting_count} wait, {room.shopping_count} are shopping")
    most = f", at most {room.shopping_limit} shopping at once" if room.HasField("shopping_limit") else ""
    typer.echo(
        f"  {room.admit_count} every {_length(room.admit_interval.ToTimedelta())}{most}; "
        f"an admission is valid for {_length(room.admission_duration.ToTimedelta())}"
    )
    if room.HasField("next_admit_time"):
        typer.echo(f"  the next are admitted at {local_time(room.next_admit_time)}")
    if room.order == WaitingRoom.DRAW:
        typer.echo(f"  by a draw; SHA-256 of its seed: {room.draw_commitment}")
        if room.draw_seed:
            typer.echo(f"  the seed: {room.draw_seed}")


def _length(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
