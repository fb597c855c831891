"""Limits that all processes share, in a real Valkey."""

import asyncio

import pytest
from redis.asyncio import Redis

from server.config import Settings
from server.embedded import ValkeyServer
from server.interceptors.rate_limit import SharedBuckets
from server.parts import connect_redis
from server.rates import Rate


async def test_two_processes_share_one_bucket(fresh_valkey_url: str) -> None:
    async with Redis.from_url(fresh_valkey_url) as one, Redis.from_url(fresh_valkey_url) as other:
        first, second = (SharedBuckets(client, "t:", Rate(10, 36_000)) for client in (one, other))
        waits = await asyncio.gather(*(buckets.wait("x") for buckets in (first, second) for _ in range(10)))
        assert sum(wait == 0 for wait in waits) == 10
        assert all(3000 < wait <= 3600 for wait in waits if wait)
        assert await first.wait("y") == 0
        # The bucket is forgotten when it is full again.
        assert 0 < await one.pttl("t:x") <= 36_000_000


async def test_it_is_told_what_is_left(fresh_valkey_url: str) -> None:
    async with Redis.from_url(fresh_valkey_url) as client:
        buckets = SharedBuckets(client, "t:", Rate(3, 3000))
        assert [-(await buckets.take("x")) // 1000 for _ in range(3)] == [2, 1, 0]
        assert 0 < await buckets.take("x") <= 1000


async def test_a_bucket_fills_again(fresh_valkey_url: str) -> None:
    async with Redis.from_url(fresh_valkey_url) as client:
        buckets = SharedBuckets(client, "t:", Rate(2, 0.4))
        while not (wait := await buckets.wait("x")):
            pass
        assert wait <= 0.2
        await asyncio.sleep(wait + 0.01)
        assert await buckets.wait("x") == 0


@pytest.mark.fault
async def test_without_redis_each_process_counts_alone(private_valkey: ValkeyServer) -> None:
    settings = Settings(redis_url=private_valkey.url())
    client = connect_redis(settings)
    buckets = SharedBuckets(client, "t:", Rate(3, 60))
    assert await buckets.wait("x") == 0
    private_valkey.kill()
    assert [await buckets.wait("x") == 0 for _ in range(5)] == [True, True, True, False, False]
    await client.aclose()
