"""PayPal as customers of the demo meet it: the page on which they approve. What stands behind is a fake provider."""

from __future__ import annotations

from typing import Final

import httpx

from rowlock.v1.payment_pb2 import Payment
from server.fake_provider.behaviour import Behaviour, Call

_SILENT_ANSWERS: Final = 3
"""After so many questions without an answer the hold has run out: the waits between them double."""


class PayPal:
    """The pages of one fake provider.

    Args:
        base_url: where it is.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=30)

    async def close(self) -> None:
        """End the connection."""
        await self._http.aclose()

    async def approve(self, payment: Payment) -> None:
        """Press the button."""
        answer = await self._http.post(payment.approval_uri, data={"answer": "pay"})
        if answer.is_error:  # a redirection back to the shop is none
            answer.raise_for_status()

    async def fall_silent(self, payment: Payment) -> None:
        """Have it take the money without a word, and not answer when it is asked what it did, for a while."""
        script = {
            Call.CAPTURE.value: [Behaviour.SILENT_AFTER.value],
            Call.SHOW.value: [Behaviour.SILENT_BEFORE.value] * _SILENT_ANSWERS,
        }
        payment_id = payment.name.rpartition("/")[2]
        (await self._http.put(f"/fake/script/{payment_id}", json=script)).raise_for_status()
