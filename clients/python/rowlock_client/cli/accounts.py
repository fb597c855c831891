"""`rowlock sign-up`, `log-in`, `log-out`, `whoami`, `verify`, `reset-password`, `password`."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Final

import typer

from rowlock.v1.auth_pb2 import Role
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import print_json
from rowlock_client.connecting import DEFAULT_TARGET

app = typer.Typer()

_CODE: Final = re.compile(r"[A-Za-z0-9_-]{20,128}$")

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
def log_out(
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End your sessions on every other machine, too.")
    ] = False,
) -> None:
    """End the session, here and on the server.

    With --everywhere all your sessions end, wherever you are logged in: do it when a machine was lost.
    """
    with connect(server, ca) as client:
        if client.tokens is None:
            typer.echo("You were not logged in.")
            return
        if everywhere:
            ended = client.log_out_everywhere()
            typer.echo(f"Logged out everywhere: {ended} session{'' if ended == 1 else 's'} ended.")
            return
        client.log_out()
    typer.echo("Logged out.")


@app.command()
@told
def verify(
    code: Annotated[str, typer.Argument(help="The code in the mail, or the link with it.")] = "",
    resend: Annotated[str, typer.Option(metavar="EMAIL", help="Mail another code to this address instead.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Show that your e-mail address is yours, by the code that was mailed to it when you signed up.

    A code works once, for 24 hours. A house may ask for this before seats are held.
    """
    with connect(server, ca) as client:
        if resend:
            client.resend_verification(resend)
            typer.echo(f"If {resend} has an account that is not verified yet, a mail is on its way.")
            return
        client.verify_email(_code(code or str(typer.prompt("Code"))))
    typer.echo("Your e-mail address is verified.")


@app.command("reset-password")
@told
def reset_password(
    email: Annotated[str, typer.Option(help="Have a code mailed to this address.")] = "",
    code: Annotated[str, typer.Option(help="The code in the mail, or the link with it: set a new password.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Set a new password when the old one is forgotten: first with --email, then with --code.

    The code works once, for 20 minutes. The new password is asked for, or read as one line from standard input. All
    your sessions end.
    """
    with connect(server, ca) as client:
        if code:
            client.confirm_password_reset(_code(code), _password("New password", confirm=True))
            typer.echo("Your password is set. Next: rowlock log-in")
            return
        email = email or str(typer.prompt("E-mail address"))
        client.request_password_reset(email)
    typer.echo(f"If {email} has an account, a mail is on its way. Next: rowlock reset-password --code …")


@app.command()
@told
def password(server: Server = DEFAULT_TARGET, ca: CaFile = None) -> None:
    """Change your password. All your sessions end, but you are logged in again here.

    The present password and the new one are asked for, or read as two lines from standard input.
    """
    with connect(server, ca) as client:
        email = client.me().email
        current = _password("Present password")
        new = _password("New password", confirm=True)
        client.change_password(current, new)
        client.log_in(email, new)
    typer.echo("Your password is changed, and you are logged in again.")


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


def _password(prompt: str = "Password", *, confirm: bool = False) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm))
    return sys.stdin.readline().rstrip("\r\n")


def _code(text: str) -> str:
    """A code as people copy it: alone, or with the link that it stands in."""
    found = _CODE.search(text.strip())
    if found is None:
        raise Failure("this is no code: copy it from the mail", EXIT_USAGE)
    return found[0]
