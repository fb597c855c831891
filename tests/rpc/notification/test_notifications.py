"""What people are told, over a socket: sent by staff, read by those it is for, and by nobody else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from rowlock.v1 import notification_pb2 as pb
from rowlock.v1 import notification_pb2_grpc
from server import resources
from server.config import Settings
from server.db.engine import Database
from server.db.models.notifications import Announcement, Notification
from server.states import NotificationState
from tests.mail_server import MailServer, listening
from tests.mailing import mailroom
from tests.paying import Desk, desk_on
from tests.rpc.auth.conftest import QUICK, Client, Person, refusal, served
from tests.staging import Staged, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Post:
    """A house whose staff tell people something."""

    client: Client
    stub: "notification_pb2_grpc.NotificationServiceAsyncStub"
    staff: Person
    desk: Desk

    async def send(self, *to: Person, subject: str = "Doors open earlier", **given: Any) -> int:
        request = pb.SendNotificationRequest(
            recipients=[person.name for person in to], subject=subject, body="At 18:00.\n\nBring a coat.", **given
        )
        return (await self.stub.SendNotification(request, metadata=self.staff.token)).recipient_count

    async def inbox(self, person: Person, **given: Any) -> pb.ListNotificationsResponse:
        return await self.stub.ListNotifications(pb.ListNotificationsRequest(**given), metadata=person.token)

    async def mark(self, person: Person, *names: str) -> int:
        request = pb.MarkReadRequest(names=names)
        return (await self.stub.MarkRead(request, metadata=person.token)).marked_count


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post(settings: Settings, database: Database) -> AsyncIterator[Post]:
    async with served(settings.model_copy(update=QUICK), database) as client, desk_on(database) as desk:
        stub: notification_pb2_grpc.NotificationServiceAsyncStub = notification_pb2_grpc.NotificationServiceStub(
            client.channel
        )
        yield Post(client, stub, await client.staff(await client.admin()), desk)


def id_of(person: Person) -> UUID:
    return UUID(person.name.removeprefix("users/"))


async def buy(post: Post, house: Staged, person: Person, *places: int) -> None:
    await post.desk.captured(await post.desk.hold(house, *places, customer=id_of(person)))
    await post.desk.settle()


@pytest.mark.promise("4.3")
async def test_staff_tell_users_and_they_read_it(post: Post) -> None:
    ada, bob, eve = [await post.client.sign_up() for _ in range(3)]

    assert await post.send(ada, bob) == 2

    for reader in (ada, bob):
        newest = (await post.inbox(reader)).notifications[0]
        assert (newest.subject, newest.kind) == ("Doors open earlier", pb.Notification.ANNOUNCEMENT)
        assert newest.body == "At 18:00.\n\nBring a coat.\n"
        assert (newest.recipient, newest.state) == (reader.name, pb.Notification.QUEUED)
        assert newest.error_reason == ""
    assert all(one.kind != pb.Notification.ANNOUNCEMENT for one in (await post.inbox(eve)).notifications)


@pytest.mark.promise("4.3")
async def test_everybody_with_a_confirmed_booking_is_told_once(post: Post) -> None:
    house = post.client.database.run_transaction(stage)
    ada, bob, eve = [await post.client.sign_up() for _ in range(3)]
    await buy(post, house, ada, 1)
    await buy(post, house, ada, 2)
    await buy(post, house, bob, 3)
    await post.desk.hold(house, 4, customer=id_of(eve))
    performance = resources.performance(house.performance_id)

    assert await post.send(performance=performance) == 2

    for person, told in ((ada, 1), (bob, 1), (eve, 0)):
        listed = (await post.inbox(person)).notifications
        announced = [one for one in listed if one.kind == pb.Notification.ANNOUNCEMENT]
        assert len(announced) == told
        assert all(one.subject_resource == performance for one in announced)
        assert all("A Play" in one.body for one in announced)


async def test_thousands_are_told_by_one_row_of_words(post: Post) -> None:
    """The words stand once, however many they are for, and are mailed to each."""
    house = post.client.database.run_transaction(stage)
    person = await post.client.sign_up()
    await buy(post, house, person, 1)

    assert await post.send(performance=resources.performance(house.performance_id), subject="Once") == 1

    kept = post.client.database.run_transaction(
        lambda session: session.scalars(select(Announcement).where(Announcement.subject == "Once")).all()
    )
    assert len(kept) == 1
    async with listening(MailServer()) as server, mailroom(post.client.database, server) as room:
        await room.send()
        (mail,) = [mail for mail in server.to(person.email) if mail.message["Subject"] == "Once"]
    assert "Bring a coat." in mail.text
    assert "Bring a coat." in mail.html


async def test_a_request_that_is_repeated_tells_once(post: Post) -> None:
    ada = await post.client.sign_up()
    for _ in range(2):
        assert await post.send(ada, subject="Repeated", request_id="the-same-one") == 1
    subjects = [one.subject for one in (await post.inbox(ada)).notifications]
    assert subjects.count("Repeated") == 1


async def test_what_is_for_the_inbox_is_not_mailed(post: Post) -> None:
    ada = await post.client.sign_up()
    await post.send(ada, subject="Here only", inbox_only=True)
    (one,) = [one for one in (await post.inbox(ada)).notifications if one.subject == "Here only"]
    assert one.state == pb.Notification.INBOX_ONLY


async def test_nobody_is_told_where_one_of_them_is_not_there(post: Post) -> None:
    ada = await post.client.sign_up()
    gone = f"users/{uuid4()}"
    request = pb.SendNotificationRequest(recipients=[ada.name, gone], subject="Lost", body="x")
    refused = await refusal(post.stub.SendNotification(request, metadata=post.staff.token))
    assert (refused.code, refused.reason, refused.facts["name"]) == ("NOT_FOUND", "NOT_FOUND", gone)
    assert "Lost" not in [one.subject for one in (await post.inbox(ada)).notifications]

    request = pb.SendNotificationRequest(performance="performances/999999", subject="Lost", body="x")
    assert (await refusal(post.stub.SendNotification(request, metadata=post.staff.token))).code == "NOT_FOUND"


async def test_customers_tell_nobody_anything(post: Post) -> None:
    ada = await post.client.sign_up()
    request = pb.SendNotificationRequest(recipients=[ada.name], subject="Hi", body="x")
    assert (await refusal(post.stub.SendNotification(request, metadata=ada.token))).code == "PERMISSION_DENIED"
    retry = pb.RetryNotificationsRequest(names=[f"notifications/{uuid4()}"])
    assert (await refusal(post.stub.RetryNotifications(retry, metadata=ada.token))).code == "PERMISSION_DENIED"


@pytest.mark.parametrize("subject", ["Two\nlines", "Bcc: x\r\nTo: y", "turned \u202e round", ""])
async def test_a_subject_is_one_line(post: Post, subject: str) -> None:
    request = pb.SendNotificationRequest(recipients=["users/me"], subject=subject, body="x")
    refused = await refusal(post.stub.SendNotification(request, metadata=post.staff.token))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("subject",))


async def test_messages_are_marked_as_read_once_and_by_their_reader(post: Post) -> None:
    ada, eve = await post.client.sign_up(), await post.client.sign_up()
    for number in range(3):
        await post.send(ada, subject=f"No. {number}")
    before = await post.inbox(ada)
    newest = before.notifications[0]
    assert not newest.HasField("read_time")

    assert await post.mark(ada, newest.name) == 1
    read = (await post.inbox(ada)).notifications[0]
    assert read.HasField("read_time")
    assert await post.mark(ada, newest.name) == 0
    assert (await post.inbox(ada)).notifications[0].read_time == read.read_time

    left = await post.inbox(ada, unread_only=True)
    assert left.unread_count == left.total_size == before.unread_count - 1
    request = pb.MarkReadRequest(names=[newest.name, before.notifications[1].name])
    assert (await refusal(post.stub.MarkRead(request, metadata=eve.token))).code == "NOT_FOUND"
    assert await post.mark(ada) == before.unread_count - 1
    assert (await post.inbox(ada)).unread_count == 0


async def test_nobody_reads_what_others_were_told(post: Post) -> None:
    ada, eve = await post.client.sign_up(), await post.client.sign_up()
    await post.send(ada)
    seen = await post.inbox(eve, recipient=ada.name)
    assert {one.recipient for one in seen.notifications} == {eve.name}
    to_ada = await post.inbox(post.staff, recipient=ada.name)
    assert {one.recipient for one in to_ada.notifications} == {ada.name}
    assert to_ada.total_size == len(to_ada.notifications)


async def test_the_inbox_holds_no_code(post: Post) -> None:
    ada = await post.client.sign_up()
    verification = (await post.inbox(ada)).notifications[-1]
    assert verification.kind == pb.Notification.EMAIL_VERIFICATION
    assert verification.subject == "Please confirm your e-mail address"
    assert "We sent you a mail with a code" in verification.body


async def test_pages_fit_together(post: Post) -> None:
    ada = await post.client.sign_up()
    for number in range(5):
        await post.send(ada, subject=f"No. {number}")
    subjects, token = [], ""
    while True:
        page = await post.inbox(ada, page_size=2, page_token=token)
        assert page.total_size == 6
        subjects += [one.subject for one in page.notifications]
        token = page.next_page_token
        if not token:
            break
    assert subjects == [*(f"No. {number}" for number in reversed(range(5))), "Please confirm your e-mail address"]


@pytest.mark.promise("4.3")
async def test_staff_see_what_failed_and_send_it_again(post: Post) -> None:
    ada = await post.client.sign_up()
    await post.send(ada, subject="Failing")
    async with listening(MailServer()) as server, mailroom(post.client.database, server) as room:
        await room.send()
        server.mails.clear()
        post.client.database.run_transaction(
            lambda session: session.execute(
                update(Notification)
                .where(Notification.recipient_id == id_of(ada), Notification.subject == "Failing")
                .values(state=NotificationState.FAILED, error_reason="550 full", send_time=None)
            )
        )
        (failed,) = (await post.inbox(post.staff, state=pb.Notification.FAILED)).notifications
        assert (failed.subject, failed.error_reason) == ("Failing", "550 full")
        assert (await post.inbox(ada)).notifications[0].error_reason == "", "customers do not see why"

        request = pb.RetryNotificationsRequest(names=[failed.name])
        answer = await post.stub.RetryNotifications(request, metadata=post.staff.token)
        assert answer.retried_count == 1
        again = await post.stub.RetryNotifications(request, metadata=post.staff.token)
        assert again.retried_count == 0
        await room.send()
        assert [mail.message["Subject"] for mail in server.to(ada.email)] == ["Failing"]
    absent = pb.RetryNotificationsRequest(names=[f"notifications/{uuid4()}"])
    assert (await refusal(post.stub.RetryNotifications(absent, metadata=post.staff.token))).code == "NOT_FOUND"
