"""The `rowlock` program: the commands of `server/commands/` and those of the client library."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from typing import Annotated

import typer

from server import commands
from server.config import StartError

_HELP = """
Rowlock sells seats: every seat is a row, every row has a lock, every screen sees a change at once.

rowlock up       everything on this machine; nothing else is needed

In a second shell:

rowlock events   what is on

rowlock sign-up  an account; then book, pay, tickets

rowlock watch    a hall, live in the terminal

Every setting is an environment variable, ROWLOCK_…; docs/configuration.md has them all.
"""


_INTERRUPTED = 130
"""What shells say of a program that Ctrl-C ended."""


def build(command: str | None = None) -> typer.Typer:
    """The program, with all commands, or with only the one of that name if it has a file in `server/commands/`.

    Commands import what they work with, which takes a second or two for all of them together.
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
    app.callback()(_root)
    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    wanted = (command or "").replace("-", "_")
    if wanted in names:
        _merge(app, f"server.commands.{wanted}", "Running Rowlock")
        return app
    if command is None:
        # What a newcomer needs first stands first.
        for name in sorted(names, key=lambda name: (name != "up", name)):
            _merge(app, f"server.commands.{name}", "Running Rowlock")
    # A machine that only serves may do without the client library.
    if importlib.util.find_spec("rowlock_client.cli"):
        _merge(app, "rowlock_client.cli", "Using Rowlock")
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_version())
        raise typer.Exit


def _version() -> str:
    return f"rowlock {importlib.metadata.version('rowlock')}"


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Carries the options of the program."""


def _merge(app: typer.Typer, module: str, panel: str) -> None:
    """Take over the commands and groups of a module's Typer `app`, if it has one, under a heading of the help."""
    found = getattr(importlib.import_module(module), "app", None)
    if not isinstance(found, typer.Typer):
        return
    for command in found.registered_commands:
        command.rich_help_panel = command.rich_help_panel or panel
        app.registered_commands.append(command)
    for group in found.registered_groups:
        group.rich_help_panel = group.rich_help_panel or panel
        app.registered_groups.append(group)


def main() -> None:
    """Run the program; what keeps it from starting is told in words, not in a traceback."""
    first = sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    if sys.argv[1:] == ["--version"]:
        # Without the seconds that all commands take to load.
        print(_version())
        return
    try:
        build(first)()
    except StartError as error:
        sys.stderr.write(f"rowlock: {error}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        # While it was still loading; a command that runs says itself what becomes of it.
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
