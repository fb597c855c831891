"""Log-in, refresh and log-out over a socket; what a token is worth at every moment of its life."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc.aio
import jwt
import pytest
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import select, update

from rowlock.v1 import auth_pb2 as pb
from server.db.models.accounts import RefreshToken, User
from server.domain.passwords import PasswordHasher
from tests.rpc.auth.conftest import PASSWORD, Client, Person, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def me(client: Client, person: Person) -> pb.User:
    return await client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=person.token)


async def refresh(client: Client, token: str) -> pb.RefreshTokenResponse:
    return await client.auth.RefreshToken(pb.RefreshTokenRequest(refresh_token=token))


async def some_seconds_pass(client: Client, seconds: float) -> None:
    """As if every refresh token had been used earlier."""
    await client.database.transaction(
        lambda session: session.execute(
            update(RefreshToken).values(use_time=RefreshToken.use_time - timedelta(seconds=seconds))
        )
    )


@pytest.mark.promise("2.1")
async def test_logging_in_gives_two_tokens_and_says_how_long_they_live(client: Client) -> None:
    person = await client.sign_up()
    answer = await client.auth.LogIn(pb.LogInRequest(email=person.email, password=PASSWORD))
    assert answer.user == await me(client, person)
    access_life = answer.access_expire_time.seconds - answer.user.create_time.seconds
    refresh_life = answer.refresh_expire_time.seconds - answer.user.create_time.seconds
    assert 14 * 60 <= access_life <= 16 * 60
    assert 29 * 86_400 <= refresh_life <= 31 * 86_400


async def test_each_refresh_gives_tokens_that_work_and_replaces_the_old_one(client: Client) -> None:
    person = await client.sign_up()
    first = await refresh(client, person.refresh)
    second = await refresh(client, first.refresh_token)
    assert len({person.refresh, first.refresh_token, second.refresh_token}) == 3
    assert len({person.access, first.access_token, second.access_token}) == 3
    person.access = second.access_token
    assert (await me(client, person)).name == second.user.name == person.name


async def test_a_lost_answer_can_be_asked_for_again(client: Client) -> None:
    person = await client.sign_up()
    first = await refresh(client, person.refresh)
    again = await refresh(client, person.refresh)
    assert again.refresh_token == first.refresh_token
    await refresh(client, again.refresh_token)


async def test_a_stolen_refresh_token_ends_the_session_of_both(client: Client) -> None:
    person = await client.sign_up()
    other = await client.log_in(person.email)
    newest = await refresh(client, person.refresh)
    await some_seconds_pass(client, 11)
    refused = await refusal(refresh(client, person.refresh))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED")
    assert (await refusal(refresh(client, newest.refresh_token))).reason == "TOKEN_REVOKED"
    for access in (person.access, newest.access_token):
        person.access = access
        assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    await me(client, other)


@pytest.mark.promise("0.6")
async def test_log_out_needs_the_refresh_token_and_makes_it_useless(client: Client) -> None:
    person = await client.sign_up()
    other = await client.log_in(person.email)
    access_is_not_enough = client.auth.LogOut(pb.LogOutRequest(refresh_token=person.access), metadata=person.token)
    assert (await refusal(access_is_not_enough)).reason == "TOKEN_INVALID"
    await me(client, person)

    for _ in range(2):
        await client.auth.LogOut(pb.LogOutRequest(refresh_token=person.refresh))
    assert (await refusal(refresh(client, person.refresh))).reason == "TOKEN_REVOKED"
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    await me(client, other)


async def test_a_log_out_is_noticed_by_every_other_server(client: Client, another_server: Callable[[], Any]) -> None:
    person = await client.sign_up()
    async with another_server() as elsewhere:
        await me(elsewhere, person)
        await client.auth.LogOut(pb.LogOutRequest(refresh_token=person.refresh))
        async with asyncio.timeout(60):
            while True:
                try:
                    await me(elsewhere, person)
                except grpc.aio.AioRpcError:
                    break
                await asyncio.sleep(0.05)
        assert (await refusal(me(elsewhere, person))).reason == "TOKEN_REVOKED"


async def test_a_token_of_one_server_is_good_at_every_other(client: Client, another_server: Callable[[], Any]) -> None:
    async with another_server() as elsewhere:
        person = await elsewhere.sign_up()
        assert (await me(client, person)).name == person.name


async def test_log_out_everywhere_ends_every_session_once(client: Client) -> None:
    person = await client.sign_up()
    others = [await client.log_in(person.email) for _ in range(2)]
    request = pb.LogOutEverywhereRequest(name="users/me", request_id="everywhere-1")
    assert (await client.auth.LogOutEverywhere(request, metadata=person.token)).ended_count == 3
    for session in (person, *others):
        assert (await refusal(me(client, session))).reason == "TOKEN_REVOKED"
        assert (await refusal(refresh(client, session.refresh))).reason == "TOKEN_REVOKED"
    again = await client.log_in(person.email)
    assert (await client.auth.LogOutEverywhere(request, metadata=again.token)).ended_count == 3
    await me(client, again)


async def test_an_administrator_ends_the_sessions_of_anybody(client: Client) -> None:
    admin, person = await client.admin(), await client.sign_up()
    request = pb.LogOutEverywhereRequest(name=person.name)
    assert (await client.auth.LogOutEverywhere(request, metadata=admin.token)).ended_count == 1
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    await me(client, admin)


async def test_a_new_password_needs_the_old_one_and_ends_every_session(client: Client) -> None:
    person = await client.sign_up()

    async def change(current: str, new: str) -> None:
        request = pb.ChangePasswordRequest(name="users/me", current_password=current, new_password=new)
        await client.auth.ChangePassword(request, metadata=person.token)

    assert (await refusal(change("wrong password", "another good secret"))).reason == "WRONG_CREDENTIALS"
    common = await refusal(change(PASSWORD, "password1234"))
    assert (common.reason, common.fields) == ("PASSWORD_TOO_COMMON", ("new_password",))
    await me(client, person)

    await change(PASSWORD, "another good secret")
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    assert (await refusal(client.log_in(person.email))).reason == "WRONG_CREDENTIALS"
    await me(client, await client.log_in(person.email, "another good secret"))


async def test_an_old_hash_is_renewed_when_its_owner_logs_in(client: Client) -> None:
    person = await client.sign_up()
    costly = PasswordHasher(memory_kib=256, passes=2).hash(PASSWORD)

    async def stored() -> str:
        query = select(User.password_hash).where(User.email == person.email)
        return await client.database.read(lambda session: session.scalars(query).one())

    await client.database.transaction(
        lambda session: session.execute(update(User).where(User.email == person.email).values(password_hash=costly))
    )
    for _ in range(2):
        await me(client, await client.log_in(person.email))
    renewed = await stored()
    assert renewed != costly
    await client.log_in(person.email)
    assert await stored() == renewed
    assert (await refusal(client.log_in(person.email, "wrong password"))).reason == "WRONG_CREDENTIALS"


@pytest.mark.promise("4.7")
async def test_another_service_verifies_a_token_by_the_published_keys(client: Client) -> None:
    person = await client.sign_up()
    published = (await client.auth.GetJwks(pb.GetJwksRequest())).keys
    kid = jwt.get_unverified_header(person.access)["kid"]
    found = next(key for key in published if key.kid == kid)
    assert (found.kty, found.crv, found.use, found.alg) == ("OKP", "Ed25519", "sig", "EdDSA")
    key: Any = OKPAlgorithm.from_jwk({"kty": found.kty, "crv": found.crv, "x": found.x})
    claims = jwt.decode(person.access, key, algorithms=["EdDSA"], audience="rowlock", issuer="https://rowlock.dev")
    assert f"users/{claims['sub']}" == person.name
    assert claims["role"] == "CUSTOMER"
    assert claims["exp"] - claims["iat"] == 15 * 60


@pytest.mark.promise("0.7")
@pytest.mark.mistake("token checks stubbed")
async def test_what_is_no_access_token_opens_nothing(client: Client) -> None:
    person = await client.sign_up()
    head, body, signature = person.access.split(".")
    admin_by_hand = jwt.encode({"sub": person.name, "role": "ADMIN"}, "secret" * 8, algorithm="HS256")
    for text, reason in (
        (person.refresh, "TOKEN_INVALID"),
        (f"{head}.{body}.{signature[:-4]}AAAA", "TOKEN_INVALID"),
        (f"{head}.{body}.", "TOKEN_INVALID"),
        (admin_by_hand, "TOKEN_INVALID"),
        ("x", "TOKEN_INVALID"),
    ):
        call = client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=(("authorization", f"Bearer {text}"),))
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("UNAUTHENTICATED", reason)
    nothing = await refusal(client.auth.GetUser(pb.GetUserRequest(name="users/me")))
    assert (nothing.code, nothing.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    twice = await refusal(client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=person.token * 2))
    assert (twice.code, twice.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")


async def test_identity_in_other_headers_counts_nothing(client: Client) -> None:
    person, victim = await client.sign_up(), await client.sign_up()
    user_id = victim.name.removeprefix("users/")
    headers = (("x-user-id", user_id), ("x-rowlock-role", "ADMIN"), ("grpc-metadata-authorization", victim.token[0][1]))
    answer = await client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=(*person.token, *headers))
    assert answer.name == person.name
    without = client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=headers)
    assert (await refusal(without)).reason == "TOKEN_MISSING"


async def test_a_stale_access_token_does_not_stop_who_wants_a_new_one(client: Client) -> None:
    person = await client.sign_up()
    stale = (("authorization", "Bearer stale"),)
    answer = await client.auth.RefreshToken(pb.RefreshTokenRequest(refresh_token=person.refresh), metadata=stale)
    assert answer.user.name == person.name
    await client.auth.LogIn(pb.LogInRequest(email=person.email, password=PASSWORD), metadata=stale)
