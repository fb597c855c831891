"""How answers look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money
from rich.console import Console
from rich.table import Table


def print_json(answer: Message | Iterable[Message]) -> None:
    """Print an answer, or a list of answers, in the JSON of the REST interface."""
    data: Any = MessageToDict(answer) if isinstance(answer, Message) else [MessageToDict(one) for one in answer]
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table as wide as it needs to be; `empty` instead if there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column, no_wrap=True, justify="right" if column in {"free", "of", "price", "total"} else "left"
        )
    for row in rows:
        table.add_row(*row)
    if not table.row_count:
        typer.echo(empty)
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # Whoever reads a pipe wants whole names, whatever width a terminal would have.
        console = Console(highlight=False, markup=False, width=1000)
        lines = console.render_lines(table, pad=False)
        typer.echo("\n".join("".join(segment.text for segment in line).rstrip() for line in lines))
        return
    console.print(table)


def money(amount: Money) -> str:
    """`25.00 EUR`; minor units as the currency has them matter less here than a fixed place of the point."""
    if not amount.currency_code:
        return "free"
    cents = amount.units * 100 + amount.nanos // 10_000_000
    return f"{cents // 100:,}.{cents % 100:02d} {amount.currency_code}"


def local_time(stamp: Timestamp, zone: str = "") -> str:
    """A time as people in the zone say it; without a zone, as this machine's clock says it."""
    return stamp.ToDatetime(UTC).astimezone(_zone(zone)).strftime("%a %d %b %Y %H:%M")


def clock_time(stamp: Timestamp) -> str:
    """A time of today on this machine's clock, to the second."""
    return stamp.ToDatetime(UTC).astimezone().strftime("%H:%M:%S")


def time_left(stamp: Timestamp) -> str:
    """How long until then, such as `14 min 59 s`."""
    seconds = max(0, int((stamp.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()))
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
