"""Codes and passwords under callers that come at the same moment; each with its control."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from server.db.engine import Database
from server.db.models.accounts import AccountCode, Session, User
from server.domain import account_codes, accounts, credentials, sessions
from server.errors import RowlockError
from server.states import CodePurpose
from tests.invariants import assert_sound

pytestmark = pytest.mark.race

TTL = timedelta(days=30)
EMAIL = "ada@example.com"
OLD, NEW = "an old hash", "a new hash"


def account(database: Database) -> UUID:
    def make(session: DatabaseSession) -> UUID:
        accounts.sign_up(session, email=EMAIL, display_name="Ada", locale="", password_hash=OLD)
        user = accounts.find_by_email(session, EMAIL)
        assert user is not None
        return user.id

    return database.run_transaction(make)


def code(database: Database, user_id: UUID, purpose: CodePurpose) -> str:
    return database.run_transaction(lambda session: account_codes.issue(session, user_id, purpose, email=EMAIL))


async def at_once(database: Database, *works: Callable[[DatabaseSession], Any]) -> list[Any]:
    """Run every work in a transaction of its own, together; give the results or the errors."""
    return await asyncio.gather(*(database.transaction(work) for work in works), return_exceptions=True)


def reasons(outcomes: list[Any]) -> list[str]:
    return [outcome.reason for outcome in outcomes if isinstance(outcome, RowlockError)]


async def test_a_code_that_twelve_present_at_once_works_for_one(fresh_database: Database) -> None:
    reset = code(fresh_database, account(fresh_database), CodePurpose.RESET_PASSWORD)

    def use(number: int) -> Callable[[DatabaseSession], Any]:
        return lambda session: credentials.reset_password(session, reset, f"hash {number}")

    outcomes = await at_once(fresh_database, *(use(number) for number in range(12)))
    [winner] = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, accounts.Changed)]
    assert reasons(outcomes) == ["CODE_INVALID"] * 11
    assert fresh_database.run_transaction(lambda s: s.scalars(select(User.password_hash)).one()) == f"hash {winner}"
    assert_sound(fresh_database)


async def test_control_without_the_lock_on_the_account_it_works_for_both(
    fresh_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    verification = code(fresh_database, account(fresh_database), CodePurpose.VERIFY_EMAIL)
    together = threading.Barrier(2, timeout=60)
    unlocked, live = account_codes._owner, account_codes._live

    def owner(session: DatabaseSession, code: str, purpose: CodePurpose, *, lock: bool) -> User:
        return unlocked(session, code, purpose, lock=False)

    def found(session: DatabaseSession, code: str, user: User) -> AccountCode:
        row = live(session, code, user)
        together.wait()  # both have found it unused
        return row

    monkeypatch.setattr(account_codes, "_owner", owner)
    monkeypatch.setattr(account_codes, "_live", found)

    def use(session: DatabaseSession) -> UUID:
        return account_codes.redeem(session, verification, CodePurpose.VERIFY_EMAIL).id

    outcomes = await at_once(fresh_database, use, use)
    assert reasons(outcomes) == []


async def test_of_codes_that_are_made_at_once_one_works(fresh_database: Database) -> None:
    user_id = account(fresh_database)

    def make(session: DatabaseSession) -> str:
        return account_codes.issue(session, user_id, CodePurpose.VERIFY_EMAIL, email=EMAIL)

    codes = await at_once(fresh_database, *[make] * 8)
    outcomes = []
    for one in codes:
        outcomes += await at_once(fresh_database, lambda session, one=one: credentials.verify_email(session, one))  # type: ignore[misc]
    assert len(reasons(outcomes)) == 7


async def test_no_session_of_the_old_password_outlives_a_reset(fresh_database: Database) -> None:
    user_id = account(fresh_database)
    old, new = OLD, NEW
    for _ in range(8):
        reset = code(fresh_database, user_id, CodePurpose.RESET_PASSWORD)
        begun = fresh_database.run_transaction(
            lambda session, old=old: sessions.begin(session, user_id, checked_hash=old, ttl=TTL)  # type: ignore[misc]
        )
        assert begun is not None
        outcomes = await at_once(
            fresh_database,
            *[lambda session, old=old: sessions.begin(session, user_id, checked_hash=old, ttl=TTL)] * 3,
            lambda session, token=begun.refresh_token: sessions.rotate(  # type: ignore[misc]
                session, token, ttl=TTL, reuse_window=timedelta(seconds=10)
            ),
            lambda session, reset=reset, new=new: credentials.reset_password(session, reset, new),  # type: ignore[misc]
        )
        assert isinstance(outcomes[-1], accounts.Changed), outcomes
        alive = fresh_database.run_transaction(
            lambda session: session.scalars(select(Session.id).where(Session.revoke_time.is_(None))).all()
        )
        assert alive == []
        old, new = new, old
    assert_sound(fresh_database)


async def test_an_address_and_its_code_that_change_at_once_verify_nothing_that_was_not_shown(
    fresh_database: Database,
) -> None:
    user_id = account(fresh_database)
    verification = code(fresh_database, user_id, CodePurpose.VERIFY_EMAIL)
    await at_once(
        fresh_database,
        lambda session: credentials.verify_email(session, verification),
        lambda session: accounts.update_user(session, user_id, email="new@example.com"),
    )
    user = fresh_database.run_transaction(lambda session: session.get_one(User, user_id))
    assert (user.email, user.email_verify_time) == ("new@example.com", None)
