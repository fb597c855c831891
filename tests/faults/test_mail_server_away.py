"""The mail server goes away in the middle of a burst, and comes back: real workers, real connections that are cut."""

import asyncio
from collections import Counter

import pytest

from server.config import Settings
from server.db.engine import Database
from server.domain.notification_queue import UNCERTAIN
from server.states import NotificationState
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.mail_server import MailServer, listening
from tests.mailing import mailroom, person
from tests.struck_workers import Workers, Workshop

pytestmark = pytest.mark.fault

MAILS = 120


@pytest.mark.promise("4.3")
async def test_the_mail_server_is_cut_off_in_the_middle_of_a_burst(
    database: Database, settings: Settings, workshop: Workshop
) -> None:
    server = MailServer()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def in_the_middle() -> None:
        """Some were taken, and some texts are in the server's hands, unanswered."""
        if len(server.mails) >= MAILS // 3 and not go_on.is_set():
            reached.set()
            await go_on.wait()

    server.before_answer = in_the_middle
    async with mailroom(database, server, smtp_url="smtp://127.0.0.1:1") as room:
        users = [person(database) for _ in range(MAILS)]
        for user in users:
            room.tell(user)
        async with listening(server):
            workers = Workers(workshop, settings).with_settings(smtp_url=server.url)
            async with workers.at_work(), workers.at_work():
                await asyncio.wait_for(reached.wait(), 60)
                sent_before = len(server.mails)
        # The server and its connections are gone, the workers were killed while they waited for its answers.
        go_on.set()
        assert MAILS // 3 <= sent_before < MAILS
        room.make_due()

        async with listening(server), workers.at_work(), workers.at_work():
            await eventually(lambda: NotificationState.QUEUED not in room.states(), 120)

        states = Counter(row.state for row in room.rows())
        uncertain = [row for row in room.rows() if row.state is NotificationState.FAILED]
        received = Counter(mail.message["Message-ID"] for mail in server.mails)
        assert set(received.values()) == {1}, "nobody got a mail twice"
        assert {row.error_reason for row in uncertain} == {UNCERTAIN}
        assert 1 <= len(uncertain) <= 2 * 4, "only what was in the server's hands"
        assert states[NotificationState.SENT] + len(uncertain) == MAILS
        sent = {f"<{row.id}@localhost>" for row in room.rows() if row.state is NotificationState.SENT}
        assert sent <= set(received), "what is said to be sent was received"
    assert_sound(database)
