"""API keys over a socket: a secret told once, narrow tokens, an end that is noticed."""

import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import func, select, text, update

from rowlock.v1 import auth_pb2 as pb
from server.db.models.accounts import ApiKey
from tests.rpc.auth.conftest import Client, Person, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "users/0190a000-0000-7000-8000-000000000000"


async def create(client: Client, admin: Person, request_id: str = "", **key: object) -> pb.CreateApiKeyResponse:
    wanted = pb.ApiKey(**{"display_name": "Foyer", "role": pb.ROLE_KIOSK, **key})  # type: ignore[arg-type]
    request = pb.CreateApiKeyRequest(parent="users/me", api_key=wanted, request_id=request_id)
    return await client.auth.CreateApiKey(request, metadata=admin.token)


async def exchange(client: Client, secret: str) -> pb.ExchangeApiKeyResponse:
    return await client.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=secret))


def bearer(answer: pb.ExchangeApiKeyResponse) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {answer.access_token}"),)


async def test_a_device_gets_a_token_for_its_key_with_its_role_and_scopes(client: Client) -> None:
    made = await create(client, await client.admin(), scopes=["venues/1", "performances/7"])
    assert made.secret.startswith(made.api_key.prefix)
    assert len(made.secret) > 40
    answer = await exchange(client, made.secret)
    assert (answer.role, list(answer.scopes)) == (pb.ROLE_KIOSK, ["venues/1", "performances/7"])
    assert abs(answer.access_expire_time.seconds - time.time() - 15 * 60) < 60


async def test_a_device_is_no_person(client: Client) -> None:
    answer = await exchange(client, (await create(client, await client.admin(), role=pb.ROLE_GATE)).secret)
    for call in (
        client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=bearer(answer)),
        client.auth.ListUsers(pb.ListUsersRequest(), metadata=bearer(answer)),
        client.auth.LogOutEverywhere(pb.LogOutEverywhereRequest(name="users/me"), metadata=bearer(answer)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.facts) == ("PERMISSION_DENIED", {"role": "GATE"})


async def test_the_secret_is_told_once_even_if_the_request_is_repeated(client: Client) -> None:
    admin = await client.admin()
    first = await create(client, admin, "key-1")
    again = await create(client, admin, "key-1")
    assert first.secret
    assert not again.secret
    assert again.api_key == first.api_key
    everything = await client.database.transaction(
        lambda session: str(
            session.execute(
                text("SELECT k::text FROM api_keys k UNION ALL SELECT encode(answer, 'escape') FROM request_results")
            ).all()
        )
    )
    assert first.secret not in everything
    assert first.api_key.prefix in everything


async def test_a_revoked_key_and_its_tokens_are_useless(client: Client) -> None:
    admin = await client.admin()
    made = await create(client, admin, role=pb.ROLE_PARTNER)
    answer = await exchange(client, made.secret)
    probe = pb.GetUserRequest(name="users/me")
    assert (await refusal(client.auth.GetUser(probe, metadata=bearer(answer)))).code == "PERMISSION_DENIED"
    request = pb.RevokeApiKeyRequest(name=made.api_key.name)
    revoked = await client.auth.RevokeApiKey(request, metadata=admin.token)
    assert revoked.revoke_time.seconds > 0
    assert await client.auth.RevokeApiKey(request, metadata=admin.token) == revoked
    assert (await refusal(client.auth.GetUser(probe, metadata=bearer(answer)))).reason == "TOKEN_REVOKED"
    refused = await refusal(exchange(client, made.secret))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "API_KEY_INVALID")


@pytest.mark.parametrize("secret", ["x", "rlk_", "rlk_" + "A" * 43, "x" * 512, "\0", "rlr_" + "A" * 43])
async def test_what_is_no_key_is_refused(client: Client, secret: str) -> None:
    refused = await refusal(exchange(client, secret))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "API_KEY_INVALID")


async def test_a_key_ends_when_it_was_to_end_and_its_tokens_with_it(client: Client) -> None:
    admin = await client.admin()
    end = int(time.time()) + 120
    made = await create(client, admin, expire_time=Timestamp(seconds=end))
    assert (await exchange(client, made.secret)).access_expire_time.seconds == end
    await client.database.transaction(
        lambda session: session.execute(
            update(ApiKey).where(ApiKey.prefix == made.api_key.prefix).values(expire_time=func.now())
        )
    )
    assert (await refusal(exchange(client, made.secret))).reason == "API_KEY_INVALID"
    past = await refusal(create(client, admin, expire_time=Timestamp(seconds=int(time.time()) - 1)))
    assert (past.code, past.fields) == ("INVALID_ARGUMENT", ("api_key.expire_time",))


