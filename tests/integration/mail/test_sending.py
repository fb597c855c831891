"""From the row to the mail server's 250: once, however often anything fails. Against a real mail server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from server.db.engine import Database
from server.domain import notification_queue
from server.domain.notification_queue import retry
from server.errors import Unavailable
from server.mail.post import MailServer as Address
from server.mail.sending import MailPatience
from server.states import NotificationKind, NotificationState
from tests.certificates import Authority
from tests.mail_server import MailServer, listening
from tests.mailing import Mailroom, mailroom, person

QUEUED, SENT, FAILED = NotificationState.QUEUED, NotificationState.SENT, NotificationState.FAILED


@pytest.fixture
async def post(fresh_database: Database) -> AsyncIterator[Mailroom]:
    async with listening(MailServer()) as server, mailroom(fresh_database, server) as room:
        yield room


@pytest.mark.promise("4.3")
async def test_a_message_is_kept_and_sent_and_its_row_says_so(post: Mailroom) -> None:
    user = person(post.database, "ada@example.org")
    told = post.tell(user)
    assert post.row(told).state is QUEUED

    await post.send()

    (mail,) = post.server.mails
    assert mail.recipient == "ada@example.org"
    assert mail.message["Message-ID"] == f"<{told}@localhost>"
    assert mail.message["To"] == "Ada Lovelace <ada@example.org>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "another password" in mail.text
    assert "another password" in mail.html
    row = post.row(told)
    assert (row.state, row.next_attempt_time, row.error_reason, row.handover_time) == (SENT, None, None, None)
    assert row.send_time is not None
    assert row.subject == mail.message["Subject"]
    await post.send()
    assert len(post.server.mails) == 1


async def test_the_same_occasion_is_told_once(post: Mailroom) -> None:
    user = person(post.database)
    assert post.tell(user, key="refund/1") == post.tell(user, key="refund/1")
    await post.send()
    assert len(post.server.mails) == 1


async def test_a_burst_goes_over_few_connections(post: Mailroom) -> None:
    user = person(post.database)
    for _ in range(40):
        post.tell(user)
    await post.send()
    assert len(post.server.mails) == 40
    assert post.server.connections <= 4


async def test_a_code_does_not_wait_behind_a_mailing(post: Mailroom) -> None:
    many, one = person(post.database, "many@example.org"), person(post.database, "one@example.org")
    for _ in range(30):
        post.tell(many)
    post.execute("UPDATE notifications SET bulk = true, next_attempt_time = next_attempt_time - interval '1 hour'")
    post.tell(one)

    taken = await post.sender.take(1)

    assert [due.facts.email for due in taken] == ["one@example.org"]


@pytest.mark.promise("4.3")
async def test_nothing_is_lost_while_the_mail_server_is_away_for_days(fresh_database: Database) -> None:
    server = MailServer()
    async with listening(server):
        pass  # so it has a port, and nobody listens there
    user = person(fresh_database)
    async with mailroom(fresh_database, server) as room:
        for _ in range(5):
            room.tell(user)
    # Each round is another worker, long afterwards: no patience of the one before is left.
    for _ in range(6):
        async with mailroom(fresh_database, server) as room:
            room.execute("UPDATE notifications SET queue_time = queue_time - interval '1 day'")
            room.make_due()
            await room.send()
            assert set(room.states()) == {QUEUED}
            assert all(row.handover_time is None for row in room.rows())

    async with listening(server), mailroom(fresh_database, server) as room:
        room.make_due()
        await room.send()
        assert set(room.states()) == {SENT}
    assert len(server.mails) == 5


async def test_while_the_server_is_away_one_mail_asks_for_all(
    fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.mail.pace._FIRST_PAUSE", 60.0)
    server = MailServer()
    async with listening(server):
        pass
    user = person(fresh_database)
    async with mailroom(fresh_database, server) as room:
        for _ in range(100):
            room.tell(user)
        await room.send()
        tried = [row for row in room.rows() if row.attempt_count]
        assert 1 <= len(tried) <= 8  # what was in work when it turned out
        assert await room.sender.take(8) == ()


async def test_a_mail_that_is_put_off_is_tried_again_later_and_later(post: Mailroom) -> None:
    told = post.tell(person(post.database))
    waits = []
    for _ in range(4):
        post.server.on_recipient = ["451 4.7.1 greylisted, come back later"]
        post.make_due()
        await post.send()
        row = post.row(told)
        assert (row.state, row.handover_time) == (QUEUED, None)
        assert row.error_reason == "451 4.7.1 greylisted, come back later"
        assert row.next_attempt_time is not None
        waits.append((row.next_attempt_time - row.update_time).total_seconds())
    assert waits == pytest.approx([30, 60, 120, 240], abs=1)
    assert post.server.mails == []

    post.make_due()
    await post.send()
    assert post.row(told).state is SENT


async def test_what_is_put_off_for_days_is_left_to_staff_and_not_before_a_day(post: Mailroom) -> None:
    told = post.tell(person(post.database))
    post.execute("UPDATE notifications SET queue_time = queue_time - interval '24 hours'")
    post.server.on_data = ["452 4.3.1 no room", "452 4.3.1 no room"]
    await post.send()
    assert post.row(told).state is QUEUED

    post.execute("UPDATE notifications SET queue_time = queue_time - interval '3 days'")
    post.make_due()
    await post.send()

    row = post.row(told)
    assert (row.state, row.error_reason) == (FAILED, "452 4.3.1 no room")


@pytest.mark.promise("4.3")
@pytest.mark.parametrize("phase", ["on_recipient", "on_data"])
async def test_what_is_refused_for_good_fails_and_staff_can_send_it_again(post: Mailroom, phase: str) -> None:
    told, other = post.tell(person(post.database)), post.tell(person(post.database))
    setattr(post.server, phase, ["550 5.1.1 no such mailbox"])

    await post.send()

    failed = [row for row in post.rows() if row.state is FAILED]
    assert [row.error_reason for row in failed] == ["550 5.1.1 no such mailbox"]
    assert len(post.server.mails) == 1, "the other one was not held up"
    post.make_due()
    await post.send()
    assert len(post.server.mails) == 1, "it is not tried again by itself"

    assert post.database.run_transaction(lambda session: retry(session, names=[failed[0].id])) == 1
    await post.send()
    assert {post.row(told).state, post.row(other).state} == {SENT}


async def test_a_sender_that_the_server_does_not_want_is_nobody_s_mail_s_fault(post: Mailroom) -> None:
    told = post.tell(person(post.database))
    post.server.on_sender = ["550 5.7.1 sender not allowed here"]
    await post.send()
    assert post.row(told).state is QUEUED


@pytest.mark.promise("4.3")
@pytest.mark.parametrize("kept", ["keep", "forget"])
async def test_a_mail_that_was_perhaps_taken_is_not_sent_again_by_itself(post: Mailroom, kept: str) -> None:
    told = post.tell(person(post.database))
    post.server.on_data = [kept]

    await post.send()
    post.make_due()
    await post.send()

    row = post.row(told)
    assert row.state is FAILED
    assert row.error_reason is not None
    assert row.error_reason.startswith("UNCERTAIN")
    assert row.handover_time is not None
    assert len(post.server.mails) == (1 if kept == "keep" else 0)

    assert post.database.run_transaction(lambda session: retry(session, uncertain_only=True)) == 1
    await post.send()
    assert post.row(told).state is SENT
    assert {mail.message["Message-ID"] for mail in post.server.mails} == {f"<{told}@localhost>"}


async def test_an_installation_may_have_uncertain_mails_repeated_under_the_same_message_id(
    fresh_database: Database,
) -> None:
    async with listening(MailServer()) as server, mailroom(fresh_database, server, mail_repeat_uncertain=True) as room:
        told = room.tell(person(fresh_database))
        server.on_data = ["keep"]
        await room.send()
        assert room.row(told).state is QUEUED

        room.make_due()
        await room.send()

        assert room.row(told).state is SENT
        assert [mail.message["Message-ID"] for mail in server.mails] == [f"<{told}@localhost>"] * 2


async def test_an_answer_before_the_text_leaves_no_doubt(post: Mailroom) -> None:
    """The connection ends between RCPT and DATA: the server cannot have the text."""
    told = post.tell(person(post.database))
    (due,) = await post.sender.take(1)
    original = post.sender._post._send  # type: ignore[union-attr]

    async def cut_first(smtp: object, content: bytes) -> object:
        smtp.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return await original(smtp, content)  # type: ignore[arg-type]

    post.sender._post._send = cut_first  # type: ignore[union-attr,method-assign]
    await post.sender.carry_on(due)

    row = post.row(told)
    assert (row.state, row.handover_time) == (QUEUED, None)


async def test_the_database_away_in_the_moment_of_the_answer_costs_no_second_mail(
    post: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = post.tell(person(post.database))
    original, failures = notification_queue.sent, iter([True, True, False])

    def sent(*given: object) -> None:
        if next(failures):
            raise Unavailable("DATABASE_UNAVAILABLE", "it is away")
        original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(notification_queue, "sent", sent)
    await post.send()

    assert post.row(told).state is SENT
    assert len(post.server.mails) == 1


async def test_two_workers_send_each_mail_once(fresh_database: Database) -> None:
    async with listening(MailServer()) as server:
        async with mailroom(fresh_database, server) as one, mailroom(fresh_database, server) as two:
            user = person(fresh_database)
            for _ in range(60):
                one.tell(user)
            await asyncio.gather(one.send(), two.send())
            assert set(one.states()) == {SENT}
        assert len(server.mails) == 60
        assert len({mail.message["Message-ID"] for mail in server.mails}) == 60


async def test_a_worker_whose_lease_ran_out_hands_nothing_over(fresh_database: Database) -> None:
    """A worker that stood still for so long that another has taken the mail up finds out before the text leaves."""
    async with (
        listening(MailServer()) as server,
        mailroom(fresh_database, server) as slow,
        mailroom(fresh_database, server) as quick,
    ):
        told = slow.tell(person(fresh_database))
        (stale,) = await slow.sender.take(1)
        slow.make_due()
        (fresh,) = await quick.sender.take(1)

        await slow.sender.carry_on(stale)
        assert server.mails == []
        await quick.sender.carry_on(fresh)

        assert slow.row(told).state is SENT
        assert len(server.mails) == 1


async def test_control_without_that_question_both_would_send_it(
    fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification_queue, "hand_over", lambda *_, **__: True)
    async with (
        listening(MailServer()) as server,
        mailroom(fresh_database, server) as slow,
        mailroom(fresh_database, server) as quick,
    ):
        slow.tell(person(fresh_database))
        (stale,) = await slow.sender.take(1)
        slow.make_due()
        (fresh,) = await quick.sender.take(1)
        await slow.sender.carry_on(stale)
        await quick.sender.carry_on(fresh)
        assert len(server.mails) == 2


async def test_without_a_mail_server_everything_waits(fresh_database: Database) -> None:
    async with mailroom(fresh_database, MailServer(), smtp_url="") as room:
        told = room.tell(person(fresh_database))
        await room.send()
        row = room.row(told)
        assert (row.state, row.attempt_count) == (QUEUED, 0)


async def test_a_message_for_the_inbox_makes_no_mail(post: Mailroom) -> None:
    told = post.tell(person(post.database), inbox_only=True)
    await post.send()
    assert post.server.mails == []
    assert post.row(told).state is NotificationState.INBOX_ONLY


async def test_a_message_that_cannot_be_made_holds_nobody_up(post: Mailroom) -> None:
    user = person(post.database)
    broken = post.tell(user, kind=NotificationKind.PAYMENT_FAILED, subject="a name of nothing")
    told = post.tell(user)

    await post.send()

    assert post.row(told).state is SENT
    row = post.row(broken)
    assert row.state is QUEUED
    assert str(row.error_reason).startswith("NOT_MADE: ")
    post.execute("UPDATE notifications SET queue_time = queue_time - interval '3 days'")
    post.make_due()
    await post.send()
    assert post.row(broken).state is FAILED, "in the end staff see it"


async def test_nobody_without_an_address_holds_others_up(post: Mailroom) -> None:
    gone = post.tell(person(post.database, "not an address"))
    told = post.tell(person(post.database))
    await post.send()
    assert post.row(gone).state is FAILED
    assert post.row(told).state is SENT


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Ada\r\nBcc: evil@example.org", "ada@example.org"),
        ("Ada", "ada@example.org\r\nRCPT TO:<evil@example.org>"),
        ('"; Bcc: evil@example.org', "ada@example.org"),
        ("Ada\x01\u202e\nSubject: x\n\nbody", "ada@example.org"),
    ],
)
async def test_nobody_writes_headers_or_commands_by_a_name_or_an_address(post: Mailroom, name: str, email: str) -> None:
    post.tell(person(post.database, email, name))
    await post.send()
    for mail in post.server.mails:
        assert mail.recipient == "ada@example.org"
        assert sorted({header.lower() for header in mail.message}) == [
            *("auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to")
        ]
        assert mail.message["Subject"] == "Your password was changed"


@pytest.mark.parametrize(
    ("given", "on_the_wire"),
    [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("jörg@example.org", "jörg@example.org")],
)
async def test_addresses_beyond_ascii_arrive(post: Mailroom, given: str, on_the_wire: str) -> None:
    post.tell(person(post.database, given, "Jörg Müller"))
    await post.send()
    (mail,) = post.server.mails
    assert mail.recipient == on_the_wire
    assert mail.message["To"].addresses[0].display_name == "Jörg Müller"


async def test_an_address_that_the_server_cannot_write_fails(fresh_database: Database) -> None:
    async with listening(MailServer(utf8=False)) as server, mailroom(fresh_database, server) as room:
        told = room.tell(person(fresh_database, "jörg@example.org"))
        await room.send()
        row = room.row(told)
        assert row.state is FAILED
        assert "SMTPUTF8" in str(row.error_reason)


async def test_a_log_in_and_a_wrong_one(fresh_database: Database) -> None:
    async with listening(MailServer(users={b"box": b"s3cret/&"})) as server:
        told = None
        for password, state in (("wrong", QUEUED), ("s3cret%2F%26", SENT)):
            url = f"smtp://box:{password}@127.0.0.1:{server.port}"
            async with mailroom(fresh_database, server, smtp_url=url) as room:
                told = told or room.tell(person(fresh_database))
                room.make_due()
                await room.send()
                assert room.row(told).state is state


async def test_where_encryption_is_a_must_a_certificate_is_checked(fresh_database: Database, tmp_path: Path) -> None:
    authority = Authority()
    chain, key, trusted = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "authority.pem"
    for path, content in zip((chain, key, trusted), (*authority.issue("localhost"), authority.pem), strict=True):
        path.write_bytes(content)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    async with listening(MailServer(tls=tls)) as server:
        url = f"smtp+starttls://localhost:{server.port}"
        async with mailroom(fresh_database, server, smtp_url=url) as distrustful:
            told = distrustful.tell(person(fresh_database))
            await distrustful.send()
            assert distrustful.row(told).state is QUEUED
        async with mailroom(fresh_database, server, smtp_url=url, smtp_ca_file=trusted) as room:
            room.make_due()
            await room.send()
            assert room.row(told).state is SENT
        async with mailroom(fresh_database, server) as careless:
            again = careless.tell(person(fresh_database))
            await careless.send()
            assert careless.row(again).state is SENT, "smtp:// takes what encryption is offered"


async def test_encryption_is_never_left_out_where_it_is_a_must(fresh_database: Database) -> None:
    async with listening(MailServer()) as server:
        url = f"smtp+starttls://127.0.0.1:{server.port}"
        async with mailroom(fresh_database, server, smtp_url=url) as room:
            told = room.tell(person(fresh_database))
            await room.send()
            assert room.row(told).state is QUEUED
    assert server.mails == []


def test_how_a_mail_server_is_named() -> None:
    assert Address.parse("smtp://mail") == Address("mail", 25)
    assert Address.parse("smtps://u:p%40@mail:4650") == Address("mail", 4650, True, False, "u", "p@")
    assert Address.parse("smtp+starttls://mail").port == 587


async def test_the_lease_is_longer_than_a_conversation() -> None:
    assert MailPatience(answer=timedelta(seconds=60)).lease >= timedelta(minutes=5)


async def test_kinds_that_only_few_know_are_sent_too(post: Mailroom) -> None:
    user = person(post.database, "new@example.org")
    for kind in (NotificationKind.ACCOUNT_EXISTS, NotificationKind.EMAIL_CHANGED):
        post.tell(user, kind=kind, email="former@example.org")
    await post.send()
    assert {mail.recipient for mail in post.server.mails} == {"former@example.org"}
