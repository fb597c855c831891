"""The mail server, and what mails say."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from email.utils import parseaddr
from typing import Annotated
from urllib.parse import urlsplit

import idna
from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, FilePath

from server.config.area import Area, seconds, setting
from server.config.values import OptionalRate, PositiveDuration, PublicUrl, read_duration

_SMTP_SCHEMES = ("smtp://", "smtp+starttls://", "smtps://")


def _smtp_url(value: str) -> str:
    if not value:
        return value
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        if value.startswith(_SMTP_SCHEMES) and url.hostname and (url.port or 0) >= 0:
            return value
    raise ValueError("must be such as smtp://host:25, smtp+starttls://user:password@host:587 or smtps://host:465")


def _mail_address(value: str) -> str:
    _, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        known = domain.isascii() or idna.encode(domain, uts46=True)
        if not value or (local and domain and known and value.isprintable() and not set(address) & set(' <>"')):
            return value
    raise ValueError("must be such as tickets@example.org or Box Office <tickets@example.org>")


class MailSettings(Area):
    """The mail server, and what mails say."""

    heading = "Mail"

    smtp_url: Annotated[str, AfterValidator(_smtp_url)] = setting(
        "",
        "The mail server: `smtp://` (encrypted if the server offers it), `smtp+starttls://` (must be encrypted) or "
        "`smtps://` (TLS from the first byte), such as smtp+starttls://user:password@host:587. Empty: `rowlock up` "
        "catches mails in `.rowlock/mail`; everywhere else they wait in the database until it is set.",
        repr=False,
    )
    smtp_ca_file: FilePath | None = setting(
        None, "PEM authorities that the mail server's certificate is checked by. Unset: those of the system."
    )
    smtp_timeout: PositiveDuration = setting(
        seconds(60), "Longest wait for one answer of the mail server; past it the connection is given up."
    )
    smtp_connections: int = setting(4, "Most connections to the mail server at once, per worker process.", ge=1, le=64)
    mail_from: Annotated[str, AfterValidator(_mail_address)] = setting(
        "Rowlock <tickets@localhost>", "Whom mails come from; bounces go there, too.", min_length=3
    )
    mail_reply_to: Annotated[str, AfterValidator(_mail_address)] = setting(
        "", "Whom answers to mails go to. Empty: whom they come from."
    )
    mail_rate: OptionalRate = setting(
        "", "Most mails in a time, per worker process, such as 10/second. Empty or `off`: no limit."
    )
    mail_retry_interval: PositiveDuration = setting(
        seconds(30),
        "First wait after the mail server put a mail off; it doubles up to 30 min.",
    )
    mail_give_up_after: Annotated[timedelta, BeforeValidator(read_duration), Field(ge=timedelta(hours=24))] = setting(
        timedelta(days=3),
        "A mail that the server still puts off after so long is FAILED, and waits for staff. At least 24h. The time in "
        "which the server cannot be reached at all ends no mail.",
    )
    mail_repeat_uncertain: bool = setting(
        False,
        "Whether a mail that may or may not have been taken (the connection ended in the moment of the handover) is "
        "sent again by itself, under the same Message-ID. Off: it is FAILED, and staff decide.",
    )
    mail_templates_dir: DirectoryPath | None = setting(
        None, "Folder with templates of your own; those that are not in it are Rowlock's. See docs/mail.md."
    )
    mail_sweep_interval: PositiveDuration = setting(seconds(1), "How often mails that are due are looked for.")
    public_url: PublicUrl = setting(
        "",
        "Where customers find you on the web, such as https://tickets.example.org: links in mails begin with it. "
        "Empty: mails have no links, and codes to be typed.",
    )
