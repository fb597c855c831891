"""What nobody should send, through REST: refused for the same reasons as over gRPC, with the same field named.

The requests are those of `tests/rpc/test_bad_input.py`, said in JSON. What JSON cannot say is left out; a name that has
another form than the path of its RPC leads elsewhere, most often to nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest
from google.protobuf.message import DecodeError

from server.db.engine import Database
from server.interceptors.method import Method
from tests.gateway.conftest import Door
from tests.rest_caller import RestCaller
from tests.rest_requests import NotSaidError, RestRequest, rest_request
from tests.rpc.good_requests import Maker, good_requests
from tests.rpc.test_bad_input import METHODS, Answer, Caller, by_name, everything, faults, quiet
from tests.wrong_requests import Wrong, wrong_requests

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNARY: Final = [method for method in METHODS if method.name != "HandleProviderWebhook"]
"""A webhook's body is no JSON of ours: see test_webhooks.py."""

_TEXT, _NO_TEXT = b"Q" * 7, b"\xc3\x28" + b"Q" * 5


def said(method: Method, case: Wrong) -> RestRequest | None:
    """A wrong request over REST; None: JSON has no words for it, or says with them something that is right."""
    message = method.request_class()
    try:
        message.ParseFromString(case.raw)
    except DecodeError:
        message.ParseFromString(case.raw.replace(_NO_TEXT, _TEXT))
    try:
        request = rest_request(method, message)
    except NotSaidError:
        return None
    if case.what == "the path ''" or (case.path, case.what) == ("update_mask", "missing"):
        return None  # a PATCH without a mask has the names in its body for one
    if not case.named:
        url = request.url.replace(_TEXT.decode(), "%c3%28QQQQQ")
        body = request.body and request.body.replace(_TEXT, _NO_TEXT)
        return RestRequest(request.verb, url, body, request.routed, request.in_path)
    return request


@pytest.mark.parametrize("method", UNARY, ids=by_name)
async def test_what_is_wrong_is_refused_over_rest_as_over_grpc(
    door: Door, maker: Maker, database: Database, method: Method
) -> None:
    world = await maker.shared_world()
    who = world.caller(method)
    rest, direct = RestCaller(door.http, method), Caller(maker.channel, method)
    wrong = [case for good in good_requests(method, world) for case in wrong_requests(good) if case.refused]
    pairs = [(case, request) for case in wrong if (request := said(method, case)) is not None]
    before = await quiet(database)

    answers = await asyncio.gather(*(rest(request, who) for _, request in pairs))
    expected = await direct.all([case.raw for case, _ in pairs], who)

    astray = [(c, r, a) for (c, r), a in zip(pairs, answers, strict=True) if not r.routed]
    arrived = [
        (c, a, e) for (c, r), a, e in zip(pairs, answers, expected, strict=True) if r.routed and a.reason != "TOO_LONG"
    ]
    assert [f"{c.path}, {c.what}: {a}" for c, r, a in astray if a.code == "OK" and r.verb != "GET"] == []
    assert list(faults([c for c, _, _ in arrived], [a for _, a, _ in arrived])) == []
    assert _differing(arrived) == []
    assert everything(database) == before


def _differing(arrived: Sequence[tuple[Wrong, Answer, Answer]]) -> list[str]:
    return [
        f"{case.path}, {case.what}: {over_rest.reason} over REST, {direct.reason} over gRPC"
        for case, over_rest, direct in arrived
        if case.named and over_rest.reason != direct.reason
    ]
