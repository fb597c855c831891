"""The fake provider's webhooks: what it has to tell, when it is sent, and how often."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import structlog

from server.fake_provider.behaviour import Delivery
from server.fake_provider.signing import Signer, Transmission

_TIMES: Final = {Delivery.NORMAL: 1, Delivery.EARLY: 1, Delivery.TWICE: 2, Delivery.FIVE_TIMES: 5}
_TRIES: Final = 8
_FIRST_WAIT: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Notification:
    """One event, and the transmissions of it."""

    event: dict[str, Any]
    payment: str
    transmissions: list[Transmission] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """What is sent: the same bytes each time."""
        return json.dumps(self.event).encode()


class Outbox:
    """Sends webhooks. Belongs to one event loop.

    Args:
        signer: signs each transmission.
        url: where to; None: nowhere, they are kept to be looked at.
    """

    def __init__(self, signer: Signer, url: str | None) -> None:
        self.notifications: list[Notification] = []
        self._signer = signer
        self._url = url
        self._tasks: set[asyncio.Task[None]] = set()

    async def tell(self, event: dict[str, Any], payment: str, delivery: Delivery) -> None:
        """Tell the shop of an event; with EARLY it has taken it (or refused it) when this returns."""
        notification = Notification(event, payment)
        self.notifications.append(notification)
        if delivery is Delivery.EARLY:
            await self._post(notification)
            return
        for _ in range(_TIMES.get(delivery, 0)):
            task = asyncio.create_task(self._deliver(notification))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def send(self, notification: Notification) -> bool:
        """Send one now; returns whether it was taken."""
        return await self._post(notification)

    def sign(self, notification: Notification) -> Transmission:
        """Make a transmission that somebody else carries."""
        transmission = self._signer.sign(notification.body)
        notification.transmissions.append(transmission)
        return transmission

    def sent(self, transmission_id: str) -> tuple[Notification, Transmission] | None:
        """A transmission that was really made."""
        for notification in self.notifications:
            for transmission in notification.transmissions:
                if transmission.id == transmission_id:
                    return notification, transmission
        return None

    async def close(self) -> None:
        """Send nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, notification: Notification) -> None:
        wait = _FIRST_WAIT
        for _ in range(_TRIES):
            if await self._post(notification):
                return
            await asyncio.sleep(wait)
            wait *= 2

    async def _post(self, notification: Notification) -> bool:
        if self._url is None:
            return True
        transmission = self.sign(notification)
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                response = await client.post(self._url, content=transmission.body, headers=transmission.headers)
        except httpx.HTTPError as error:
            _log.info("fake_provider.webhook_not_taken", error=type(error).__name__)
            return False
        return response.is_success
