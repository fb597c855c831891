"""A real mail server that delivers nothing: it keeps each mail as a file and says so in one line of the log."""

from __future__ import annotations

import asyncio
import contextlib
import email
import logging
import re
import signal
import socket
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

_LARGEST: Final = 50 * 1024 * 1024
_CODE: Final = re.compile(r"code[^:\n]*: ([A-Za-z0-9_-]{20,})")

_log = structlog.get_logger(__name__)


class MailCatcher:
    """Keeps mails in a folder, one ``.eml`` file each, which mail programs open.

    Args:
        folder: made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - SMTP's name
        """Keep one mail."""
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        message = email.message_from_string(raw.decode(errors="replace"), policy=default)
        file = self._keep(raw, str(message["subject"] or ""))
        _log.info(
            "mail.caught",
            to=", ".join(envelope.rcpt_tos),
            subject=str(message["subject"]),
            **_shown(message),
            file=str(file),
        )
        return "250 kept"

    def _keep(self, raw: bytes, subject: str) -> Path:
        """Write a file under a name that sorts by time, whole or not at all."""
        self._number += 1
        words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:40]
        file = self._folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{self._number:04d}-{words}.eml"
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(raw)
        return unfinished.rename(file)

    async def run(self, listening: socket.socket) -> None:
        """Answer on a socket until SIGTERM or SIGINT."""
        # One line a mail is what people want to see, and not every word of the conversation.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_server(self.session, sock=listening)
        async with server:
            _log.info("catching mails", folder=str(self._folder))
            await stop.wait()

    def session(self) -> SMTP:
        """What talks to one client."""
        return SMTP(self, data_size_limit=_LARGEST, enable_SMTPUTF8=True, hostname="localhost")


def free_address() -> str:
    """An address of this machine on which nobody listens at the moment."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _shown(message: EmailMessage) -> dict[str, str]:
    """What else is worth a look: the code of a verification or reset mail, and how many files there are."""
    text = message.get_body(("plain",))
    code = _CODE.search(text.get_content()) if isinstance(text, EmailMessage) else None
    files = [str(part.get_filename()) for part in message.iter_attachments()]
    return {**({"code": code[1]} if code else {}), **({"files": ", ".join(files)} if files else {})}
