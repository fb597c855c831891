"""`rowlock mail …` for operators, and the server that catches mails."""

import asyncio
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from server.cli import build
from server.db.engine import Database
from server.embedded.mail_catcher import MailCatcher, free_address
from server.states import NotificationState
from tests.mail_server import MailServer, listening
from tests.mailing import mailroom, person


def run(url: str, *arguments: str) -> Result:
    environment = {"ROWLOCK_DATABASE_URL": url, "ROWLOCK_REDIS_URL": "redis://127.0.0.1:1/0"}
    return CliRunner(env=environment).invoke(build("mail"), ["mail", *arguments])


async def test_operators_see_what_failed_and_send_it_again(fresh_database: Database) -> None:
    url = fresh_database.url
    async with listening(MailServer()) as server, mailroom(fresh_database, server) as room:
        refused, uncertain, waiting = (room.tell(person(fresh_database)) for _ in range(3))
        server.on_recipient = ["550 5.1.1 no such mailbox"]
        server.on_data = ["forget"]
        for told in (refused, uncertain):
            room.execute(
                "UPDATE notifications SET next_attempt_time = clock_timestamp() + interval '1h' WHERE state = 1"
            )
            room.execute("UPDATE notifications SET next_attempt_time = clock_timestamp() WHERE id = :id", id=told)
            await room.send()
        room.make_due()

        shown = await asyncio.to_thread(run, url, "status")
        assert shown.exit_code == 0
        assert "waiting    1, the oldest since " in shown.output
        assert "failed     2, 1 of them perhaps sent all the same" in shown.output
        assert f"notifications/{refused}  password_changed" in shown.output
        assert "550 5.1.1 no such mailbox" in shown.output

        assert (await asyncio.to_thread(run, url, "retry")).exit_code == 2
        assert "1 mails" in (await asyncio.to_thread(run, url, "retry", "--uncertain")).output
        assert room.row(refused).state is NotificationState.FAILED
        assert "1 mails" in (await asyncio.to_thread(run, url, "retry", f"notifications/{refused}")).output
        assert (await asyncio.to_thread(run, url, "retry", f"notifications/{waiting}")).exit_code == 1
        await room.send()
        assert {room.row(told).state for told in (refused, uncertain, waiting)} == {NotificationState.SENT}
        assert "failed     0" in (await asyncio.to_thread(run, url, "status")).output


def test_every_mail_can_be_looked_at(tmp_path: Path) -> None:
    done = CliRunner().invoke(build("mail"), ["mail", "preview", "--folder", str(tmp_path / "shown")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "shown" / "index.html").read_text()
    assert "Your tickets: A Midsummer Night&#x27;s Dream" in page
    assert "booking_confirmed.html" in page


async def test_the_catcher_keeps_mails_as_files(fresh_database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    catcher = MailCatcher(folder)
    server = await asyncio.get_running_loop().create_server(catcher.session, "127.0.0.1", 0)
    url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, mailroom(fresh_database, MailServer(), smtp_url=url) as room:
        for email in ("ada@example.org", "jörg@example.org"):
            room.tell(person(fresh_database, email))
        await room.send()
        assert set(room.states()) == {NotificationState.SENT}

    kept = sorted(folder.glob("*.eml"))
    assert len(kept) == 2
    assert all("your-password-was-changed" in file.name for file in kept)
    assert any("jörg@example.org" in file.read_text() for file in kept)


def test_a_free_address_is_free() -> None:
    host, _, port = free_address().rpartition(":")
    with socket.create_server((host, int(port))):
        pass


@pytest.mark.parametrize("name", ["nothing", "notifications/1"])
def test_what_is_no_mail_cannot_be_sent_again(fresh_database: Database, name: str) -> None:
    assert run(fresh_database.url, "retry", name).exit_code == 2
