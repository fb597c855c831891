"""The life of a session, as the database decides it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session as DatabaseSession

from server.db.engine import Database
from server.db.models.accounts import ApiKey, RefreshToken, Session, User
from server.domain import accounts, api_keys, credentials, sessions
from server.domain.revocations import revoked_within
from server.errors import FailedPrecondition, PermissionDenied, RowlockError, Unauthenticated
from server.interceptors.revocations import Revocations
from server.states import Role

TTL = timedelta(days=30)
# Longer than a server's, so that a machine that stands still for some seconds stays within it.
WINDOW = timedelta(minutes=10)
HASH = "a hash"


@pytest.fixture
def user_id(fresh_database: Database) -> UUID:
    def make(session: DatabaseSession) -> UUID:
        accounts.sign_up(session, email="ada@example.com", display_name="Ada", locale="", password_hash=HASH)
        user = accounts.find_by_email(session, "ADA@example.com")
        assert user is not None
        return user.id

    return fresh_database.run_transaction(make)


def begin(database: Database, user_id: UUID) -> sessions.SignedIn:
    begun = database.run_transaction(lambda session: sessions.begin(session, user_id, checked_hash=HASH, ttl=TTL))
    assert begun is not None
    return begun


def rotate(database: Database, token: str) -> sessions.SignedIn | sessions.Reused:
    return database.run_transaction(lambda session: sessions.rotate(session, token, ttl=TTL, reuse_window=WINDOW))


def successor(database: Database, token: str) -> str:
    outcome = rotate(database, token)
    assert isinstance(outcome, sessions.SignedIn)
    return outcome.refresh_token


def reason(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(RowlockError) as refused:
        call(*arguments)
    return refused.value.reason


def some_time_passes(database: Database, passed: timedelta) -> None:
    """As if everything about sessions had happened earlier."""

    def shift(session: DatabaseSession) -> None:
        session.execute(update(RefreshToken).values(use_time=RefreshToken.use_time - passed))
        session.execute(update(Session).values(expire_time=Session.expire_time - passed))

    database.run_transaction(shift)


def test_a_refresh_token_is_replaced_at_each_use(fresh_database: Database, user_id: UUID) -> None:
    token = begin(fresh_database, user_id).refresh_token
    seen = {token}
    for _ in range(5):
        token = successor(fresh_database, token)
        seen.add(token)
    assert len(seen) == 6
    assert all(token.startswith("rlr_") and len(token) == 47 for token in seen)


def test_nothing_that_is_stored_can_be_presented(fresh_database: Database, user_id: UUID) -> None:
    token = begin(fresh_database, user_id).refresh_token
    following = successor(fresh_database, token)
    dump = fresh_database.run_transaction(
        lambda session: repr(
            [
                *session.execute(text("SELECT t, convert_to(t::text, 'UTF8') FROM refresh_tokens t")).all(),
                *session.execute(text("SELECT s::text FROM sessions s")).all(),
            ]
        )
    )
    assert token not in dump
    assert following not in dump


def test_the_same_token_again_within_the_window_has_the_same_successor(fresh_database: Database, user_id: UUID) -> None:
    token = begin(fresh_database, user_id).refresh_token
    first = successor(fresh_database, token)
    some_time_passes(fresh_database, timedelta(minutes=9))
    assert successor(fresh_database, token) == first
    assert successor(fresh_database, first) != first


def test_the_same_token_later_ends_the_family(fresh_database: Database, user_id: UUID) -> None:
    begun = begin(fresh_database, user_id)
    other = begin(fresh_database, user_id)
    newest = successor(fresh_database, successor(fresh_database, begun.refresh_token))
    some_time_passes(fresh_database, timedelta(minutes=11))
    assert rotate(fresh_database, begun.refresh_token) == sessions.Reused(begun.session_id)
    assert reason(rotate, fresh_database, newest) == "TOKEN_REVOKED"
    assert reason(rotate, fresh_database, begun.refresh_token) == "TOKEN_REVOKED"
    assert successor(fresh_database, other.refresh_token)


def test_a_token_ends_thirty_days_after_it_was_given_and_each_use_gives_thirty_more(
    fresh_database: Database, user_id: UUID
) -> None:
    token = begin(fresh_database, user_id).refresh_token
    for _ in range(3):
        some_time_passes(fresh_database, timedelta(days=29))
        token = successor(fresh_database, token)
    some_time_passes(fresh_database, timedelta(days=30))
    assert reason(rotate, fresh_database, token) == "TOKEN_EXPIRED"


@pytest.mark.parametrize("token", ["", "rlr_", "rlr_" + "A" * 43, "eyJhbGciOiJFZERTQSJ9.e30.", "\0", "é" * 512])
def test_what_was_never_given_out_is_refused(fresh_database: Database, token: str) -> None:
    assert reason(rotate, fresh_database, token) == "TOKEN_INVALID"
    log_out = lambda: fresh_database.run_transaction(lambda session: sessions.log_out(session, token))
    assert reason(log_out) == "TOKEN_INVALID"


@pytest.mark.promise("0.6")
def test_log_out_makes_every_token_of_the_session_useless(fresh_database: Database, user_id: UUID) -> None:
    begun, other = begin(fresh_database, user_id), begin(fresh_database, user_id)
    newest = successor(fresh_database, begun.refresh_token)
    for token in (begun.refresh_token, newest):  # by a used token as well, and twice without harm
        ended = fresh_database.run_transaction(lambda session, token=token: sessions.log_out(session, token))  # type: ignore[misc]
        assert ended == begun.session_id
    assert reason(rotate, fresh_database, newest) == "TOKEN_REVOKED"
    assert successor(fresh_database, other.refresh_token)


def test_no_session_begins_on_a_password_that_was_changed_meanwhile(fresh_database: Database, user_id: UUID) -> None:
    fresh_database.run_transaction(
        lambda session: credentials.change_password(session, user_id, old_hash=HASH, new_hash="another")
    )
    begun = fresh_database.run_transaction(lambda session: sessions.begin(session, user_id, checked_hash=HASH, ttl=TTL))
    assert begun is None


def test_a_disabled_account_neither_begins_nor_goes_on(fresh_database: Database, user_id: UUID) -> None:
    token = begin(fresh_database, user_id).refresh_token
    fresh_database.run_transaction(lambda session: accounts.disable(session, user_id))
    assert reason(begin, fresh_database, user_id) == "ACCOUNT_DISABLED"
    assert reason(rotate, fresh_database, token) == "ACCOUNT_DISABLED"
    fresh_database.run_transaction(lambda session: accounts.enable(session, user_id))
    assert reason(rotate, fresh_database, token) == "TOKEN_REVOKED"
    begin(fresh_database, user_id)


@pytest.mark.parametrize("what", ["password", "role", "disable", "everywhere"])
def test_what_ends_every_session_says_which_ones(fresh_database: Database, user_id: UUID, what: str) -> None:
    alive = {begin(fresh_database, user_id).session_id for _ in range(3)}
    gone = begin(fresh_database, user_id)
    fresh_database.run_transaction(lambda session: sessions.log_out(session, gone.refresh_token))

    def act(session: DatabaseSession) -> set[UUID]:
        if what == "password":
            changed = credentials.change_password(session, user_id, old_hash=HASH, new_hash="another")
            assert changed is not None
            return set(changed.ended)
        if what == "role":
            return set(accounts.set_role(session, user_id, Role.STAFF).ended)
        if what == "disable":
            return set(accounts.disable(session, user_id).ended)
        return set(accounts.log_out_everywhere(session, user_id))

    assert fresh_database.run_transaction(act) == alive


async def test_what_was_revoked_elsewhere_is_noticed_and_later_forgotten(
    fresh_database: Database, user_id: UUID
) -> None:
    begun, alive = begin(fresh_database, user_id), begin(fresh_database, user_id)
    key = fresh_database.run_transaction(
        lambda session: api_keys.create(
            session, user_id, display_name="Door", role=Role.GATE, bounds=api_keys.Bounds(), expire_time=None
        )
    ).key
    here = Revocations(fresh_database, interval=timedelta(seconds=0.05), token_ttl=timedelta(minutes=15))
    await here.start()
    try:
        assert begun.session_id not in here
        fresh_database.run_transaction(lambda session: sessions.log_out(session, begun.refresh_token))
        fresh_database.run_transaction(lambda session: api_keys.revoke(session, user_id, key.id))
        await here.until(begun.session_id)
        await here.until(key.id)
        assert alive.session_id not in here
    finally:
        await here.stop()
    here._forget_at = dict.fromkeys(here._forget_at, 0.0)
    fresh_database.run_transaction(
        lambda session: (
            session.execute(update(Session).values(revoke_time=func.now() - timedelta(hours=1))),
            session.execute(update(ApiKey).values(revoke_time=func.now() - timedelta(hours=1))),
        )
    )
    await here.refresh()
    assert begun.session_id not in here


async def test_a_process_that_starts_later_knows_what_was_revoked_before(
    fresh_database: Database, user_id: UUID
) -> None:
    begun = begin(fresh_database, user_id)
    fresh_database.run_transaction(lambda session: sessions.log_out(session, begun.refresh_token))
    fresh_database.run_transaction(
        lambda session: session.execute(update(Session).values(revoke_time=func.now() - timedelta(minutes=14)))
    )
    here = Revocations(fresh_database, interval=timedelta(seconds=5), token_ttl=timedelta(minutes=15))
    await here.refresh()
    assert begun.session_id in here
    assert fresh_database.run_transaction(lambda session: revoked_within(session, timedelta(minutes=1))) == []


async def test_a_poll_that_fails_does_not_end_the_polling(
    fresh_database: Database, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(fresh_database, user_id)
    here = Revocations(fresh_database, interval=timedelta(seconds=0.02), token_ttl=timedelta(minutes=15))
    await here.start()
    try:
        read = fresh_database.read
        failures = 0

        async def fail(_work: object) -> Any:
            nonlocal failures
            failures += 1
            if failures == 3:
                monkeypatch.setattr(fresh_database, "read", read)
            raise OSError("the network is down")

        monkeypatch.setattr(fresh_database, "read", fail)
        fresh_database.run_transaction(lambda session: sessions.log_out(session, begun.refresh_token))
        await here.until(begun.session_id)
        assert failures == 3
    finally:
        await here.stop()


def test_there_is_always_an_administrator_who_can_log_in(fresh_database: Database, user_id: UUID) -> None:
    def admin(email: str) -> UUID:
        def make(session: DatabaseSession) -> UUID:
            accounts.ensure_admin(session, email=email, display_name="Admin", password_hash=HASH)
            user = accounts.find_by_email(session, email)
            assert user is not None
            return user.id

        return fresh_database.run_transaction(make)

    first, second = admin("one@example.com"), admin("two@example.com")
    fresh_database.run_transaction(lambda session: accounts.disable(session, second))
    for act in (accounts.disable, lambda session, user: accounts.set_role(session, user, Role.STAFF)):
        with pytest.raises(FailedPrecondition) as refused:
            fresh_database.run_transaction(lambda session, act=act: act(session, first))  # type: ignore[misc]
        assert refused.value.reason == "LAST_ADMIN"
    # One that is disabled anyway may lose the role; one who was enabled again counts.
    fresh_database.run_transaction(lambda session: accounts.set_role(session, second, Role.STAFF))
    fresh_database.run_transaction(lambda session: accounts.enable(session, second))
    fresh_database.run_transaction(lambda session: accounts.set_role(session, second, Role.ADMIN))
    fresh_database.run_transaction(lambda session: accounts.set_role(session, first, Role.CUSTOMER))


@pytest.mark.promise("0.2")
def test_an_administrator_is_made_once_and_an_account_with_the_address_becomes_one(
    fresh_database: Database, user_id: UUID
) -> None:
    def make(session: DatabaseSession) -> tuple[bool, User]:
        made = accounts.ensure_admin(session, email="Ada@Example.com", display_name="Other", password_hash="other")
        user = accounts.find_by_email(session, "ada@example.com")
        assert user is not None
        return made, user

    begun = begin(fresh_database, user_id)
    for _ in range(2):
        made, user = fresh_database.run_transaction(make)
        assert not made
        assert (user.id, user.role, user.display_name, user.password_hash) == (user_id, Role.ADMIN, "Ada", HASH)
    assert reason(rotate, fresh_database, begun.refresh_token) == "TOKEN_REVOKED"
    total = fresh_database.run_transaction(lambda session: session.scalar(select(func.count()).select_from(User)))
    assert total == 1


def test_a_key_of_a_disabled_owner_is_useless(fresh_database: Database, user_id: UUID) -> None:
    made = fresh_database.run_transaction(
        lambda session: api_keys.create(
            session, user_id, display_name="Door", role=Role.GATE, bounds=api_keys.Bounds(), expire_time=None
        )
    )
    changed = fresh_database.run_transaction(lambda session: accounts.disable(session, user_id))
    assert made.key.id in changed.ended
    with pytest.raises(PermissionDenied):
        fresh_database.run_transaction(lambda session: api_keys.exchange(session, made.secret))
    fresh_database.run_transaction(lambda session: accounts.enable(session, user_id))
    with pytest.raises(Unauthenticated):
        fresh_database.run_transaction(lambda session: api_keys.exchange(session, made.secret))
