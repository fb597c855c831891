"""A real SMTP server for tests, which can be told how to answer, and to go away at the worst moment."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Received:
    """One mail that the server took."""

    sender: str
    recipient: str
    message: EmailMessage

    @property
    def text(self) -> str:
        """The plain text."""
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        """The page."""
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())

    @property
    def files(self) -> dict[str, bytes]:
        """The attachments, by name."""
        return {
            str(part.get_filename()): part.get_payload(decode=True)  # type: ignore[misc]
            for part in self.message.iter_attachments()
        }


@dataclass
class MailServer:
    """What it took, and how it is to answer.

    Attributes:
        on_recipient: answers of the next RCPTs, then "250 OK".
        on_data: answers after the next texts, then "250 OK"; "forget" cuts the connection without having kept it,
            "keep" with.
        connections: how many clients have come.
    """

    port: int = 0
    mails: list[Received] = field(default_factory=list)
    on_sender: list[str] = field(default_factory=list)
    on_recipient: list[str] = field(default_factory=list)
    on_data: list[str] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[None]] | None = None
    connections: int = 0
    users: dict[bytes, bytes] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    utf8: bool = True

    @property
    def url(self) -> str:
        """Where it is."""
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, recipient: str) -> list[Received]:
        """What was taken for one address."""
        return [mail for mail in self.mails if mail.recipient == recipient]

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """From whom."""
        if self.on_sender:
            return self.on_sender.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """To whom."""
        if self.on_recipient and not self.on_recipient[0].startswith("250"):
            return self.on_recipient.pop(0)
        if self.on_recipient:
            self.on_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """The text."""
        answer = self.on_data.pop(0) if self.on_data else "250 OK"
        if answer in ("250 OK", "keep"):
            content = envelope.content
            assert isinstance(content, bytes)
            parsed = email.message_from_string(content.decode(), policy=default)
            assert isinstance(parsed, EmailMessage)
            for recipient in envelope.rcpt_tos:
                self.mails.append(Received(str(envelope.mail_from), recipient, parsed))
        if self.before_answer is not None:
            await self.before_answer()
        if answer in ("keep", "forget"):
            cut(server)
            return "250 nobody hears this"
        return answer

    def session(self) -> SMTP:
        """What talks to one client."""
        self.connections += 1
        return SMTP(
            self,
            hostname="mail.test",
            enable_SMTPUTF8=self.utf8,
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            auth_required=bool(self.users),
            auth_require_tls=False,
            authenticator=self._authenticate if self.users else None,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        known = isinstance(given, LoginPassword) and self.users.get(given.login) == given.password
        return AuthResult(success=known, handled=False)


@asynccontextmanager
async def listening(server: MailServer) -> AsyncIterator[MailServer]:
    """Have it answer, on its port if it has one; at the end of the block it is gone, and connections are cut."""
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(server.session())
        return sessions[-1]

    opened = await asyncio.get_running_loop().create_server(session, "127.0.0.1", server.port)
    server.port = opened.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        opened.close()
        for one in sessions:
            cut(one)
        await opened.wait_closed()


def cut(session: SMTP) -> None:
    """End a connection without a word."""
    if isinstance(session.transport, asyncio.WriteTransport):
        session.transport.abort()
