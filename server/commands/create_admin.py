"""`rowlock create-admin`: the first administrator, whom nobody else could make."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rowlock.v1.auth_pb2 import SignUpRequest
from server.commands.checking import require_valid
from server.commands.database import reachable_database
from server.config import load_settings
from server.db.engine import Database
from server.domain.accounts import ensure_admin
from server.domain.passwords import PasswordHasher, require_acceptable
from server.errors import InvalidArgument
from server.start_checks import require_schema

app = typer.Typer()


@app.command("create-admin")
def create_admin(
    email: Annotated[str, typer.Option(prompt="E-mail address", help="The address to log in with.")],
    name: Annotated[str, typer.Option(help="The name that others see.")] = "Administrator",
) -> None:
    """Make an administrator, or make one of an existing account.

    The password is asked for, or read as one line from standard input if that is no terminal; it is never an
    argument, which every user of the machine could read.
    """
    asked = SignUpRequest(email=email, display_name=name, password=_password())
    require_valid(asked, {"email": "--email", "display_name": "--name", "password": "password"})
    password = asked.password
    try:
        require_acceptable(password, email=email, display_name=name)
    except InvalidArgument as error:
        raise typer.BadParameter(f"the password {error.fields[0].description}") from None
    with reachable_database(load_settings()) as settings:
        require_schema(settings)
        hasher = PasswordHasher(memory_kib=settings.password_memory // 1024, passes=settings.password_passes)
        password_hash = hasher.hash(password)
        database = Database(settings.database_url, threads=1)
        try:
            made = database.run_transaction(
                lambda session: ensure_admin(session, email=email, display_name=name, password_hash=password_hash)
            )
        finally:
            database.close()
    if made:
        typer.echo(f"{email} is an administrator. Next: rowlock log-in --email {email}")
    else:
        typer.echo(f"{email} had an account and is an administrator now; name and password are as before.")


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
