"""Inquiries: what people ask the house, and what it answered. An inquiry is answered once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.ids import new_id
from server.db.models.contact import Inquiry
from server.domain.notifications import NO_PERFORMANCE, notify
from server.domain.rows import Listing, behind, count, found
from server.errors import FailedPrecondition
from server.states import InquiryState, NotificationKind


def submit(session: Session, *, sender_name: str, sender_email: str, subject: str, message: str) -> Inquiry:
    """Keep a question until staff answer it; ``sender_email`` gets the answer."""
    inquiry = Inquiry(id=new_id(), sender_name=sender_name, sender_email=sender_email, subject=subject, message=message)
    session.add(inquiry)
    return inquiry


def get(session: Session, inquiry_id: UUID) -> Inquiry:
    """Read an inquiry.

    Raises:
        NotFound: there is none.
    """
    return found(session.get(Inquiry, inquiry_id), resources.inquiry(inquiry_id))


def page(
    session: Session, state: InquiryState | None, after: tuple[datetime, UUID] | None, limit: int
) -> Listing[Inquiry]:
    """Inquiries in a state (None: any), newest first, those behind ``after`` (create time, id)."""
    query = select(Inquiry)
    if state is InquiryState.OPEN:
        query = query.where(Inquiry.answer_time.is_(None))
    elif state is InquiryState.ANSWERED:
        query = query.where(Inquiry.answer_time.is_not(None))
    keys = (Inquiry.create_time, Inquiry.id)
    rows = query if after is None else query.where(behind(keys, after, descending=True))
    order = [key.desc() for key in keys]
    return Listing(session.scalars(rows.order_by(*order).limit(limit)).all(), count(session, query))


def answer(session: Session, inquiry_id: UUID, words: str, answerer_id: UUID) -> Inquiry:
    """Answer an inquiry, and mail the answer to whoever asked.

    Raises:
        NotFound: there is none.
        FailedPrecondition: INQUIRY_ANSWERED.
    """
    locked = session.get(Inquiry, inquiry_id, with_for_update={"key_share": True}, populate_existing=True)
    inquiry = found(locked, resources.inquiry(inquiry_id))
    if inquiry.answer_time is not None:
        raise FailedPrecondition(
            "INQUIRY_ANSWERED", "the inquiry was answered already", answer_time=inquiry.answer_time.isoformat()
        )
    now = database_now(session)
    inquiry.answer, inquiry.answerer_id, inquiry.answer_time = words, answerer_id, now
    name = resources.inquiry(inquiry_id)
    notify(
        session,
        NotificationKind.INQUIRY_ANSWER,
        # Not into an inbox: that somebody wrote an address into a form does not make the account with it theirs.
        recipient_id=None,
        email=inquiry.sender_email,
        performance_id=NO_PERFORMANCE,
        subject=name,
        key=name,
        data={},
    )
    return inquiry
