"""The checkers of accounts find what they are for."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.audit import audit
from server.db.engine import Database
from server.domain import account_codes, accounts, sessions
from server.states import CodePurpose, Role

TTL = timedelta(days=30)


@pytest.fixture
def inhabited(fresh_database: Database) -> Database:
    """With an administrator who has refreshed a session once, and asked for both kinds of codes."""

    def live(session: Session) -> None:
        accounts.sign_up(session, email="ada@example.com", display_name="Ada", locale="", password_hash="a hash")
        user = accounts.find_by_email(session, "ada@example.com")
        assert user is not None
        user.role = Role.ADMIN
        session.flush()
        begun = sessions.begin(session, user.id, checked_hash="a hash", ttl=TTL)
        assert begun is not None
        session.flush()
        sessions.rotate(session, begun.refresh_token, ttl=TTL, reuse_window=timedelta(seconds=10))
        codes = [account_codes.issue(session, user.id, purpose, email=user.email) for purpose in CodePurpose]
        account_codes.redeem(session, codes[0], CodePurpose.VERIFY_EMAIL)

    fresh_database.run_transaction(live)
    assert audit(fresh_database) == []
    return fresh_database


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ("UPDATE refresh_tokens SET use_time = NULL", "A1 of the refresh tokens"),
        ("DELETE FROM refresh_tokens WHERE use_time IS NULL", "A1 each use"),
        ("UPDATE sessions SET revoke_time = create_time - interval '1 s'", "A1 a session that has ended"),
        ("UPDATE users SET disable_time = clock_timestamp()", "A2 who is shut out"),
        ("UPDATE users SET disable_time = clock_timestamp()", "A2 somebody can administer"),
        ("UPDATE account_codes SET expire_time = create_time + interval '25 hours'", "A2 a mailed code"),
        ("UPDATE account_codes SET use_time = expire_time", "A2 a mailed code"),
    ],
)
def test_each_damage_is_found(inhabited: Database, damage: str, promise: str) -> None:
    inhabited.run_transaction(lambda session: session.execute(text(damage)))
    assert any(fault.startswith(promise) for fault in audit(inhabited))
