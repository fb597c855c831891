"""Password hashing on threads of its own, so that a wave of log-ins cannot hold up bookings."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from server.domain.passwords import PasswordHasher
from server.errors import Unavailable

T = TypeVar("T")

_WAITING_PER_THREAD: Final = 50


class PasswordHashing:
    """A hasher and the threads that it works on.

    Args:
        hasher: does the work.
        threads: how many hashes are computed at once; about fifty callers per thread may wait.
    """

    def __init__(self, hasher: PasswordHasher, *, threads: int) -> None:
        self._hasher = hasher
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._limit = threads * _WAITING_PER_THREAD
        self._running = 0

    async def hash(self, password: str) -> str:
        """Hash with a fresh salt.

        Raises:
            Unavailable: OVERLOADED, too many wait already.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one. None (no such account) takes as long and is never right.

        Raises:
            Unavailable: OVERLOADED, too many wait already.
        """
        return await self._run(lambda: self._hasher.verify(password_hash, password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether a hash was made with other costs than are set now."""
        return self._hasher.is_outdated(password_hash)

    def close(self) -> None:
        """End the threads when what they do is done."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._running >= self._limit:
            raise Unavailable("OVERLOADED", "too many log-ins at once; come back in a moment", retry_after=2)
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._running -= 1
