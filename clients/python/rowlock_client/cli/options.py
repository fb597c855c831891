"""What the commands have in common: the server, the output, how refusals are told."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn, ParamSpec

import typer

from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET, Tls
from rowlock_client.errors import InvalidArgument, PermissionDenied, RowlockError, Unauthenticated, Unavailable
from rowlock_client.retrying import RetryPolicy
from rowlock_client.token_file import TokenFile
from rowlock_client.tokens import MemoryStore, TokenStore

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 69
EXIT_NOT_ALLOWED: Final = 77

TOKEN_FILE_VARIABLE: Final = "ROWLOCK_TOKEN_FILE"  # noqa: S105 - the name of a variable
API_KEY_VARIABLE: Final = "ROWLOCK_API_KEY"
PATIENCE: Final = RetryPolicy(patience=3.0)
"""Somebody waits at a terminal: better a word than a long silence."""

Server = Annotated[
    str,
    typer.Option(
        "--server", "-s", envvar="ROWLOCK_SERVER", metavar="HOST:PORT", help="Where the server is. Several by commas."
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="ROWLOCK_SERVER_CA_FILE",
        exists=True,
        dir_okay=False,
        help="Encrypt, and trust the certificates of this PEM file.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON, for programs.")]

P = ParamSpec("P")


def connect(server: str = DEFAULT_TARGET, ca: Path | None = None) -> Client:
    """A client that uses the tokens of the last `rowlock log-in` at this server."""
    return Client(server, tls=tls_of(ca), store=token_store(server), api_key=api_key(), retry=PATIENCE)


def tls_of(ca: Path | None) -> Tls | None:
    """How to encrypt; None: not."""
    return None if ca is None else Tls(ca_file=ca)


def api_key() -> str:
    """The key of a device, from the environment only: other users of the machine could read an argument."""
    return os.environ.get(API_KEY_VARIABLE, "")


def token_store(server: str) -> TokenStore:
    """Where this command's tokens are: in the file of the last log-in; a device's key neither reads nor changes it."""
    return MemoryStore() if api_key() else token_file(server)


def token_file(server: str) -> TokenFile:
    """Where the tokens for a server are: in the user's configuration folder, or where ROWLOCK_TOKEN_FILE says."""
    given = os.environ.get(TOKEN_FILE_VARIABLE)
    return TokenFile(Path(given) if given else Path(typer.get_app_dir("rowlock")) / "tokens.json", server)


class Failure(Exception):
    """Ends a command with one line on standard error, and an exit status."""

    def __init__(self, message: str, status: int = EXIT_REFUSED) -> None:
        super().__init__(message)
        self.status = status


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command tell refusals as one clear line, and end with the exit status that fits."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Failure as failure:
            _end(str(failure), failure.status)
        except RowlockError as error:
            _end(_words(error), _exit_status(error))
        except (ValueError, OSError) as error:
            _end(str(error), EXIT_USAGE)

    return run


def _end(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"rowlock: {message}\n")
    raise typer.Exit(status)


def _exit_status(error: RowlockError) -> int:
    if isinstance(error, Unavailable):
        return EXIT_UNAVAILABLE
    if isinstance(error, Unauthenticated | PermissionDenied):
        return EXIT_NOT_ALLOWED
    return EXIT_USAGE if isinstance(error, InvalidArgument) else EXIT_REFUSED


def _words(error: RowlockError) -> str:
    """The error as one line, with what to do about it where that is known."""
    text = str(error)
    if isinstance(error, Unavailable) and not error.reason:
        text = f"no answer from the server: {error.message}. Is it running (rowlock up), and is --server right?"
    elif error.field_violations and len(error.field_violations) > 1:
        faults = "; ".join(f"{fault.field}: {fault.description}" for fault in error.field_violations)
        text = f"{faults} ({error.reason})"
    elif error.reason in {"TOKEN_MISSING", "TOKEN_REVOKED", "TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "TOKEN_INVALID"}:
        text += ". Log in first: rowlock log-in, or rowlock sign-up for an account"
    elif error.reason in {"ADMISSION_REQUIRED", "ADMISSION_EXPIRED", "ADMISSION_USED"}:
        text += ". Stand in line: rowlock queue watch"
    elif error.metadata.get("seats") and error.metadata["seats"] not in error.message:
        text += f": {error.metadata['seats']}"
    return " ".join(text.split())
