"""What people ask the house, and what it answers; and where people find it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from starlette.requests import Request
from starlette_admin import EmailField, IntegerField, StringField, TextAreaField, URLField, row_action
from starlette_admin.flash import flash

from console.calling import call
from console.columns import Moment, Reference, State
from console.form_fields import OpenedWith, update
from console.forms import dialog, entered, paragraphs
from console.messages import fill
from console.narrowing import Choice, Narrowing, words_of
from console.resources import RpcView
from rowlock.v1 import contact_pb2
from rowlock.v1.contact_pb2_grpc import ContactServiceStub
from rowlock_client.rpc import Rpc

_LONGEST_ANSWER = 10_000
_TEXT, _DETAIL = "fields/list/text.html", "fields/detail/text.html"


class Inquiries(RpcView[contact_pb2.Inquiry]):
    """Inquiries, newest first. An answer goes out by mail, once."""

    key = "inquiries"
    menu_label = "Inquiries"
    display_name = "inquiry"
    icon = "fa fa-envelope-open-text"
    fields = (
        Moment("create_time", label="Asked"),
        State("state"),
        StringField("sender_name", label="Who"),
        EmailField("sender_email", label="Address"),
        StringField("subject"),
        TextAreaField("message", exclude_from_list=True),
        TextAreaField("answer", exclude_from_list=True),
        Reference("answerer", label="Answered by", view="users", exclude_from_list=True),
        Moment("answer_time", label="Answered", exclude_from_list=True),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (Choice("state", "State", words_of(contact_pb2.Inquiry.State)),)
    actions = ()
    row_actions = ("view", "answer")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[contact_pb2.ListInquiriesResponse]:
        """By state."""
        wanted = contact_pb2.ListInquiriesRequest()
        fill(wanted, narrowed)
        return Rpc(ContactServiceStub, "ListInquiries", wanted)

    def get_rpc(self, name: str) -> Rpc[contact_pb2.Inquiry]:
        """One inquiry."""
        return Rpc(ContactServiceStub, "GetInquiry", contact_pb2.GetInquiryRequest(name=name))

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """Who was answered is answered."""
        return name != "answer" or bool(record.state == "OPEN")

    @row_action(
        "answer",
        "Answer",
        confirmation="The answer is mailed to whoever asked, once.",
        icon_class="fa fa-reply",
        submit_btn_text="Send",
        modal_size="lg",
        form=lambda _, __: dialog(paragraphs("answer", "Answer", most=_LONGEST_ANSWER)),
    )
    async def answer(self, request: Request, pk: str) -> None:
        """AnswerInquiry."""
        said = contact_pb2.AnswerInquiryRequest(name=pk, answer=await entered(request, "answer"))
        wanted: Rpc[contact_pb2.Inquiry] = Rpc(ContactServiceStub, "AnswerInquiry", said)
        flash(request, f"Answered {(await call(request, wanted)).sender_name}.", "success")


class ContactData(RpcView[contact_pb2.ContactInfo]):
    """Where the house is found: one page, which customers see."""

    key = "contact"
    menu_label = "Contact"
    display_name = "contact data"
    icon = "fa fa-address-card"
    fields = (
        StringField("display_name", label="Name of the house"),
        # Shown as text: an address that is empty makes no link.
        EmailField("email", label="E-mail", list_template=_TEXT, detail_template=_DETAIL),
        StringField("phone"),
        TextAreaField("address"),
        TextAreaField("opening_hours"),
        Moment("update_time", label="Changed", read_only=True, exclude_from_edit=True),
        OpenedWith(),
    )
    actions = ()
    row_actions = ("view", "edit")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[contact_pb2.ContactInfo]:
        """The one there is."""
        return self.get_rpc("contactInfo")

    def get_rpc(self, name: str) -> Rpc[contact_pb2.ContactInfo]:
        """The one there is."""
        return Rpc(ContactServiceStub, "GetContactInfo", contact_pb2.GetContactInfoRequest(name=name))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> contact_pb2.ContactInfo:
        """UpdateContactInfo."""
        before: contact_pb2.ContactInfo = record.proto
        return await update(request, before, data, _update_info)


class SocialLinks(RpcView[contact_pb2.SocialLink]):
    """Links to the house elsewhere, in their order."""

    key = "social-links"
    menu_label = "Links"
    display_name = "link"
    icon = "fa fa-share-nodes"
    fields = (
        StringField("display_name", label="Name", required=True),
        URLField("uri", label="Address", required=True),
        IntegerField("position", help_text="Smaller comes first."),
        OpenedWith(),
    )

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[contact_pb2.ListSocialLinksResponse]:
        """All of them."""
        return Rpc(ContactServiceStub, "ListSocialLinks", contact_pb2.ListSocialLinksRequest())

    def get_rpc(self, name: str) -> Rpc[contact_pb2.SocialLink]:
        """One link."""
        return Rpc(ContactServiceStub, "GetSocialLink", contact_pb2.GetSocialLinkRequest(name=name))

    async def make(self, request: Request, data: dict[str, Any]) -> contact_pb2.SocialLink:
        """CreateSocialLink."""
        link = contact_pb2.SocialLink()
        fill(link, data)
        wanted: Rpc[contact_pb2.SocialLink] = Rpc(
            ContactServiceStub, "CreateSocialLink", contact_pb2.CreateSocialLinkRequest(social_link=link)
        )
        return await call(request, wanted)

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> contact_pb2.SocialLink:
        """UpdateSocialLink."""
        before: contact_pb2.SocialLink = record.proto
        return await update(request, before, data, _update_link)

    async def remove(self, request: Request, name: str) -> None:
        """DeleteSocialLink."""
        wanted: Rpc[Message] = Rpc(
            ContactServiceStub, "DeleteSocialLink", contact_pb2.DeleteSocialLinkRequest(name=name)
        )
        await call(request, wanted)


def _update_info(info: contact_pb2.ContactInfo, mask: FieldMask) -> Rpc[contact_pb2.ContactInfo]:
    wanted = contact_pb2.UpdateContactInfoRequest(contact_info=info, update_mask=mask)
    return Rpc(ContactServiceStub, "UpdateContactInfo", wanted)


def _update_link(link: contact_pb2.SocialLink, mask: FieldMask) -> Rpc[contact_pb2.SocialLink]:
    wanted = contact_pb2.UpdateSocialLinkRequest(social_link=link, update_mask=mask)
    return Rpc(ContactServiceStub, "UpdateSocialLink", wanted)
