"""ContactService: inquiries and their answers, contact data, links."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from sqlalchemy.orm import Session

from rowlock.v1 import contact_pb2 as pb
from rowlock.v1 import contact_pb2_grpc
from server import resources
from server.call import address
from server.db.engine import Database
from server.domain import contact, inquiries
from server.errors import ResourceExhausted
from server.interceptors.authentication import caller, optional_caller
from server.interceptors.rate_limit import SharedBuckets
from server.payments.wake import MAIL, Waker
from server.services.contact_messages import contact_info_message, inquiry_message, social_link_message
from server.services.field_mask import paths_of
from server.services.mutation import once
from server.services.paging import page_of
from server.states import InquiryState

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Answer = TypeVar("Answer", bound=Message)

_CONTACT_DATA: Final = ("display_name", "email", "phone", "address", "opening_hours")
_LINK: Final = ("display_name", "uri", "position")


class ContactService(contact_pb2_grpc.ContactServiceServicer):
    """The servicer.

    Args:
        database: where everything is.
        waker: has answers mailed at once.
        inquiry_limit: counts inquiries by network address; None: there is no limit.
    """

    def __init__(self, database: Database, waker: Waker, inquiry_limit: SharedBuckets | None) -> None:
        self._database = database
        self._waker = waker
        self._inquiry_limit = inquiry_limit

    async def SubmitInquiry(self, request: pb.SubmitInquiryRequest, context: Context) -> pb.SubmitInquiryResponse:
        """Keep a question of anybody's."""
        await self._admit_inquiry()
        asked = request.inquiry
        known = optional_caller()

        def work(session: Session) -> pb.SubmitInquiryResponse:
            inquiry = inquiries.submit(
                session,
                sender_name=asked.sender_name,
                sender_email=asked.sender_email,
                subject=asked.subject,
                message=asked.message,
            )
            return pb.SubmitInquiryResponse(name=resources.inquiry(inquiry.id))

        scope = known.scope if known else f"addresses/{address.get()}"
        return await once(self._database, request, pb.SubmitInquiryResponse, work, scope=scope)

    async def ListInquiries(self, request: pb.ListInquiriesRequest, context: Context) -> pb.ListInquiriesResponse:
        """List inquiries, newest first."""
        page = page_of(request, datetime, UUID)
        state = InquiryState(request.state) if request.state else None
        found = await self._database.read(lambda session: inquiries.page(session, state, page.after, page.limit))
        rows, next_page_token = page.cut(found.rows, key=lambda inquiry: (inquiry.create_time, inquiry.id))
        return pb.ListInquiriesResponse(
            inquiries=map(inquiry_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def GetInquiry(self, request: pb.GetInquiryRequest, context: Context) -> pb.Inquiry:
        """Read an inquiry."""
        inquiry_id = resources.parse_inquiry(request.name)
        return await self._database.read(lambda session: inquiry_message(inquiries.get(session, inquiry_id)))

    async def AnswerInquiry(self, request: pb.AnswerInquiryRequest, context: Context) -> pb.Inquiry:
        """Answer an inquiry, by mail."""
        inquiry_id, answerer_id = resources.parse_inquiry(request.name), caller().user_id

        def work(session: Session) -> pb.Inquiry:
            return inquiry_message(inquiries.answer(session, inquiry_id, request.answer, answerer_id))

        answered = await self._once(request, pb.Inquiry, work)
        self._waker.wake(MAIL)
        return answered

    async def GetContactInfo(self, request: pb.GetContactInfoRequest, context: Context) -> pb.ContactInfo:
        """Read the contact data."""
        return await self._database.read(lambda session: contact_info_message(contact.contact_info(session)))

    async def UpdateContactInfo(self, request: pb.UpdateContactInfoRequest, context: Context) -> pb.ContactInfo:
        """Change the contact data."""
        wanted = request.contact_info
        values = {path: getattr(wanted, path) for path in paths_of(request.update_mask, wanted, _CONTACT_DATA)}

        def work(session: Session) -> pb.ContactInfo:
            return contact_info_message(contact.update_contact_info(session, values, wanted.etag))

        return await self._once(request, pb.ContactInfo, work)

    async def CreateSocialLink(self, request: pb.CreateSocialLinkRequest, context: Context) -> pb.SocialLink:
        """Make a link."""
        link = request.social_link

        def work(session: Session) -> pb.SocialLink:
            return social_link_message(
                contact.create_social_link(
                    session, display_name=link.display_name, uri=link.uri, position=link.position
                )
            )

        return await self._once(request, pb.SocialLink, work)

    async def GetSocialLink(self, request: pb.GetSocialLinkRequest, context: Context) -> pb.SocialLink:
        """Read a link."""
        link_id = resources.parse_social_link(request.name)
        return await self._database.read(lambda session: social_link_message(contact.get_social_link(session, link_id)))

    async def ListSocialLinks(self, request: pb.ListSocialLinksRequest, context: Context) -> pb.ListSocialLinksResponse:
        """List links by position."""
        page = page_of(request, int, int)
        found = await self._database.read(lambda session: contact.social_links(session, page.after, page.limit))
        rows, next_page_token = page.cut(found.rows, key=lambda link: (link.position, link.id))
        return pb.ListSocialLinksResponse(
            social_links=map(social_link_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateSocialLink(self, request: pb.UpdateSocialLinkRequest, context: Context) -> pb.SocialLink:
        """Change a link."""
        link = request.social_link
        link_id = resources.parse_social_link(link.name, "social_link.name")
        values = {path: getattr(link, path) for path in paths_of(request.update_mask, link, _LINK)}

        def work(session: Session) -> pb.SocialLink:
            return social_link_message(contact.update_social_link(session, link_id, values, link.etag))

        return await self._once(request, pb.SocialLink, work)

    async def DeleteSocialLink(self, request: pb.DeleteSocialLinkRequest, context: Context) -> Empty:
        """Delete a link."""
        link_id = resources.parse_social_link(request.name)

        def work(session: Session) -> Empty:
            contact.delete_social_link(session, link_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)

    async def _once(self, request: Message, answer: type[Answer], work: Callable[[Session], Answer]) -> Answer:
        """Make a change of staff's once, however often it is asked for by the same ``request_id``."""
        return await once(self._database, request, answer, work, scope=caller().scope)

    async def _admit_inquiry(self) -> None:
        """Count an inquiry of the caller's network address.

        Raises:
            ResourceExhausted: RATE_LIMITED.
        """
        if self._inquiry_limit is not None and (wait := await self._inquiry_limit.wait(address.get())):
            raise ResourceExhausted(
                "RATE_LIMITED",
                "too many inquiries from this network address; come back later",
                retry_after=wait,
                limit="inquiries",
            )
