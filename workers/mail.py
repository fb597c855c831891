"""Sends mails."""

from typing import Final

from workers.runtime import WorkerRuntime
from workers.work import Work


async def send_mail(runtime: WorkerRuntime) -> None:
    """Take up every message that is due; see ``server.mail.sending``."""
    await runtime.mails.run()


WORK: Final = Work("send_mail", "mail", lambda settings: settings.mail_sweep_interval, send_mail)
