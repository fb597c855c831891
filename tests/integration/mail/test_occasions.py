"""Every occasion of which somebody is told by mail: what it says, to whom, and that it is said once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from icalendar import Calendar
from pypdf import PdfReader

from server import clock, resources
from server.db.engine import Database
from server.db.models.payments import Payment
from server.domain import cancellation, refunds
from server.domain.account_codes import redeem
from server.domain.account_mail import tell_new_password, welcome
from server.domain.inquiries import answer, submit
from server.domain.notifications import notify
from server.domain.refunds import Amount
from server.domain.ticket_mail import mail_again
from server.errors import FailedPrecondition, InvalidArgument
from server.payments.collecting import Patience
from server.seats.booking import Booking
from server.seats.commands import Cancel, Claim, Confirm, Hold, Remove
from server.states import (
    BookingState,
    CodePurpose,
    ConfirmedBy,
    NotificationKind,
    NotificationState,
    SimulatedOutcome,
)
from tests.invariants import assert_sound
from tests.mail_server import MailServer, Received, listening
from tests.mailing import Mailroom, mailroom, person
from tests.paying import Desk, desk_on
from tests.staging import Staged, hall_document, stage

START = datetime(2027, 3, 13, 18, 30, tzinfo=UTC)


class Story:
    """A house, a desk, a worker that sends mails, and Ada."""

    def __init__(self, desk: Desk, room: Mailroom, house: Staged) -> None:
        self.desk, self.room, self.house = desk, room, house
        self.ada = person(room.database, "ada@example.org", "Ada Lovelace")

    async def hold(self, *places: int) -> Booking:
        return await self.desk.hold(self.house, *places, customer=self.ada.id)

    async def bought(self, *places: int) -> tuple[Booking, Payment]:
        booking = await self.hold(*places)
        payment = await self.desk.captured(booking)
        await self.desk.settle()
        assert self.desk.booking(booking).state is BookingState.CONFIRMED
        return booking, payment

    async def mails(self) -> list[Received]:
        """What Ada got since the last time."""
        await self.room.send()
        assert {row.state for row in self.room.rows()} <= {NotificationState.SENT, NotificationState.INBOX_ONLY}
        mails, self.room.server.mails = self.room.server.to("ada@example.org"), []
        return mails

    async def mail(self) -> Received:
        """The only one since the last time."""
        (mail,) = await self.mails()
        return mail

    def run(self, work: Any) -> Any:
        return self.room.database.run_transaction(work)


@pytest.fixture
async def story(fresh_database: Database) -> AsyncIterator[Story]:
    house = fresh_database.run_transaction(
        lambda session: stage(session, hall_document(standing=20), start_time=START, sale_end_time=START)
    )
    async with (
        desk_on(fresh_database) as desk,
        listening(MailServer()) as server,
        mailroom(fresh_database, server, public_url="https://tickets.example.org") as room,
    ):
        yield Story(desk, room, house)
        assert_sound(fresh_database)


@pytest.mark.promise("4.3")
async def test_a_confirmed_booking_with_its_tickets(story: Story) -> None:
    booking, _ = await story.bought(3, 4)

    mail = await story.mail()

    assert mail.message["Subject"] == "Your tickets: A Play, Saturday, 13 March 2027"
    for words in (mail.text, mail.html):
        assert "Stalls, row A, seat 4" in words
        assert "Stalls, row A, seat 5" in words
        assert "50.00 EUR" in words
        assert "19:30" in words
        assert "The House" in words
        assert f"https://tickets.example.org/{resources.booking(booking.performance_id, booking.id)}" in words
    assert set(mail.files) == {"tickets.pdf", "event.ics"}
    pages = PdfReader(BytesIO(mail.files["tickets.pdf"])).pages
    assert len(pages) == 2
    assert "A Play" in pages[0].extract_text()
    (entry,) = Calendar.from_ical(mail.files["event.ics"].decode()).walk("VEVENT")
    assert entry["summary"] == "A Play"
    assert entry.decoded("dtstart") == START


async def test_tickets_are_mailed_again_to_the_address_of_today(story: Story) -> None:
    booking, _ = await story.bought(3, 4)
    first = await story.mail()
    story.room.execute(
        "UPDATE users SET email = 'ada@new.example', email_key = 'ada@new.example' WHERE id = :id", id=story.ada.id
    )

    again = story.run(lambda s: mail_again(s, booking.performance_id, booking.id, story.ada.id))
    await story.room.send()

    (mail,) = story.room.server.to("ada@new.example")
    assert mail.message["Subject"] == first.message["Subject"]
    assert mail.message["Message-ID"] != first.message["Message-ID"], "else it would not be shown as another mail"
    pages = [
        [page.extract_text() for page in PdfReader(BytesIO(one.files["tickets.pdf"])).pages] for one in (first, mail)
    ]
    assert pages[0] == pages[1], "with the codes that were mailed before"
    assert story.room.row(again).state is NotificationState.SENT
    assert not story.room.server.to("ada@example.org")


async def test_tickets_that_were_given_back_are_not_mailed_again(story: Story) -> None:
    booking, _ = await story.bought(3)
    await story.mail()
    again = story.run(lambda s: mail_again(s, booking.performance_id, booking.id, None))
    await story.desk.cancel(booking)

    mail = await story.mail()

    assert mail.message["Subject"] == "Your booking was cancelled: A Play"
    assert story.room.row(again).state is NotificationState.INBOX_ONLY
    with pytest.raises(FailedPrecondition, match="CANCELLED"):
        story.run(lambda s: mail_again(s, booking.performance_id, booking.id, None))


async def test_places_of_an_area_are_counted(story: Story) -> None:
    standing = [place.index for place in story.house.hall.places if place.area][:3]
    await story.bought(*standing)
    assert "3 × Floor: Adult, 75.00 EUR" in (await story.mail()).text


async def test_tickets_that_were_returned_before_the_mail_left_are_not_mailed(story: Story) -> None:
    booking, _ = await story.bought(3)
    await story.desk.cancel(booking)

    mail = await story.mail()

    assert mail.message["Subject"] == "Your booking was cancelled: A Play"
    confirmed = story.room.rows(kind=NotificationKind.BOOKING_CONFIRMED)
    assert [row.state for row in confirmed] == [NotificationState.INBOX_ONLY]


@pytest.mark.promise("4.3")
async def test_a_hold_that_ran_out(story: Story) -> None:
    booking = await story.hold(3)
    story.desk.let_time_pass(booking)
    await story.desk.expire(booking)
    await story.desk.expire(booking)

    mail = await story.mail()

    assert mail.message["Subject"] == "Your places are free again: A Play"
    assert "Stalls, row A, seat 4" in mail.text
    assert not mail.files


async def test_a_hold_that_another_s_claim_ended_is_told_too(story: Story) -> None:
    booking = await story.hold(3)
    story.desk.let_time_pass(booking)

    await story.desk.hold(story.house, 3)

    assert (await story.mail()).message["Subject"] == "Your places are free again: A Play"


async def test_nobody_is_told_of_the_hold_that_they_let_go(story: Story) -> None:
    await story.desk.cancel(await story.hold(3))
    assert await story.mails() == []


async def test_a_booking_without_places_runs_out_in_silence(story: Story) -> None:
    booking = await story.hold(3)
    await story.desk.ledger.execute(
        Remove(performance_id=booking.performance_id, booking_id=booking.id, actor_id=booking.customer_id, places=(3,))
    )
    story.desk.let_time_pass(booking)
    await story.desk.expire(booking)
    assert await story.mails() == []


@pytest.mark.promise("4.3")
async def test_a_returned_booking_tells_of_its_money_in_one_mail(story: Story) -> None:
    booking, _ = await story.bought(3, 4)
    await story.mails()

    await story.desk.cancel(booking)
    await story.desk.settle()  # the refund is done, too

    mail = await story.mail()
    assert mail.message["Subject"] == "Your booking was cancelled: A Play"
    assert "50.00 EUR go back to you" in mail.text
    (refund,) = story.room.rows(kind=NotificationKind.REFUND)
    assert refund.state is NotificationState.INBOX_ONLY
    assert_sound(story.room.database, quiet=True)


async def test_a_returned_booking_that_late_money_bought_tells_of_its_money(story: Story) -> None:
    booking = await story.hold(3)
    payment = await story.desk.captured(booking, SimulatedOutcome.TIMEOUT_AFTER)
    impatient = Patience(call=timedelta(seconds=60), first_wait=timedelta(milliseconds=10), longest_hold=timedelta(0))
    async with desk_on(story.room.database, patience=impatient) as desk:
        await desk.carry_on()
        desk.let_time_pass(booking)
        await desk.settle()
    successor = story.desk.find_booking(story.house, story.desk.payment(payment).bought_booking_id)
    await story.mails()

    await story.desk.cancel(successor)

    assert "25.00 EUR go back to you" in (await story.mail()).text
    await story.desk.settle()


async def test_staff_who_cancel_say_why(story: Story) -> None:
    booking, _ = await story.bought(3)
    await story.mails()
    clerk = person(story.room.database, name="Clerk")

    await story.desk.ledger.execute(
        Cancel(
            performance_id=booking.performance_id,
            booking_id=booking.id,
            actor_id=clerk.id,
            staff=True,
            reason="<b>A pillar</b> is in the way.",
        )
    )

    mail = await story.mail()
    assert "Reason: <b>A pillar</b> is in the way." in mail.text
    assert "&lt;b&gt;A pillar&lt;/b&gt; is in the way." in mail.html


@pytest.mark.promise("4.3")
async def test_a_declined_payment(story: Story) -> None:
    await story.desk.captured(await story.hold(3), SimulatedOutcome.DECLINE)
    await story.desk.carry_on()
    await story.desk.settle()

    mail = await story.mail()

    assert mail.message["Subject"] == "Your payment did not go through: A Play"
    assert "25.00 EUR" in mail.text
    assert "stay held for you until" in mail.text


@pytest.mark.promise("4.3")
async def test_a_refund_by_staff(story: Story) -> None:
    booking, payment = await story.bought(3, 4)
    await story.mails()
    clerk = person(story.room.database)
    story.run(
        lambda session: refunds.request(
            session,
            booking.performance_id,
            booking.id,
            payment.id,
            amount=Amount(1250, "EUR"),
            reason="We are sorry for the noise.",
            actor_id=clerk.id,
        )
    )
    assert await story.mails() == [], "not before the money is on its way"

    await story.desk.settle()

    mail = await story.mail()
    assert mail.message["Subject"] == "12.50 EUR are on their way back to you"
    assert "We are sorry for the noise." in mail.text


@pytest.mark.promise("4.3")
async def test_a_cancelled_performance_tells_each_booking_in_one_mail(story: Story) -> None:
    confirmed, _ = await story.bought(3, 4)
    held = await story.hold(7)
    others = [person(story.room.database, f"p{n}@example.org") for n in range(10)]
    for n, other in enumerate(others):
        await story.desk.hold(story.house, 10 + n, customer=other.id)
    await story.mails()

    def cancel(session: Any) -> None:
        cancellation.cancel(session, story.house.performance_id, "", "The stage was damaged by water.")

    story.run(cancel)
    await cancellation.wind_up(story.desk.ledger, story.room.database, story.house.performance_id)
    await cancellation.wind_up(story.desk.ledger, story.room.database, story.house.performance_id)
    await story.desk.settle()

    mails = {("50.00 EUR go back to you" in mail.text): mail for mail in await story.mails()}
    assert set(mails) == {True, False}, "one for the tickets, one for the hold"
    for mail in mails.values():
        assert mail.message["Subject"] == "Cancelled: A Play, Saturday, 13 March 2027"
        assert "The stage was damaged by water." in mail.text
    told = story.room.rows(kind=NotificationKind.PERFORMANCE_CANCELLED)
    assert len(told) == 2 + len(others)
    assert all(row.bulk for row in told), "they let codes and tickets pass"
    assert {row.booking_id for row in told} >= {confirmed.id, held.id}
    assert story.room.rows(kind=NotificationKind.BOOKING_CANCELLED) == []


@pytest.mark.promise("4.3")
@pytest.mark.promise("2.2")
async def test_a_verification_code_is_made_when_its_mail_is_and_works_once(story: Story) -> None:
    story.run(lambda session: welcome(session, story.ada, is_new=True))
    assert story.desk.one("SELECT count(*) FROM account_codes") == 0

    mail = await story.mail()

    assert mail.message["Subject"] == "Please confirm your e-mail address"
    link = next(line for line in mail.text.splitlines() if line.startswith("https://"))
    assert link.startswith("https://tickets.example.org/verify-email#code=")
    code = link.partition("code=")[2]
    assert code in mail.html
    (row,) = story.room.rows()
    assert code not in f"{row.subject}{row.body}{row.data}", "what is kept holds no secret"
    assert story.run(lambda session: redeem(session, code, CodePurpose.VERIFY_EMAIL).id) == story.ada.id
    with pytest.raises(InvalidArgument):
        story.run(lambda session: redeem(session, code, CodePurpose.VERIFY_EMAIL))


@pytest.mark.promise("2.2")
async def test_a_reset_mail_that_is_sent_again_has_the_code_that_works(story: Story) -> None:
    def ask(session: Any) -> None:
        notify(
            session,
            NotificationKind.PASSWORD_RESET,
            recipient_id=story.ada.id,
            email="ada@example.org",
            performance_id=0,
            subject="",
            key="reset/1",
            data={},
        )

    story.run(ask)
    story.room.server.on_data = ["451 later"]
    await story.room.send()
    story.room.make_due()

    mail = await story.mail()

    code = mail.text.partition("#code=")[2].split()[0]
    assert story.run(lambda session: redeem(session, code, CodePurpose.RESET_PASSWORD).id) == story.ada.id


async def test_no_code_goes_to_an_address_that_the_account_has_given_up(story: Story) -> None:
    story.run(lambda session: welcome(session, story.ada, is_new=True))
    story.desk.one("UPDATE users SET email = 'new@example.org', email_key = 'new@example.org'")

    assert await story.mails() == []

    (row,) = story.room.rows()
    assert row.state is NotificationState.INBOX_ONLY


async def test_a_changed_password(story: Story) -> None:
    story.run(lambda session: tell_new_password(session, story.ada))
    assert (await story.mail()).message["Subject"] == "Your password was changed"


@pytest.mark.promise("4.3")
async def test_the_answer_to_an_inquiry(story: Story) -> None:
    clerk = person(story.room.database)
    inquiry = story.run(
        lambda session: submit(
            session,
            sender_name="Ada\r\nBcc: x@example.org",
            sender_email="ada@example.org",
            subject="Wheelchairs\r\nBcc: x@example.org",
            message="Is there a place?\n\nAda",
        )
    )

    story.run(lambda session: answer(session, inquiry.id, "Yes, in row A.", clerk.id))

    mail = await story.mail()
    assert mail.message["Subject"] == "Re: Wheelchairs Bcc: x@example.org"
    assert mail.message["Bcc"] is None
    assert "Yes, in row A." in mail.text
    assert "> Is there a place?" in mail.text


@pytest.mark.promise("4.3")
@pytest.mark.parametrize("late", [False, True])
async def test_an_admission_is_told_while_it_lasts(story: Story, late: bool) -> None:
    end = clock.now() + timedelta(minutes=-1 if late else 10)
    story.run(
        lambda session: notify(
            session,
            NotificationKind.ADMISSION,
            recipient_id=story.ada.id,
            email=None,
            performance_id=story.house.performance_id,
            subject=resources.performance(story.house.performance_id),
            key="admission/1",
            data={"expire_time": end.isoformat()},
        )
    )
    subjects = [mail.message["Subject"] for mail in await story.mails()]
    assert subjects == ([] if late else ["It is your turn: A Play"])


async def test_a_sale_at_the_box_office_is_told_to_the_customer_and_not_to_the_clerk(story: Story) -> None:
    clerk = person(story.room.database, "clerk@example.org")
    for customer in (story.ada, clerk):
        held = await story.desk.ledger.execute(
            Hold(
                performance_id=story.house.performance_id,
                customer_id=customer.id,
                actor_id=clerk.id,
                claims=(Claim(3 if customer is clerk else 4),),
            )
        )
        assert held is not None
        await story.desk.ledger.execute(
            Confirm(
                performance_id=held.performance_id,
                booking_id=held.id,
                actor_id=clerk.id,
                staff=True,
                confirmed_by=ConfirmedBy.CASH,
            )
        )
    assert (await story.mail()).files
    assert story.room.server.to("clerk@example.org") == []


async def test_a_hold_costs_no_message(story: Story) -> None:
    await story.hold(3)
    assert story.room.rows() == []


async def test_what_was_said_stays_said(story: Story) -> None:
    """The inbox shows a message as it was sent, whatever is changed afterwards."""
    await story.bought(3)
    await story.mails()
    story.desk.one("UPDATE events SET title = 'Another Play'")
    (row,) = story.room.rows()
    assert "A Play" in str(row.subject)
    assert "A Play" in str(row.body)


def test_every_kind_is_tried_here() -> None:
    """A new kind needs a story."""
    tried = {
        *(NotificationKind.BOOKING_CONFIRMED, NotificationKind.BOOKING_CANCELLED, NotificationKind.HOLD_EXPIRED),
        *(NotificationKind.PAYMENT_FAILED, NotificationKind.REFUND, NotificationKind.PERFORMANCE_CANCELLED),
        *(NotificationKind.EMAIL_VERIFICATION, NotificationKind.PASSWORD_RESET, NotificationKind.PASSWORD_CHANGED),
        *(NotificationKind.INQUIRY_ANSWER, NotificationKind.ADMISSION),
        # in test_sending.py and tests/rpc/test_notifications.py
        *(NotificationKind.ACCOUNT_EXISTS, NotificationKind.EMAIL_CHANGED, NotificationKind.ANNOUNCEMENT),
        # in tests/integration/partners/test_deliveries.py
        NotificationKind.WEBHOOK_ENDPOINT_OFF,
    }
    assert tried == set(NotificationKind)
