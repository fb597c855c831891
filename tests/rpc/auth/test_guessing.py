"""Guessing at passwords from everywhere at once: counted by the address that is guessed at, known or not."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from rowlock.v1 import auth_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from tests.rpc.auth.conftest import PASSWORD, QUICK, Client, Refusal, refusal, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITED = {**QUICK, "rate_limits": True, "rate_limit_credentials": "10000/minute", "rate_limit_log_in": "3/hour"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(settings: Settings, database: Database) -> AsyncIterator[tuple[Client, Settings]]:
    limited = settings.model_copy(update={**LIMITED, "redis_key_prefix": f"t{uuid4().hex[:8]}"})
    async with served(limited, database) as client:
        yield client, limited


async def guess(client: Client, email: str) -> Refusal:
    return await refusal(client.auth.LogIn(pb.LogInRequest(email=email, password="wrong guess here")))


async def test_one_address_is_guessed_at_only_so_often_known_or_not(guarded: tuple[Client, Settings]) -> None:
    client, _ = guarded
    known = (await client.sign_up()).email  # which logs in, and so is the first try
    unknown = f"nobody-{uuid4().hex}@example.com"
    await guess(client, unknown)

    answers = {
        email: [await guess(client, spelt) for spelt in (email, email.upper(), email, email)]
        for email in (known, unknown)
    }

    reasons = [answer.reason for answer in answers[known]]
    assert reasons == ["WRONG_CREDENTIALS", "WRONG_CREDENTIALS", "RATE_LIMITED", "RATE_LIMITED"]
    assert answers[known] == answers[unknown]
    assert answers[known][-1].facts == {"limit": "email"}
    right = client.auth.LogIn(pb.LogInRequest(email=known, password=PASSWORD))
    assert (await refusal(right)).code == "RESOURCE_EXHAUSTED"
    await client.sign_up()  # others are not concerned


async def test_redis_is_told_no_address(guarded: tuple[Client, Settings]) -> None:
    client, settings = guarded
    email = f"secret-{uuid4().hex}@example.com"
    await guess(client, email)
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter(f"{settings.redis_key_prefix}:limit:log-in:*")]
    assert keys
    assert not any("secret" in key or "@" in key for key in keys)
