"""What a session remembers of others: for a while, and not for ever."""

from types import SimpleNamespace
from typing import Any

from console import known
from console.known import labels


async def test_what_is_believed_no_longer_is_forgotten() -> None:
    remembered = {f"users/{number}": (f"Ada {number}", 0.0) for number in range(known._KEPT)}
    remembered["users/me"] = ("Grace", float("inf"))
    request: Any = SimpleNamespace(state=SimpleNamespace(staff=SimpleNamespace(known=remembered)))
    assert await labels(request, ["users/me", ""]) == {"users/me": "Grace"}
    assert list(remembered) == ["users/me"]
