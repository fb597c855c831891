"""The `rowlock` program: the commands of `server/commands/` and those of the client library."""

from __future__ import annotations

import sys

import typer

from server.commands import create_admin, health, migrate, scheduler, serve, up, worker
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

_SERVER = (up, serve, worker, scheduler, migrate, create_admin, health)


def _merge(other: typer.Typer, panel: str) -> None:
    """Take over the commands and groups of another Typer, under a heading of the help page."""
    for command in other.registered_commands:
        command.rich_help_panel = command.rich_help_panel or panel
        app.registered_commands.append(command)
    for group in other.registered_groups:
        group.rich_help_panel = group.rich_help_panel or panel
        app.registered_groups.append(group)


for _module in _SERVER:
    _merge(_module.app, "Running Rowlock")


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