async def test_a_key_remembers_its_last_use_to_the_minute(client: Client) -> None:
    admin = await client.admin()
    made = await create(client, admin)
    assert not made.api_key.HasField("last_use_time")

    async def last_use() -> int:
        keys = await client.auth.ListApiKeys(pb.ListApiKeysRequest(parent="users/me"), metadata=admin.token)
        return keys.api_keys[0].last_use_time.ToMicroseconds()

    await exchange(client, made.secret)
    first = await last_use()
    assert first > 0
    await exchange(client, made.secret)
    assert await last_use() == first


async def test_keys_are_listed_newest_first_without_secrets(client: Client) -> None:
    admin, other = await client.admin(), await client.admin()
    made = [await create(client, admin, display_name=f"Screen {number}") for number in range(3)]
    await create(client, other)
    own = pb.ListApiKeysRequest(parent=admin.name, page_size=2)
    first = await client.auth.ListApiKeys(own, metadata=other.token)
    own.page_token = first.next_page_token
    second = await client.auth.ListApiKeys(own, metadata=other.token)
    assert [key.display_name for key in (*first.api_keys, *second.api_keys)] == ["Screen 2", "Screen 1", "Screen 0"]
    assert (first.total_size, second.next_page_token) == (3, "")
    assert made[2].secret not in str(first)
    all_keys = await client.auth.ListApiKeys(pb.ListApiKeysRequest(parent="users/-"), metadata=admin.token)
    total = await client.database.read(lambda session: session.scalar(select(func.count()).select_from(ApiKey)))
    assert all_keys.total_size == total

    # A token of one parent's list does not continue another's; "users/me" of two people are two lists.
    for parent, who in ((other.name, admin), ("users/-", admin), ("users/me", other)):
        foreign = pb.ListApiKeysRequest(parent=parent, page_token=first.next_page_token)
        assert (await refusal(client.auth.ListApiKeys(foreign, metadata=who.token))).reason == "PAGE_TOKEN_INVALID"


async def test_absent_users_and_foreign_keys_are_not_found(client: Client) -> None:
    admin, other = await client.admin(), await client.admin()
    made = await create(client, admin)
    key = made.api_key.name.partition("/apiKeys/")[2]
    for call in (
        client.auth.CreateApiKey(
            pb.CreateApiKeyRequest(parent=ABSENT, api_key=pb.ApiKey(display_name="X", role=pb.ROLE_GATE)),
            metadata=admin.token,
        ),
        client.auth.ListApiKeys(pb.ListApiKeysRequest(parent=ABSENT), metadata=admin.token),
        client.auth.RevokeApiKey(pb.RevokeApiKeyRequest(name=f"{other.name}/apiKeys/{key}"), metadata=admin.token),
        client.auth.RevokeApiKey(pb.RevokeApiKeyRequest(name=f"{ABSENT}/apiKeys/{key}"), metadata=admin.token),
    ):
        assert (await refusal(call)).code == "NOT_FOUND"


@pytest.mark.parametrize("role", [pb.ROLE_CUSTOMER, pb.ROLE_STAFF, pb.ROLE_ADMIN, pb.ROLE_UNSPECIFIED, 99])
async def test_a_key_has_no_role_of_a_person(client: Client, role: int) -> None:
    refused = await refusal(create(client, await client.admin(), role=role))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("api_key.role",))


@pytest.mark.parametrize(
    "scopes",
    [["bookings/1"], ["venues/0"], ["venues/1", "venues/1"], ["venues/-"], [f"venues/{n + 1}" for n in range(101)]],
)
async def test_scopes_that_mean_nothing_are_refused(client: Client, scopes: list[str]) -> None:
    refused = await refusal(create(client, await client.admin(), scopes=scopes))
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.fields[0].startswith("api_key.scopes")


async def test_only_administrators_make_keys(client: Client) -> None:
    admin = await client.admin()
    for person in (await client.staff(admin), await client.sign_up()):
        assert (await refusal(create(client, person))).code == "PERMISSION_DENIED"
