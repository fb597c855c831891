"""kill -9 of a worker between any two of its statements: no mail is lost, none is sent twice by itself.

Where nobody can know whether the mail server took one, it is not guessed: staff see it, and decide.
"""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.config import Settings
from server.db.engine import Database
from server.domain.notification_queue import UNCERTAIN, retry
from server.states import NotificationState
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.mail_server import MailServer, listening
from tests.mailing import Mailroom, mailroom, person
from tests.struck_workers import Workers, Workshop

pytestmark = pytest.mark.fault

WHILE_THE_SERVER_CANNOT_HAVE_IT = [
    "mail was taken up",
    "mail server waits for the text",
    "mail is marked as handed over, not committed",
]


@pytest.fixture
async def post(database: Database) -> AsyncIterator[Mailroom]:
    async with listening(MailServer()) as server, mailroom(database, server) as room:
        room.execute("DELETE FROM notifications")
        yield room
        assert_sound(database)


@pytest.fixture
def workers(workshop: Workshop, settings: Settings, post: Mailroom) -> Workers:
    return Workers(workshop, settings).with_settings(smtp_url=post.server.url)


async def another_takes_over(post: Mailroom) -> None:
    """The dead worker's lease runs out, and another works."""
    post.make_due()
    await post.send()


@pytest.mark.promise("4.3")
@pytest.mark.parametrize("point", WHILE_THE_SERVER_CANNOT_HAVE_IT)
async def test_killed_before_the_handover_the_mail_is_sent_by_another(
    post: Mailroom, workers: Workers, point: str
) -> None:
    told = post.tell(person(post.database))

    await workers.die(point)
    assert post.server.mails == []
    assert post.row(told).state is NotificationState.QUEUED
    await another_takes_over(post)

    assert post.row(told).state is NotificationState.SENT
    assert len(post.server.mails) == 1


@pytest.mark.promise("4.3")
@pytest.mark.parametrize(
    ("point", "taken"),
    [
        ("mail was marked as handed over", 0),
        ("mail server has answered", 1),
        ("mail is written down as sent, not committed", 1),
    ],
)
async def test_killed_around_the_handover_the_mail_is_left_to_staff(
    post: Mailroom, workers: Workers, point: str, taken: int
) -> None:
    told = post.tell(person(post.database))

    await workers.die(point)
    await another_takes_over(post)
    await another_takes_over(post)

    row = post.row(told)
    assert (row.state, row.error_reason) == (NotificationState.FAILED, UNCERTAIN)
    assert len(post.server.mails) == taken, "not sent again by itself"

    post.database.run_transaction(lambda session: retry(session, uncertain_only=True))
    await post.send()
    assert post.row(told).state is NotificationState.SENT
    assert [mail.message["Message-ID"] for mail in post.server.mails] == [f"<{told}@localhost>"] * (taken + 1)


async def test_a_new_worker_takes_over_by_itself(post: Mailroom, workers: Workers) -> None:
    told = [post.tell(person(post.database)) for _ in range(5)]
    await workers.die("mail was taken up")
    post.make_due()

    async with workers.at_work():
        await eventually(lambda: all(post.row(one).state is NotificationState.SENT for one in told), 60)

    assert len(post.server.mails) == 5


async def test_stopped_for_so_long_that_another_took_over_and_then_continued(post: Mailroom, workers: Workers) -> None:
    told = post.tell(person(post.database))
    async with workers.at_work("mail was taken up", signal.SIGSTOP) as stopped:
        await eventually(lambda: is_stopped(stopped), 60)
        await another_takes_over(post)
        assert len(post.server.mails) == 1

        os.kill(stopped, signal.SIGCONT)
        later = post.tell(person(post.database))
        await eventually(lambda: post.row(later).state is NotificationState.SENT, 60)

    assert post.row(told).state is NotificationState.SENT
    assert len(post.server.mails) == 2


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
