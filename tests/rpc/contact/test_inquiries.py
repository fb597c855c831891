"""Inquiries over a socket: anybody asks, staff answer once, and the answer is mailed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import select

from rowlock.v1 import contact_pb2 as pb
from rowlock.v1 import contact_pb2_grpc
from server.config import Settings
from server.db.engine import Database
from server.db.models.notifications import Notification
from server.states import NotificationKind
from tests.rpc.auth.conftest import QUICK, refusal, served
from tests.rpc.auth.mailbox import mails_to
from tests.rpc.contact.conftest import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "inquiries/0190a000-0000-7000-8000-000000000000"


def question(email: str = "ada@example.com", **fields: Any) -> pb.Inquiry:
    usual: dict[str, Any] = {"sender_name": "Ada", "subject": "Wheelchairs", "message": "Is there a ramp?\nAnd a lift?"}
    return pb.Inquiry(sender_email=email, **{**usual, **fields})


def somebody() -> str:
    return f"p{uuid4().hex}@example.com"


async def ask(office: Office, email: str = "ada@example.com") -> str:
    return (await office.contact.SubmitInquiry(pb.SubmitInquiryRequest(inquiry=question(email)))).name


@pytest.mark.promise("2.9")
async def test_anybody_asks_and_staff_answer_by_mail(office: Office) -> None:
    email = somebody()
    name = await ask(office, email)
    read = await office.contact.GetInquiry(pb.GetInquiryRequest(name=name), metadata=office.staff.token)
    assert (read.sender_name, read.sender_email, read.message) == ("Ada", email, "Is there a ramp?\nAnd a lift?")
    assert (read.state, read.answer, read.HasField("answer_time")) == (pb.Inquiry.OPEN, "", False)

    request = pb.AnswerInquiryRequest(name=name, answer="There is both.")
    answered = await office.contact.AnswerInquiry(request, metadata=office.staff.token)

    assert (answered.state, answered.answer) == (pb.Inquiry.ANSWERED, "There is both.")
    assert answered.answerer == office.staff.name
    assert answered.HasField("answer_time")
    assert await mails_to(office.client.database, email) == [NotificationKind.INQUIRY_ANSWER]


async def test_an_inquiry_is_answered_once(office: Office) -> None:
    email = somebody()
    name = await ask(office, email)
    requests = [pb.AnswerInquiryRequest(name=name, answer=f"Answer {number}") for number in range(8)]
    outcomes = await asyncio.gather(
        *(office.contact.AnswerInquiry(request, metadata=office.staff.token) for request in requests),
        return_exceptions=True,
    )
    assert len([outcome for outcome in outcomes if isinstance(outcome, pb.Inquiry)]) == 1
    assert await mails_to(office.client.database, email) == [NotificationKind.INQUIRY_ANSWER]
    refused = await refusal(office.contact.AnswerInquiry(requests[0], metadata=office.staff.token))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "INQUIRY_ANSWERED")
    assert "answer_time" in refused.facts


async def test_a_repeated_answer_or_question_has_one_effect(office: Office) -> None:
    email = somebody()
    asked = pb.SubmitInquiryRequest(inquiry=question(email), request_id="ask-1")
    first, second = [await office.contact.SubmitInquiry(asked) for _ in range(2)]
    assert first == second
    answer = pb.AnswerInquiryRequest(name=first.name, answer="Yes.", request_id="answer-1")
    done = [await office.contact.AnswerInquiry(answer, metadata=office.staff.token) for _ in range(2)]
    assert done[0] == done[1]
    assert await mails_to(office.client.database, email) == [NotificationKind.INQUIRY_ANSWER]


async def test_who_asks_with_the_address_of_an_account_puts_nothing_into_its_inbox(office: Office) -> None:
    name = await ask(office, office.customer.email)
    await office.contact.AnswerInquiry(pb.AnswerInquiryRequest(name=name, answer="Yes."), metadata=office.staff.token)
    recipient = await office.client.database.read(
        lambda session: session.scalars(select(Notification.recipient_id).where(Notification.about == name)).one()
    )
    assert recipient is None


async def test_only_staff_read_and_answer(office: Office) -> None:
    name = await ask(office)
    for metadata, code in ((None, "UNAUTHENTICATED"), (office.customer.token, "PERMISSION_DENIED")):
        for call in (
            office.contact.GetInquiry(pb.GetInquiryRequest(name=name), metadata=metadata),
            office.contact.ListInquiries(pb.ListInquiriesRequest(), metadata=metadata),
            office.contact.AnswerInquiry(pb.AnswerInquiryRequest(name=name, answer="x"), metadata=metadata),
        ):
            assert (await refusal(call)).code == code


async def test_an_absent_inquiry_is_not_found(office: Office) -> None:
    for call in (
        office.contact.GetInquiry(pb.GetInquiryRequest(name=ABSENT), metadata=office.staff.token),
        office.contact.AnswerInquiry(pb.AnswerInquiryRequest(name=ABSENT, answer="x"), metadata=office.staff.token),
    ):
        assert (await refusal(call)).code == "NOT_FOUND"


async def test_inquiries_are_listed_newest_first_in_pages_and_by_state(office: Office) -> None:
    names = [await ask(office) for _ in range(5)]
    answer = pb.AnswerInquiryRequest(name=names[1], answer="Yes.")
    await office.contact.AnswerInquiry(answer, metadata=office.staff.token)

    async def listed(state: pb.Inquiry.State.ValueType) -> list[str]:
        found, token = [], ""
        while True:
            page = await office.contact.ListInquiries(
                pb.ListInquiriesRequest(page_size=2, page_token=token, state=state), metadata=office.staff.token
            )
            found += [inquiry.name for inquiry in page.inquiries]
            if not (token := page.next_page_token):
                assert page.total_size == len(found)
                return found

    everything = await listed(pb.Inquiry.STATE_UNSPECIFIED)
    assert everything[:5] == names[::-1]
    assert (await listed(pb.Inquiry.OPEN))[:4] == [names[4], names[3], names[2], names[0]]
    assert names[1] in await listed(pb.Inquiry.ANSWERED)
    assert len(everything) == len(set(everything))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(settings: Settings, database: Database) -> AsyncIterator["contact_pb2_grpc.ContactServiceAsyncStub"]:
    changes = {**QUICK, "rate_limits": True, "rate_limit_inquiries": "2/hour"}
    limited = settings.model_copy(update={**changes, "redis_key_prefix": f"t{uuid4().hex[:8]}"})
    async with served(limited, database) as client:
        yield contact_pb2_grpc.ContactServiceStub(client.channel)


async def test_one_address_asks_only_so_often(guarded: "contact_pb2_grpc.ContactServiceAsyncStub") -> None:
    for _ in range(2):
        await guarded.SubmitInquiry(pb.SubmitInquiryRequest(inquiry=question()))
    refused = await refusal(guarded.SubmitInquiry(pb.SubmitInquiryRequest(inquiry=question(somebody()))))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert refused.facts == {"limit": "inquiries"}
    await guarded.GetContactInfo(pb.GetContactInfoRequest(name="contactInfo"))  # reading is not concerned
