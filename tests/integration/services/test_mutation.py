"""A mutating request has one effect, however often it is sent."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowlock.v1.auth_pb2 import ApiKey, CreateApiKeyResponse, RevokeApiKeyRequest, SetUserRoleRequest, User
from server.db.engine import Database
from server.db.models.accounts import RequestResult
from server.domain.accounts import find_by_email, sign_up
from server.errors import InvalidArgument, NotFound
from server.services.fingerprints import fingerprint
from server.services.mutation import once


def opens_account(email: str) -> Callable[[Session], User]:
    def work(session: Session) -> User:
        sign_up(session, email=email, display_name="Ada", locale="", password_hash="x")
        return User(name=f"users/{uuid4()}", email=email)

    return work


async def stored(database: Database) -> int:
    count = await database.read(lambda session: session.scalar(select(func.count()).select_from(RequestResult)))
    return count or 0


def request(request_id: str, name: str = "users/1") -> SetUserRoleRequest:
    return SetUserRoleRequest(name=name, request_id=request_id)


async def test_the_same_request_gets_the_first_answer_and_has_no_second_effect(fresh_database: Database) -> None:
    first = await once(fresh_database, request("a"), User, opens_account("a@example.com"), scope="one")
    again = await once(fresh_database, request("a"), User, opens_account("b@example.com"), scope="one")
    assert again == first
    assert await fresh_database.read(lambda session: find_by_email(session, "b@example.com")) is None


async def test_another_body_or_method_is_refused_without_effect(fresh_database: Database) -> None:
    await once(fresh_database, request("a"), User, opens_account("a@example.com"), scope="one")
    for other in (request("a", "users/2"), RevokeApiKeyRequest(name="users/1", request_id="a")):
        with pytest.raises(InvalidArgument) as refused:
            await once(fresh_database, other, User, opens_account("b@example.com"), scope="one")
        assert refused.value.reason == "REQUEST_ID_REUSED"
        assert [fault.field for fault in refused.value.fields] == ["request_id"]
    assert await fresh_database.read(lambda session: find_by_email(session, "b@example.com")) is None


async def test_ids_of_different_callers_are_apart(fresh_database: Database) -> None:
    one = await once(fresh_database, request("a"), User, opens_account("a@example.com"), scope="one")
    two = await once(fresh_database, request("a", "users/2"), User, opens_account("b@example.com"), scope="two")
    assert one != two


async def test_without_an_id_nothing_is_remembered(fresh_database: Database) -> None:
    one = await once(fresh_database, request(""), User, opens_account("a@example.com"), scope="one")
    two = await once(fresh_database, request(""), User, opens_account("b@example.com"), scope="one")
    assert one != two
    assert await stored(fresh_database) == 0


async def test_a_refused_request_leaves_nothing_so_that_it_can_be_sent_again(fresh_database: Database) -> None:
    def refuses(session: Session) -> User:
        opens_account("a@example.com")(session)
        raise NotFound.of("users/1")

    with pytest.raises(NotFound):
        await once(fresh_database, request("a"), User, refuses, scope="one")
    assert await stored(fresh_database) == 0
    assert await fresh_database.read(lambda session: find_by_email(session, "a@example.com")) is None
    await once(fresh_database, request("a"), User, opens_account("a@example.com"), scope="one")


async def test_what_must_not_be_kept_is_not_kept(fresh_database: Database) -> None:
    def work(_session: Session) -> CreateApiKeyResponse:
        return CreateApiKeyResponse(api_key=ApiKey(display_name="Door"), secret="rlk_very-secret")

    def keep(answer: CreateApiKeyResponse) -> CreateApiKeyResponse:
        return CreateApiKeyResponse(api_key=answer.api_key)

    first = await once(fresh_database, request("a"), CreateApiKeyResponse, work, scope="one", keep=keep)
    again = await once(fresh_database, request("a"), CreateApiKeyResponse, work, scope="one", keep=keep)
    assert first.secret == "rlk_very-secret"
    assert again == CreateApiKeyResponse(api_key=ApiKey(display_name="Door"))
    answers = await fresh_database.read(lambda session: session.scalars(select(RequestResult.answer)).all())
    assert not any(b"very-secret" in answer for answer in answers)


def test_a_fingerprint_with_a_key_cannot_be_had_without_it() -> None:
    assert fingerprint(request("a")) == fingerprint(request("a"))
    assert len({fingerprint(request("a")), fingerprint(request("a"), b"k"), fingerprint(request("a"), b"l")}) == 3


@pytest.mark.race
async def test_twenty_at_once_have_one_effect_and_one_answer(fresh_database: Database) -> None:
    effects = 0

    def work(session: Session) -> User:
        nonlocal effects
        effects += 1
        return opens_account("a@example.com")(session)

    calls = (once(fresh_database, request("a"), User, work, scope="one") for _ in range(20))
    answers = await asyncio.gather(*calls)
    assert effects == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.race
async def test_when_the_first_of_two_fails_the_second_does_the_work(fresh_database: Database) -> None:
    attempts = 0

    def fails_once(session: Session) -> User:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            session.execute(select(func.pg_sleep(0.2)))
            raise NotFound.of("users/1")
        return opens_account("a@example.com")(session)

    calls = (once(fresh_database, request("a"), User, fails_once, scope="one") for _ in range(2))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NotFound", "User"]
