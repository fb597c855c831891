"""Where the house can be found: its contact data, of which there is one row, and its links elsewhere."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import resources
from server.db.models.contact import ContactInfo, SocialLink
from server.domain.rows import Listing, behind, changed, count, found, locked

_THE_ROW = 1


def contact_info(session: Session) -> ContactInfo:
    """The contact data."""
    return session.get_one(ContactInfo, _THE_ROW)


def update_contact_info(session: Session, values: Mapping[str, str], etag: str) -> ContactInfo:
    """Change some of the contact data, by column.

    Raises:
        Aborted: ETAG_MISMATCH.
    """
    info = locked(session, select(ContactInfo), resources.CONTACT_INFO, etag)
    for column, value in values.items():
        setattr(info, column, value)
    changed(session, info)
    return info


def create_social_link(session: Session, *, display_name: str, uri: str, position: int) -> SocialLink:
    """Make a link."""
    link = SocialLink(display_name=display_name, uri=uri, position=position)
    session.add(link)
    session.flush()
    return link


def get_social_link(session: Session, link_id: int) -> SocialLink:
    """Read a link.

    Raises:
        NotFound: there is none.
    """
    return found(session.get(SocialLink, link_id), resources.social_link(link_id))


def social_links(session: Session, after: tuple[int, int] | None, limit: int) -> Listing[SocialLink]:
    """Links by position, those behind ``after`` (position, id)."""
    query = select(SocialLink)
    keys = (SocialLink.position, SocialLink.id)
    rows = query if after is None else query.where(behind(keys, after))
    return Listing(session.scalars(rows.order_by(*keys).limit(limit)).all(), count(session, query))


def update_social_link(session: Session, link_id: int, values: Mapping[str, str | int], etag: str) -> SocialLink:
    """Change a link, by column.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    link = _locked(session, link_id, etag)
    for column, value in values.items():
        setattr(link, column, value)
    changed(session, link)
    return link


def delete_social_link(session: Session, link_id: int, etag: str) -> None:
    """Delete a link.

    Raises:
        NotFound: there is none.
        Aborted: ETAG_MISMATCH.
    """
    session.delete(_locked(session, link_id, etag))


def _locked(session: Session, link_id: int, etag: str) -> SocialLink:
    query = select(SocialLink).where(SocialLink.id == link_id)
    return locked(session, query, resources.social_link(link_id), etag)
