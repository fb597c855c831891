"""The `rowlock` program: the commands of `server/commands/` and those of the client library."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys

import typer

from server import commands
from server.config import SettingsError
from server.embedded import EmbeddedServerError
from server.start_checks import StartError
from server.supervisor import EXIT_CONFIGURATION, EXIT_UNAVAILABLE

_HELP = """
Rowlock sells seats: every seat is a row, every row has a lock, every screen sees a change at once.

Try it:            rowlock up          everything on this machine, nothing else needed
In a second shell: rowlock events      what is on
                   rowlock sign-up     an account, then: rowlock book, rowlock pay, rowlock tickets
                   rowlock watch       a hall, live in the terminal

Every setting is an environment variable (ROWLOCK_…); docs/configuration.md lists them.
"""

app = typer.Typer(
    name="rowlock",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Carries the help text of the program."""


_root.__doc__ = _HELP


def _merge(other: typer.Typer, panel: str) -> None:
    """Take over the commands and groups of another Typer, under a heading of the help page."""
    for command in other.registered_commands:
        command.rich_help_panel = command.rich_help_panel or panel
        app.registered_commands.append(command)
    for group in other.registered_groups:
        group.rich_help_panel = group.rich_help_panel or panel
        app.registered_groups.append(group)


def _add_commands() -> None:
    """Add every file of `server/commands/` that has a Typer called `app`: `up` first, the others by name."""
    names = sorted((module.name for module in pkgutil.iter_modules(commands.__path__)), key=lambda n: (n != "up", n))
    for name in names:
        found = getattr(importlib.import_module(f"server.commands.{name}"), "app", None)
        if isinstance(found, typer.Typer):
            _merge(found, "Running Rowlock")
    # A machine that only serves may do without the client library.
    if importlib.util.find_spec("rowlock_client.cli"):
        _merge(importlib.import_module("rowlock_client.cli").app, "Using Rowlock")


_add_commands()


def main() -> None:
    """Run the program; a wrong setting or a server that cannot start is told in words, not in a traceback."""
    try:
        app()
    except SettingsError as error:
        sys.stderr.write(f"rowlock: {error}\n")
        sys.exit(EXIT_CONFIGURATION)
    except (EmbeddedServerError, StartError) as error:
        sys.stderr.write(f"rowlock: {error}\n")
        sys.exit(EXIT_UNAVAILABLE)


if __name__ == "__main__":
    main()
