"""Contact data and links over a socket: anybody reads, staff change."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import contact_pb2 as pb
from tests.rpc.auth.conftest import refusal
from tests.rpc.contact.conftest import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def read(office: Office) -> pb.ContactInfo:
    return await office.contact.GetContactInfo(pb.GetContactInfoRequest(name="contactInfo"))


async def update(office: Office, *paths: str, **fields: Any) -> pb.ContactInfo:
    mask = FieldMask(paths=paths) if paths else None
    request = pb.UpdateContactInfoRequest(contact_info=pb.ContactInfo(**fields), update_mask=mask)
    return await office.contact.UpdateContactInfo(request, metadata=office.staff.token)


async def link(office: Office, name: str, position: int = 0) -> pb.SocialLink:
    wanted = pb.SocialLink(display_name=name, uri=f"https://example.com/{name}", position=position)
    return await office.contact.CreateSocialLink(
        pb.CreateSocialLinkRequest(social_link=wanted), metadata=office.staff.token
    )


async def listed(office: Office) -> list[str]:
    answer = await office.contact.ListSocialLinks(pb.ListSocialLinksRequest())
    assert answer.total_size == len(answer.social_links)
    return [each.display_name for each in answer.social_links]


@pytest.mark.promise("2.9")
async def test_everybody_reads_where_the_house_is_and_staff_say_it(office: Office) -> None:
    assert (await read(office)).name == "contactInfo"
    said = await update(
        office,
        display_name="The Globe",
        email="house@example.com",
        phone="+44 20 7902 1400",
        address="21 New Globe Walk\nLondon",
        opening_hours="Daily, 10 to 18",
    )
    assert said == await read(office)
    changed = await update(office, "phone", "opening_hours", phone="+44 20 1", display_name="ignored")
    assert (changed.phone, changed.opening_hours, changed.display_name) == ("+44 20 1", "", "The Globe")
    assert changed.etag != said.etag
    stale = await refusal(update(office, display_name="The Rose", etag=said.etag))
    assert (stale.code, stale.reason) == ("ABORTED", "ETAG_MISMATCH")


async def test_customers_change_no_contact_data(office: Office) -> None:
    request = pb.UpdateContactInfoRequest(contact_info=pb.ContactInfo(display_name="Mine"))
    call = office.contact.UpdateContactInfo(request, metadata=office.customer.token)
    assert (await refusal(call)).code == "PERMISSION_DENIED"


@pytest.mark.promise("2.9")
async def test_links_are_made_listed_by_position_changed_and_deleted(office: Office) -> None:
    second, first = await link(office, "Mastodon", 2), await link(office, "Newsletter", 1)
    assert await listed(office) == ["Newsletter", "Mastodon"]
    assert await office.contact.GetSocialLink(pb.GetSocialLinkRequest(name=first.name)) == first

    moved = await office.contact.UpdateSocialLink(
        pb.UpdateSocialLinkRequest(
            social_link=pb.SocialLink(name=second.name, etag=second.etag), update_mask=FieldMask(paths=["position"])
        ),
        metadata=office.staff.token,
    )
    assert (moved.position, moved.uri) == (0, second.uri)
    assert await listed(office) == ["Mastodon", "Newsletter"]

    stale = pb.DeleteSocialLinkRequest(name=second.name, etag=second.etag)
    assert (await refusal(office.contact.DeleteSocialLink(stale, metadata=office.staff.token))).code == "ABORTED"
    for each in (first, moved):
        await office.contact.DeleteSocialLink(
            pb.DeleteSocialLinkRequest(name=each.name, etag=each.etag), metadata=office.staff.token
        )
    assert await listed(office) == []
    gone = office.contact.GetSocialLink(pb.GetSocialLinkRequest(name=first.name))
    assert (await refusal(gone)).code == "NOT_FOUND"


@pytest.mark.parametrize("uri", ["http://example.com", "javascript:alert(1)", "https:/example.com", "ftp://x.example"])
async def test_a_link_leads_to_https(office: Office, uri: str) -> None:
    wanted = pb.SocialLink(display_name="Elsewhere", uri=uri)
    call = office.contact.CreateSocialLink(pb.CreateSocialLinkRequest(social_link=wanted), metadata=office.staff.token)
    refused = await refusal(call)
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("social_link.uri",))
