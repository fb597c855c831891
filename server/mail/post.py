"""Speaks SMTP: hands one mail after the other to the mail server, over connections that are kept while there is more.

What came of a mail is one of five: the server took it, refused it, put it off, cannot be used at all for now, or may or
may not have it. The last is as narrow as SMTP lets it be: between the last byte of the text and the server's answer. A
server that must wait, be it for a network or for its administrator, is never a mail's fault.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTPException, SMTPRecipientRefused, SMTPResponseException, SMTPSenderRefused
from aiosmtplib.protocol import SMTPProtocol

from server.mail.composing import Envelope, Mail

_KEEP_IDLE: Final = 5.0
_LINE_STARTS_WITH_DOT: Final = re.compile(rb"(?m)^\.")
_PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_START_INPUT: Final = 354
_COMPLETED: Final = 250
_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has it, and will deliver it or send it back."""

    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not take this mail, now or later."""

    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """The server does not take this mail now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The server takes no mail now, whatever mail it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The connection ended while the server had all of the text and had not answered."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The mail was not handed over, because somebody else has it."""


Outcome = Taken | Refused | PutOff | Unreachable | Uncertain | Withdrawn


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed to. ``starttls`` None: if the server offers it."""

    host: str
    port: int
    tls: bool = False
    starttls: bool | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str, ca_file: Path | None = None) -> Self:
        """Read ``smtp://``, ``smtp+starttls://`` or ``smtps://user:password@host:port``, as the settings have it."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            starttls={"smtp": None, "smtp+starttls": True, "smtps": False}[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            ca_file=ca_file,
        )

    def context(self) -> ssl.SSLContext:
        """How certificates are checked. Where encryption is only taken if offered, nobody is kept out by a wrong one:
        whoever could forge it could as well not offer it.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.starttls is None and self.ca_file is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Post:
    """Hands mails over. Belongs to one event loop.

    Args:
        server: the mail server.
        connections: how many at once.
        timeout: seconds to wait for one answer.
        greeting: the name by which this client greets the server.
    """

    def __init__(self, server: MailServer, *, connections: int, timeout: float, greeting: str) -> None:
        self._server = server
        self._free = asyncio.Semaphore(connections)
        self._timeout = timeout
        self._greeting = greeting
        self._context = server.context()
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def deliver(self, mail: Mail, hand_over: Callable[[], Awaitable[bool]]) -> Outcome:
        """Hand one mail over.

        Args:
            mail: what is sent.
            hand_over: called when the server is ready for the text, and before it gets any of it; False: do not.
        """
        async with self._free:
            opened = await self._open(mail.envelope)
            if not isinstance(opened, aiosmtplib.SMTP):
                return opened
            try:
                if not await hand_over():
                    await self._release(opened)
                    return Withdrawn()
                outcome = await self._send(opened, mail.content)
            except BaseException:
                opened.close()
                raise
            if isinstance(outcome, Taken):
                self._idle.append((opened, time.monotonic()))
            elif isinstance(outcome, Refused | PutOff):
                await self._release(opened)
            else:
                opened.close()
            return outcome

    def close_idle(self) -> None:
        """Close connections that were not used for some seconds."""
        oldest = time.monotonic() - _KEEP_IDLE
        kept = [(smtp, since) for smtp, since in self._idle if since >= oldest]
        for smtp, since in self._idle:
            if since < oldest:
                smtp.close()
        self._idle = kept

    async def close(self) -> None:
        """Take leave of the server."""
        idle, self._idle = self._idle, []
        for smtp, _ in idle:
            with suppress(SMTPException, OSError):
                await smtp.quit(timeout=1)
            smtp.close()

    async def _open(self, envelope: Envelope) -> aiosmtplib.SMTP | Refused | PutOff | Unreachable:
        """A connection on which the server waits for the text."""
        while self._idle:
            smtp, _ = self._idle.pop()
            answer = await self._announce(smtp, envelope)
            if not isinstance(answer, Unreachable):
                return answer
            # It was kept for too long, perhaps: a new one tells.
        smtp = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.username,
            password=self._server.password,
            use_tls=self._server.tls,
            start_tls=self._server.starttls,
            tls_context=self._context,
            timeout=self._timeout,
            local_hostname=self._greeting,
        )
        try:
            await smtp.connect()
        except (SMTPException, OSError) as error:
            smtp.close()
            return Unreachable(_said(error))
        return await self._announce(smtp, envelope)

    async def _announce(
        self, smtp: aiosmtplib.SMTP, envelope: Envelope
    ) -> aiosmtplib.SMTP | Refused | PutOff | Unreachable:
        """Say from whom and to whom."""
        options, encoding = [], "ascii"
        if envelope.utf8:
            if not smtp.supports_extension("smtputf8"):
                await self._release(smtp)
                return Refused("the mail server knows no addresses beyond ASCII (SMTPUTF8)")
            options, encoding = ["SMTPUTF8", "BODY=8BITMIME"], "utf-8"
        try:
            await smtp.mail(envelope.sender, options=options, encoding=encoding)
            await smtp.rcpt(envelope.recipient, encoding=encoding)
        except SMTPRecipientRefused as error:
            await self._release(smtp)
            return Refused(_said(error)) if error.code >= _PERMANENT else PutOff(_said(error))
        except SMTPSenderRefused as error:
            # The sender is ours and the same for all mails: whatever is wrong, it is not this mail.
            smtp.close()
            return Unreachable(_said(error))
        except (SMTPException, OSError) as error:
            smtp.close()
            return Unreachable(_said(error))
        return smtp

    async def _send(self, smtp: aiosmtplib.SMTP, content: bytes) -> Taken | Refused | PutOff | Unreachable | Uncertain:
        """Hand the text over. Asked for in two steps, because only the second one can leave a doubt."""
        protocol = smtp.protocol
        try:
            if protocol is None:
                raise aiosmtplib.SMTPServerDisconnected("the connection was lost")
            ready = await protocol.execute_command(b"DATA", timeout=self._timeout)
            if ready.code != _START_INPUT:
                return _refused(ready.code, ready.message)
        except (SMTPException, OSError) as error:
            return Unreachable(_said(error))
        return await self._send_text(protocol, content)

    async def _send_text(self, protocol: SMTPProtocol, content: bytes) -> Taken | Refused | PutOff | Uncertain:
        try:
            protocol.write(_LINE_STARTS_WITH_DOT.sub(b"..", content) + b".\r\n")
            answer = await protocol.read_response(timeout=self._timeout)
        except (SMTPException, OSError) as error:
            return Uncertain(_said(error))
        if answer.code == _COMPLETED:
            return Taken(answer.message)
        return _refused(answer.code, answer.message)

    async def _release(self, smtp: aiosmtplib.SMTP) -> None:
        """Keep a connection after a mail that was not taken, if the server still talks."""
        try:
            await smtp.rset()
        except (SMTPException, OSError):
            smtp.close()
        else:
            self._idle.append((smtp, time.monotonic()))


def _refused(code: int, message: str) -> Refused | PutOff:
    said = f"{code} {message}"
    return Refused(said) if code >= _PERMANENT else PutOff(said)


def _said(error: BaseException) -> str:
    """What went wrong, as the server said it, or as the network did. Without addresses of ours."""
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
