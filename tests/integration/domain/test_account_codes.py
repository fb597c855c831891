"""Codes sent by mail: what they are good for, for how long, and how often."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.accounts import AccountCode, User
from server.domain import account_codes, accounts
from server.domain.account_codes import issue, redeem
from server.errors import InvalidArgument
from server.states import CodePurpose

VERIFY, RESET = CodePurpose.VERIFY_EMAIL, CodePurpose.RESET_PASSWORD
EMAIL = "ada@example.com"


@pytest.fixture
def user_id(fresh_database: Database) -> UUID:
    def make(session: Session) -> UUID:
        accounts.sign_up(session, email=EMAIL, display_name="Ada", locale="", password_hash="a hash")
        user = accounts.find_by_email(session, EMAIL)
        assert user is not None
        return user.id

    return fresh_database.run_transaction(make)


def issued(database: Database, user_id: UUID, purpose: CodePurpose = VERIFY, email: str = EMAIL) -> str:
    return database.run_transaction(lambda session: issue(session, user_id, purpose, email=email))


def redeemed(database: Database, code: str, purpose: CodePurpose = VERIFY) -> UUID:
    return database.run_transaction(lambda session: redeem(session, code, purpose).id)


def refused(database: Database, code: str, purpose: CodePurpose = VERIFY) -> None:
    with pytest.raises(InvalidArgument) as error:
        redeemed(database, code, purpose)
    assert error.value.reason == "CODE_INVALID"


def test_a_code_works_once(fresh_database: Database, user_id: UUID) -> None:
    code = issued(fresh_database, user_id)
    assert redeemed(fresh_database, code) == user_id
    refused(fresh_database, code)


def test_no_code_is_stored(fresh_database: Database, user_id: UUID) -> None:
    code = issued(fresh_database, user_id)
    rows = fresh_database.run_transaction(
        lambda session: str(session.execute(text("SELECT * FROM account_codes")).all())
    )
    assert code not in rows
    assert str(user_id) in rows


def test_a_newer_code_takes_the_place_of_the_older_one(fresh_database: Database, user_id: UUID) -> None:
    older, newer = issued(fresh_database, user_id), issued(fresh_database, user_id)
    refused(fresh_database, older)
    assert redeemed(fresh_database, newer) == user_id


def test_a_used_code_does_not_stand_in_the_way_of_the_next(fresh_database: Database, user_id: UUID) -> None:
    redeemed(fresh_database, issued(fresh_database, user_id))
    assert redeemed(fresh_database, issued(fresh_database, user_id)) == user_id


def test_a_code_is_good_for_its_purpose_only(fresh_database: Database, user_id: UUID) -> None:
    verification, reset = issued(fresh_database, user_id), issued(fresh_database, user_id, RESET)
    refused(fresh_database, verification, RESET)
    refused(fresh_database, reset)
    # And trying has used up neither.
    assert redeemed(fresh_database, verification) == redeemed(fresh_database, reset, RESET) == user_id


@pytest.mark.parametrize("purpose", CodePurpose)
def test_a_code_ends_at_its_time(fresh_database: Database, user_id: UUID, purpose: CodePurpose) -> None:
    code = issued(fresh_database, user_id, purpose)
    left = fresh_database.run_transaction(
        lambda session: session.scalar(select(AccountCode.expire_time - func.clock_timestamp()))
    )
    assert left is not None
    assert timedelta(0) < account_codes.LIFETIMES[purpose] - left < timedelta(minutes=1)
    fresh_database.run_transaction(
        lambda session: session.execute(update(AccountCode).values(expire_time=func.clock_timestamp()))
    )
    refused(fresh_database, code, purpose)


@pytest.mark.parametrize("purpose", CodePurpose)
def test_a_code_that_was_mailed_to_a_former_address_is_worth_nothing(
    fresh_database: Database, user_id: UUID, purpose: CodePurpose
) -> None:
    before = issued(fresh_database, user_id, purpose)
    fresh_database.run_transaction(lambda session: accounts.update_user(session, user_id, email="new@example.com"))
    refused(fresh_database, before, purpose)
    late = issued(fresh_database, user_id, purpose)  # its mail was made after the change, for the old address
    refused(fresh_database, late, purpose)
    assert redeemed(fresh_database, issued(fresh_database, user_id, purpose, "NEW@example.com"), purpose) == user_id


def test_a_code_of_a_disabled_account_is_worth_nothing(fresh_database: Database, user_id: UUID) -> None:
    code = issued(fresh_database, user_id, RESET)
    fresh_database.run_transaction(
        lambda session: session.execute(update(User).values(disable_time=func.clock_timestamp()))
    )
    refused(fresh_database, code, RESET)


@pytest.mark.parametrize("code", ["", "x", "A" * 43, "\x00", "ü"])
def test_what_is_no_code_is_refused(fresh_database: Database, user_id: UUID, code: str) -> None:
    issued(fresh_database, user_id)
    refused(fresh_database, code)
