"""Accounts and sessions under callers that come at the same moment; each with its control."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session as DatabaseSession

from server.db.engine import Database
from server.db.models.accounts import RefreshToken, Session, User
from server.domain import accounts, sessions
from server.errors import FailedPrecondition, RowlockError
from server.states import Role

pytestmark = pytest.mark.race

TTL = timedelta(days=30)
HASH = "a hash"


def account(database: Database, email: str, role: Role = Role.CUSTOMER) -> UUID:
    def make(session: DatabaseSession) -> UUID:
        accounts.sign_up(session, email=email, display_name="Ada", locale="", password_hash=HASH)
        user = accounts.find_by_email(session, email)
        assert user is not None
        user.role = role
        return user.id

    return database.run_transaction(make)


def begin(database: Database, user_id: UUID) -> sessions.SignedIn:
    begun = database.run_transaction(lambda session: sessions.begin(session, user_id, checked_hash=HASH, ttl=TTL))
    assert begun is not None
    return begun


async def at_once(database: Database, *works: Callable[[DatabaseSession], Any]) -> list[Any]:
    """Run every work in a transaction of its own, together; give the results or the errors."""
    return await asyncio.gather(*(database.transaction(work) for work in works), return_exceptions=True)


def rows(database: Database, model: type) -> int:
    return database.run_transaction(lambda session: session.scalar(select(func.count()).select_from(model))) or 0


async def test_a_refresh_token_presented_sixteen_times_at_once_has_one_successor(fresh_database: Database) -> None:
    begun = begin(fresh_database, account(fresh_database, "ada@example.com"))

    def rotate(session: DatabaseSession) -> sessions.SignedIn | sessions.Reused:
        return sessions.rotate(session, begun.refresh_token, ttl=TTL, reuse_window=timedelta(seconds=10))

    outcomes = await at_once(fresh_database, *[rotate] * 16)
    assert len({outcome.refresh_token for outcome in outcomes}) == 1
    assert rows(fresh_database, RefreshToken) == 2


async def test_with_no_time_to_present_it_again_exactly_one_of_sixteen_succeeds(fresh_database: Database) -> None:
    begun = begin(fresh_database, account(fresh_database, "ada@example.com"))

    def rotate(session: DatabaseSession) -> sessions.SignedIn | sessions.Reused:
        return sessions.rotate(session, begun.refresh_token, ttl=TTL, reuse_window=timedelta(0))

    outcomes = await at_once(fresh_database, *[rotate] * 16)
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds.count("SignedIn") == 1
    assert kinds.count("Reused") == 1
    assert kinds.count("Unauthenticated") == 14


async def test_control_without_the_lock_on_the_session_several_succeed(
    fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(fresh_database, account(fresh_database, "ada@example.com"))
    together = threading.Barrier(2, timeout=60)

    def unlocked(session: DatabaseSession, session_id: UUID) -> Session | None:
        return session.get(Session, session_id)

    def clock(session: DatabaseSession) -> Any:
        together.wait()  # both have read that the token is unused
        return session.scalar(select(func.clock_timestamp()))

    monkeypatch.setattr(sessions, "_lock", unlocked)
    monkeypatch.setattr(sessions, "database_now", clock)
    monkeypatch.setattr(sessions, "_successor", lambda _family, token: f"{token}{threading.get_ident()}")

    def rotate(session: DatabaseSession) -> sessions.SignedIn | sessions.Reused:
        return sessions.rotate(session, begun.refresh_token, ttl=TTL, reuse_window=timedelta(0))

    outcomes = await at_once(fresh_database, rotate, rotate)
    assert [type(outcome).__name__ for outcome in outcomes] == ["SignedIn", "SignedIn"]


async def test_log_out_and_refresh_at_once_leave_an_ended_session(fresh_database: Database) -> None:
    user_id = account(fresh_database, "ada@example.com")
    for _ in range(10):
        token = begin(fresh_database, user_id).refresh_token
        ended, rotated = await at_once(
            fresh_database,
            lambda session, token=token: sessions.log_out(session, token),  # type: ignore[misc]
            lambda session, token=token: sessions.rotate(  # type: ignore[misc]
                session, token, ttl=TTL, reuse_window=timedelta(seconds=10)
            ),
        )
        assert isinstance(ended, UUID)
        following = rotated.refresh_token if isinstance(rotated, sessions.SignedIn) else token
        with pytest.raises(RowlockError) as refused:
            fresh_database.run_transaction(
                lambda session, following=following: sessions.rotate(  # type: ignore[misc]
                    session, following, ttl=TTL, reuse_window=timedelta(seconds=10)
                )
            )
        assert refused.value.reason == "TOKEN_REVOKED"


async def test_no_session_outlives_a_change_that_ends_them_all(fresh_database: Database) -> None:
    user_id = account(fresh_database, "ada@example.com")
    for role in (Role.STAFF, Role.CUSTOMER) * 5:
        tokens = [begin(fresh_database, user_id).refresh_token for _ in range(4)]
        rotations = [
            lambda session, token=token: sessions.rotate(session, token, ttl=TTL, reuse_window=timedelta(seconds=10))
            for token in tokens
        ]
        outcomes = await at_once(
            fresh_database,
            *rotations,
            lambda session, role=role: accounts.set_role(session, user_id, role),  # type: ignore[misc]
            lambda session: sessions.begin(session, user_id, checked_hash=HASH, ttl=TTL),
        )
        assert not [
            outcome for outcome in outcomes if isinstance(outcome, Exception) and not isinstance(outcome, RowlockError)
        ]
        # Whoever got through before the change has an ended session; whoever came after has the new role.
        for outcome in outcomes:
            if isinstance(outcome, sessions.SignedIn):
                alive = fresh_database.run_transaction(
                    lambda session, outcome=outcome: session.get_one(Session, outcome.session_id).revoke_time is None  # type: ignore[misc]
                )
                assert not alive or outcome.user.role is role


async def test_one_address_signed_up_eight_times_at_once_is_one_account(fresh_database: Database) -> None:
    def sign_up(number: int) -> Callable[[DatabaseSession], None]:
        return lambda session: accounts.sign_up(
            session,
            email="ADA@example.com" if number % 2 else "ada@Example.com",
            display_name=f"Ada {number}",
            locale="",
            password_hash=HASH,
        )

    outcomes = await at_once(fresh_database, *(sign_up(number) for number in range(8)))
    assert outcomes == [None] * 8
    assert rows(fresh_database, User) == 1


@pytest.mark.promise("4.1")
async def test_two_users_who_want_the_same_address_at_once(fresh_database: Database) -> None:
    users = [account(fresh_database, f"{name}@example.com") for name in ("ada", "bob", "eve")]
    outcomes = await at_once(
        fresh_database,
        *(lambda session, user=user: accounts.update_user(session, user, email="Same@example.com") for user in users),
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, RowlockError)]
    assert [error.reason for error in refused] == ["EMAIL_TAKEN"] * 2


async def _two_admins_remove_each_other(database: Database) -> list[Any]:
    one = account(database, "one@example.com", Role.ADMIN)
    two = account(database, "two@example.com", Role.ADMIN)
    return await at_once(
        database,
        lambda session: accounts.set_role(session, one, Role.CUSTOMER),
        lambda session: accounts.disable(session, two),
    )


async def test_two_administrators_cannot_remove_each_other(fresh_database: Database) -> None:
    outcomes = await _two_admins_remove_each_other(fresh_database)
    refused = [outcome for outcome in outcomes if isinstance(outcome, FailedPrecondition)]
    assert [error.reason for error in refused] == ["LAST_ADMIN"]


async def test_control_without_the_lock_they_can(fresh_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=60)
    check = accounts._require_another_admin

    def checked_together(session: DatabaseSession, user: User) -> None:
        check(session, user)
        together.wait()

    monkeypatch.setattr(accounts, "_lock_admins", lambda _session: None)
    monkeypatch.setattr(accounts, "_require_another_admin", checked_together)
    outcomes = await _two_admins_remove_each_other(fresh_database)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
