"""Waits in tests for what happens by itself, in another process or task."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return as soon as ``condition`` is true.

    Raises:
        TimeoutError: it was not within ``seconds``.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody could set an event: it happens in a database
            await asyncio.sleep(0.05)


def eventually_blocking(condition: Callable[[], object], seconds: float = 60) -> None:
    """The same where there is no event loop.

    Raises:
        TimeoutError: it was not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
