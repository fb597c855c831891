"""How near callers are to their limits, in the headers of answers: IETF draft-ietf-httpapi-ratelimit-headers-10."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from server.config import Settings
from server.db.engine import Database
from tests.gateway.conftest import bearer, serving
from tests.gateway_process import gateway_process, reason
from tests.rpc.auth.conftest import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Buckets that refill so slowly that no call comes back while a test runs.
LIMITS = {
    "rate_limits": True,
    "rate_limit_account": "3/3 days",
    "rate_limit_address": "1000/1000 days",
    "rate_limit_webhooks": "1/day",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(settings: Settings, database: Database) -> AsyncIterator[tuple[httpx.AsyncClient, Person]]:
    """A gateway before a server that counts."""
    async with (
        serving(settings, database, **LIMITS) as (client, address),
        gateway_process([address]) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        yield http, await client.sign_up()


def told(answer: httpx.Response) -> dict[str, int]:
    """How many calls are left, by the name of each limit; checks that the fields have the form of the draft."""
    left = dict(re.findall(r'"(\w+)";r=(\d+);t=\d+', answer.headers["ratelimit"]))
    policies = dict(re.findall(r'"(\w+)";q=(\d+);w=\d+', answer.headers["ratelimit-policy"]))
    assert left.keys() == policies.keys()
    for header, form in (("ratelimit", r'"\w+";r=\d+;t=\d+'), ("ratelimit-policy", r'"\w+";q=\d+;w=\d+')):
        assert re.fullmatch(f"{form}(, {form})*", answer.headers[header])
    return {name: int(count) for name, count in left.items()}


async def test_every_answer_says_how_many_calls_are_left(limited: tuple[httpx.AsyncClient, Person]) -> None:
    http, anna = limited
    nobody = await http.get("/v1/events")
    assert told(nobody).keys() == {"address"}
    assert nobody.headers["ratelimit-policy"] == '"address";q=1000;w=86400000'

    me = f"/v1/{anna.name}"
    first, second = [await http.get(me, headers=bearer(anna)) for _ in range(2)]
    assert (first.status_code, told(first)["account"], told(second)["account"]) == (200, 2, 1)
    assert told(second)["address"] == told(first)["address"] - 1 == told(nobody)["address"] - 2
    assert second.headers["ratelimit-policy"] == '"address";q=1000;w=86400000, "account";q=3;w=259200'

    missing = await http.get("/v1/users/00000000-0000-7000-8000-000000000000", headers=bearer(anna))
    assert (missing.status_code, told(missing)["account"]) == (404, 0)

    for refused in [await http.get(me, headers=bearer(anna)) for _ in range(2)]:
        assert (refused.status_code, reason(refused), told(refused)["account"]) == (429, "RATE_LIMITED", 0)
        assert 86_000 < int(refused.headers["retry-after"]) <= 86_400

    stream = await http.get("/v1/performances/1:watchSeats", headers=bearer(anna))
    assert (stream.status_code, reason(stream), told(stream)["account"]) == (429, "RATE_LIMITED", 0)


async def test_what_providers_post_is_counted_apart(limited: tuple[httpx.AsyncClient, Person]) -> None:
    http, _ = limited
    first, second = [await http.post("/v1/webhooks/stripe", content=b"{}") for _ in range(2)]
    assert told(first) == {"webhooks": 0}
    assert (second.status_code, told(second), "retry-after" in second.headers) == (429, {"webhooks": 0}, True)


async def test_where_nothing_is_counted_nothing_is_told(settings: Settings, database: Database) -> None:
    async with (
        serving(settings, database, rate_limits=False) as (_, address),
        gateway_process([address]) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        answer = await http.get("/v1/events")
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("ratelimit")]
