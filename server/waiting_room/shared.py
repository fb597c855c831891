"""Work that many want done after they asked, and that is done once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

Key = TypeVar("Key")


class SharedWork:
    """Does one thing again and again, never twice at a time.

    Args:
        work: what is done.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Return when the work was done once from its beginning, begun no earlier than now.

        Raises:
            Exception: whatever the work raised.
        """
        if self._next is None:
            # In a context of its own: it serves many callers, and must not inherit the deadline of one.
            self._next = asyncio.get_running_loop().create_task(self._after(self._running), context=Context())
        await asyncio.shield(self._next)

    @property
    def is_wanted(self) -> bool:
        """Whether it is being done, or will be."""
        return self._next is not None or (self._running is not None and not self._running.done())

    async def _after(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        self._running, self._next = self._next, None
        await self._work()


class SharedByKey(Generic[Key]):
    """The same for each of many things, of which those that nobody wants are forgotten.

    Args:
        work: what is done for a key.
    """

    def __init__(self, work: Callable[[Key], Awaitable[None]]) -> None:
        self._work = work
        self._shared: dict[Key, SharedWork] = {}

    def __contains__(self, key: Key) -> bool:
        """Whether it is being done for the key, or will be."""
        return key in self._shared

    async def done(self, key: Key) -> None:
        """As ``SharedWork.done``, for one key."""
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = SharedWork(lambda: self._work(key))
        try:
            await shared.done()
        finally:
            if not shared.is_wanted:
                self._shared.pop(key, None)
