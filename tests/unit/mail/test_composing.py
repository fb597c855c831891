"""A mail is one mail, to one address, whatever is in its names."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.mail.composing import AddressError, Attachment, Letterhead, address, compose, idna_domain, one_line

ID = UUID(int=7)


def composed(**changes: Any) -> EmailMessage:
    given: dict[str, Any] = {
        "message_id": ID,
        "recipient": "ada@example.org",
        "name": "Ada",
        "subject": "Hello",
        "text": "Dear Ada\n",
        "html": "<p>Dear Ada</p>",
    } | changes
    mail = compose(Letterhead("Box Office <tickets@example.org>", "office@example.org"), **given)
    assert mail.content.endswith(b"\r\n")
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    parsed = message_from_bytes(mail.content, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_the_headers() -> None:
    mail = composed()
    assert mail["From"] == "Box Office <tickets@example.org>"
    assert mail["Reply-To"] == "office@example.org"
    assert mail["Message-ID"] == f"<{ID}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"


@given(name=st.text(max_size=60), subject=st.text(max_size=120), text=st.text(max_size=400))
def test_whatever_is_written_in_a_name_or_a_subject_headers_stay_what_they_are(
    name: str, subject: str, text: str
) -> None:
    safe = text.encode("utf-8", "ignore").decode()
    mail = composed(
        name=name.encode("utf-8", "ignore").decode(), subject=subject.encode("utf-8", "ignore").decode(), text=safe
    )
    assert [header.lower() for header in mail] == [
        *("from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type")
    ]
    assert [one.addr_spec for one in mail["To"].addresses] == ["ada@example.org"]


def test_texts_are_kept_to_seven_bits() -> None:
    mail = compose(
        Letterhead("tickets@example.org"),
        message_id=ID,
        recipient="ada@example.org",
        name="",
        subject="Für Ada",
        text="ü" * 3000,
        html="<p>ü</p>",
        attachments=[Attachment("tickets.pdf", "application/pdf", bytes(range(256)))],
    )
    assert mail.content.isascii()
    assert not mail.envelope.utf8


@pytest.mark.parametrize(
    "wrong",
    ["", "ada", "ada@", "@example.org", "a b@example.org", "a@b\r\nRCPT TO:<x@y>", "a@b>", "<a@b", "a,b@c", "a@b\0"],
)
def test_no_address(wrong: str) -> None:
    with pytest.raises(AddressError):
        address(wrong)


def test_domains_are_written_as_they_are_looked_up() -> None:
    assert idna_domain("bücher.example") == "xn--bcher-kva.example"
    assert idna_domain("straße.example") == "xn--strae-oqa.example"
    with pytest.raises(AddressError):
        idna_domain("ü" * 70 + ".example")


def test_one_line() -> None:
    assert one_line(" a\r\n b\t\u202ec \x00d ") == "a b c d"
