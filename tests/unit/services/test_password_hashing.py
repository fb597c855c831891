import asyncio
import threading

import pytest

from server.domain.passwords import PasswordHasher
from server.errors import Unavailable
from server.services.password_hashing import PasswordHashing


class Slow(PasswordHasher):
    """Hashes when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, passes=1)
        self.go = threading.Event()

    def verify(self, password_hash: str | None, password: str) -> bool:
        self.go.wait(60)
        return super().verify(password_hash, password)


async def test_hashing_does_not_hold_up_the_event_loop_and_turns_away_what_it_cannot_do_in_time() -> None:
    slow = Slow()
    hashing = PasswordHashing(slow, threads=1)
    stored = slow.hash("correct horse battery")
    waiting = [asyncio.create_task(hashing.verify(stored, "correct horse battery")) for _ in range(50)]
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as refused:
        await hashing.verify(stored, "correct horse battery")
    assert refused.value.reason == "OVERLOADED"
    assert refused.value.retry_after
    slow.go.set()
    assert all(await asyncio.gather(*waiting))
    assert not await hashing.verify(None, "correct horse battery")
    hashing.close()
