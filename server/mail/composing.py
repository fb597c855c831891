"""Makes a mail of words: headers, text, HTML, attachments. Pure, but for the date.

Whatever is in a name or a subject, a header stays one header: line ends and control characters are taken out, and
Python's own policy refuses what would be left. Addresses beyond ASCII are written as their domains are looked up
(IDNA), and, where the part before the @ needs it, in UTF-8, which the mail server must then know (SMTPUTF8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from uuid import UUID

import idna

_UNSAFE = dict.fromkeys((*range(32), *range(127, 160), *range(8234, 8239), *range(8294, 8298)), " ")


class AddressError(ValueError):
    """An address that no mail can be sent to."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail; ``kind`` is its media type, such as ``application/pdf``."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the mail server is told beside the text: from whom, to whom, and whether addresses are in UTF-8."""

    sender: str
    recipient: str
    utf8: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready to be handed over."""

    envelope: Envelope
    content: bytes


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all mails of an installation have in common: addresses as in the settings; ``reply_to`` may be empty."""

    sender: str
    reply_to: str = ""

    @property
    def name(self) -> str:
        """The name that mails come from; empty: the address says it all."""
        return parseaddr(self.sender)[0]

    @property
    def domain(self) -> str:
        """The domain that mails come from, as it is looked up."""
        return idna_domain(parseaddr(self.sender)[1].rpartition("@")[2])


def compose(
    letterhead: Letterhead,
    *,
    message_id: UUID,
    recipient: str,
    name: str,
    subject: str,
    text: str,
    html: str,
    attachments: Sequence[Attachment] = (),
) -> Mail:
    """Make a mail.

    Args:
        letterhead: whom it comes from.
        message_id: makes its Message-ID, the same however often it is made: by it, receivers know a repetition.
        recipient: an address.
        name: the recipient's, for people; may be empty.
        subject: one line.
        text: for readers that show no HTML.
        html: for all others.
        attachments: what goes with it.

    Raises:
        AddressError: there is no such address.
    """
    to, from_ = address(recipient, name), address(*reversed(parseaddr(letterhead.sender)))
    utf8 = not (to.addr_spec.isascii() and from_.addr_spec.isascii())
    # Bodies are kept to seven bits, so that no server on the way has to change, or refuse, them.
    policy = (SMTPUTF8 if utf8 else SMTP).clone(cte_type="7bit")
    mail = EmailMessage(policy)
    mail["From"] = from_
    mail["To"] = to
    if letterhead.reply_to:
        mail["Reply-To"] = address(*reversed(parseaddr(letterhead.reply_to)))
    mail["Subject"] = one_line(subject)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{message_id}@{idna_domain(from_.domain)}>"
    # Answering machines leave such mails alone (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    for attachment in attachments:
        main, _, sub = attachment.kind.partition("/")
        parameters = {"charset": "utf-8"} if main == "text" else {}
        name = one_line(attachment.name)
        mail.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name, params=parameters)
    return Mail(Envelope(from_.addr_spec, to.addr_spec, utf8), mail.as_bytes())


def address(text: str, name: str = "") -> Address:
    """An address, with the name that people see.

    Raises:
        AddressError: no mail can be sent there.
    """
    local, _, domain = text.strip().rpartition("@")
    if not local or not domain or any(character in text for character in '<>"(),:;\\ ') or not text.isprintable():
        raise AddressError("not an address")
    try:
        return Address(display_name=one_line(name), username=local, domain=idna_domain(domain))
    except ValueError as error:
        raise AddressError(str(error)) from error


def idna_domain(domain: str) -> str:
    """A domain as it is looked up: ``bücher.example`` is ``xn--bcher-kva.example``.

    Raises:
        AddressError: there is no such domain.
    """
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise AddressError(str(error)) from error


def one_line(text: str) -> str:
    """Text for a header: no line ends, nothing that hides, no more than one space at a time."""
    return " ".join(text.translate(_UNSAFE).split())
