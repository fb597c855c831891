"""Every RPC that is served is served over REST."""

from typing import Final

import pytest

from server.interceptors.method import Method
from tests.gateway.conftest import Door
from tests.rest_caller import RestCaller
from tests.rest_requests import rest_request
from tests.rpc.good_requests import Maker, good_requests
from tests.rpc.test_bad_input import METHODS, Answer, by_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A webhook's body is no JSON of ours: see test_webhooks.py.
JSON: Final = [method for method in METHODS if method.name != "HandleProviderWebhook"]


@pytest.mark.parametrize("method", JSON, ids=by_name)
async def test_a_good_request_is_answered(door: Door, maker: Maker, method: Method) -> None:
    reads = method.name.startswith(("Get", "List", "Watch", "Export"))
    world = await maker.shared_world() if reads else await maker.world(spare=method.name.startswith("Delete"))
    call = RestCaller(door.http, method)
    async with maker.working():
        for request in good_requests(method, world):
            assert await call(rest_request(method, request), world.caller(method)) == Answer("OK")
