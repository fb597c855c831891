"""`rowlock sign-up`, `log-in`, `log-out`, `whoami`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rowlock.v1.auth_pb2 import Role
from rowlock_client.cli.options import CaFile, Json, Server, connect, told
from rowlock_client.cli.output import print_json
from rowlock_client.connecting import DEFAULT_TARGET

app = typer.Typer()

Email = Annotated[str, typer.Option(prompt="E-mail address", help="The address of the account.")]


@app.command("sign-up")
@told
def sign_up(
    email: Email,
    name: Annotated[str, typer.Option(prompt="Your name", help="How you wish to be called.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Open an account and log in.

    The password (8 to 128 characters) is asked for, or read as one line from standard input if that is no terminal.
    """
    password = _password(confirm=True)
    with connect(server, ca) as client:
        client.sign_up(email, password, name)
        # The answer is the same for an address that had an account: then only its own password logs in.
        user = client.log_in(email, password).user
    typer.echo(f"Welcome, {user.display_name}. You are logged in. Next: rowlock events")


@app.command("log-in")
@told
def log_in(email: Email, server: Server = DEFAULT_TARGET, ca: CaFile = None) -> None:
    """Log in. The tokens are kept in a file that only you can read, and renewed by themselves for 30 days.

    The password is asked for, or read as one line from standard input if that is no terminal. The file is
    tokens.json in your configuration folder, or what ROWLOCK_TOKEN_FILE names.
    """
    password = _password()
    with connect(server, ca) as client:
        user = client.log_in(email, password).user
    typer.echo(f"Logged in as {user.display_name} ({_role(user.role)}).")


@app.command("log-out")
@told
def log_out(server: Server = DEFAULT_TARGET, ca: CaFile = None) -> None:
    """End the session, here and on the server."""
    with connect(server, ca) as client:
        if client.tokens is None:
            typer.echo("You were not logged in.")
            return
        client.log_out()
    typer.echo("Logged out.")


@app.command()
@told
def whoami(server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False) -> None:
    """Say who is logged in."""
    with connect(server, ca) as client:
        user = client.me()
    if as_json:
        print_json(user)
    else:
        typer.echo(f"{user.display_name} <{user.email}>, {_role(user.role)}, {user.name}")


def _role(role: Role.ValueType) -> str:
    return Role.Name(role).removeprefix("ROLE_").lower()


def _password(*, confirm: bool = False) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm))
    return sys.stdin.readline().rstrip("\r\n")
