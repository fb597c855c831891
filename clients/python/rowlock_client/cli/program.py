"""The commands as a program of their own, for machines without the server."""

from __future__ import annotations

from typing import Annotated

import typer

from rowlock_client.cli import app
from rowlock_client.version import __version__

_HELP = """
Books, pays and watches at a Rowlock server. ROWLOCK_SERVER, or --server, says where it is.
"""


def say_version(wanted: bool) -> None:
    """Print the version and end, if that was asked for."""
    if wanted:
        typer.echo(f"rowlock-client {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and end.", callback=say_version, is_eager=True)
]


def program() -> typer.Typer:
    """All commands, under a name of their own."""
    whole = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    whole.registered_commands += app.registered_commands
    whole.registered_groups += app.registered_groups
    whole.callback()(_root)
    return whole


def _root(version: Version = False) -> None:
    """Carries the options of the program."""
