"""Inquiries, contact data and links as messages."""

from rowlock.v1 import contact_pb2 as pb
from server import resources
from server.db.models.contact import ContactInfo, Inquiry, SocialLink
from server.domain.etags import etag_of
from server.services.wire import timestamp


def inquiry_message(inquiry: Inquiry) -> pb.Inquiry:
    """An inquiry."""
    return pb.Inquiry(
        name=resources.inquiry(inquiry.id),
        sender_name=inquiry.sender_name,
        sender_email=inquiry.sender_email,
        subject=inquiry.subject,
        message=inquiry.message,
        state=pb.Inquiry.OPEN if inquiry.answer_time is None else pb.Inquiry.ANSWERED,
        answer=inquiry.answer or "",
        answerer=resources.user(inquiry.answerer_id) if inquiry.answerer_id else "",
        create_time=timestamp(inquiry.create_time),
        answer_time=timestamp(inquiry.answer_time),
    )


def contact_info_message(info: ContactInfo) -> pb.ContactInfo:
    """The contact data."""
    return pb.ContactInfo(
        name=resources.CONTACT_INFO,
        display_name=info.display_name,
        email=info.email,
        phone=info.phone,
        address=info.address,
        opening_hours=info.opening_hours,
        etag=etag_of(info.version),
        update_time=timestamp(info.update_time),
    )


def social_link_message(link: SocialLink) -> pb.SocialLink:
    """A link."""
    return pb.SocialLink(
        name=resources.social_link(link.id),
        display_name=link.display_name,
        uri=link.uri,
        position=link.position,
        etag=etag_of(link.version),
        create_time=timestamp(link.create_time),
        update_time=timestamp(link.update_time),
    )
