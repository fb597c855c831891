"""Sessions of staff: who comes in, for how long, and what is forgotten."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest

from console.sessions import NotStaff, Sessions
from rowlock.v1 import auth_pb2
from rowlock_client.errors import Unavailable


@dataclass
class Accounts:
    """Stands for the API: everybody may log in, and is logged out one by one."""

    role: Any = auth_pb2.ROLE_STAFF
    away: bool = False
    logged_out: int = 0
    clients: list["Accounts"] = field(default_factory=list)

    def sharing_connection(self) -> "Accounts":
        return self

    async def log_in(self, email: str, _password: str) -> auth_pb2.LogInResponse:
        return auth_pb2.LogInResponse(user=auth_pb2.User(email=email, role=self.role))

    async def log_out(self) -> None:
        if self.away:
            raise Unavailable(grpc.StatusCode.UNAVAILABLE, "away")
        self.logged_out += 1


class Clock:
    """Stands still until it is put forward."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def sessions_of(accounts: Accounts, clock: Clock) -> Sessions:
    return Sessions(accounts, timedelta(minutes=10), clock=clock)  # type: ignore[arg-type] # what it needs of a client


async def test_each_sign_in_is_a_session_of_its_own() -> None:
    sessions = sessions_of(Accounts(), Clock())
    first, second = await sessions.begin("a@example.org", "-"), await sessions.begin("a@example.org", "-")
    assert first != second
    await sessions.end(first)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


@pytest.mark.parametrize("role", [role for role in auth_pb2.Role.values() if role not in {2, 3}])
async def test_others_than_staff_are_logged_out_again_at_once(role: Any) -> None:
    accounts = Accounts(role)
    with pytest.raises(NotStaff):
        await sessions_of(accounts, Clock()).begin("a@example.org", "-")
    assert accounts.logged_out == 1


async def test_a_session_lives_as_long_as_it_is_used() -> None:
    clock = Clock()
    sessions = sessions_of(Accounts(), clock)
    session_id = await sessions.begin("a@example.org", "-")
    for _ in range(3):
        clock.now += 599
        assert sessions.find(session_id) is not None
    clock.now += 601
    assert sessions.find(session_id) is None
    clock.now -= 601
    assert sessions.find(session_id) is None, "what has ended does not come back"


async def test_who_never_comes_back_is_forgotten() -> None:
    clock = Clock()
    sessions = sessions_of(Accounts(), clock)
    for _ in range(5):
        await sessions.begin("a@example.org", "-")
    clock.now += 601
    await sessions.begin("b@example.org", "-")
    assert len(sessions._sessions) == 1


async def test_signing_out_works_while_the_server_is_away() -> None:
    accounts = Accounts()
    sessions = sessions_of(accounts, Clock())
    session_id = await sessions.begin("a@example.org", "-")
    accounts.away = True
    await sessions.end(session_id)
    assert sessions.find(session_id) is None
    await sessions.end("unknown")
