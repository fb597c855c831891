"""The public JSON is frozen: names, casing and types of every answer, in `golden.json`.

What is added breaks nobody and passes; what is missing, renamed or of another type fails. Write the file anew with

    GOLDEN=write pytest tests/gateway/test_golden.py
"""

import json
import os
import re
from functools import reduce
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from server.config import Settings
from server.db.engine import Database
from tests.gateway.conftest import Door, bearer, serving
from tests.gateway_process import gateway_process
from tests.rest_requests import rest_request
from tests.rpc.good_requests import Maker, good_request
from tests.rpc.test_bad_input import METHODS

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE: Final = Path(__file__).with_name("golden.json")
READS: Final = [method for method in METHODS if method.name.startswith(("Get", "List", "Watch"))]

Shape = dict[str, Any]


def shape(value: Any) -> Any:
    """What stands for a value: its names and types, and of a text of which kind it is."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        # Which of them comes first is chance, and what is left out of one may be in another.
        return [reduce(together, map(shape, value))] if value else []
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    for kind, form in {
        "whole number as text": r"-?\d+",
        "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
        "length of time": r"\d+(\.\d+)?s",
        "name of a constant": r"[A-Z]+(_[A-Z0-9]+)+|[A-Z]{4,}",
    }.items():
        if re.fullmatch(form, value):
            return kind
    return "text"


def together(one: Any, other: Any) -> Any:
    """The shape of two entries of a list: what either of them has."""
    if isinstance(one, dict) and isinstance(other, dict):
        common = {name: together(one[name], other[name]) for name in one.keys() & other.keys()}
        return {**one, **other, **common}
    if isinstance(one, list) and isinstance(other, list):
        return [reduce(together, one + other)] if one or other else []
    return one if one == other else "text"


def missing(frozen: Any, now: Any, path: str) -> list[str]:
    """What was promised and is no longer so."""
    if isinstance(frozen, dict):
        if not isinstance(now, dict):
            return [f"{path} is no object any more"]
        return [
            fault
            for name, one in frozen.items()
            for fault in (missing(one, now[name], f"{path}.{name}") if name in now else [f"{path}.{name} is gone"])
        ]
    if isinstance(frozen, list):
        if not isinstance(now, list):
            return [f"{path} is no list any more"]
        return missing(frozen[0], now[0], f"{path}[]") if frozen and now else []
    texts = {"text", "name of a constant", "whole number as text"}
    same = frozen == now or (frozen == "text" and now in texts)
    return [] if same else [f"{path} was: {frozen}; is: {now}"]


async def limits(settings: Settings, database: Database) -> Shape:
    """The headers that tell of limits, by their names as they are sent, each with what its entries have."""
    async with (
        serving(settings, database, rate_limits=True) as (client, address),
        gateway_process([address]) as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=60) as http,
    ):
        anna = await client.sign_up()
        answer = await http.get(f"/v1/{anna.name}", headers=bearer(anna))
    told = {
        name.decode(): value.decode() for name, value in answer.headers.raw if name.lower().startswith(b"ratelimit")
    }
    return {
        name: {
            limit: re.findall(r";(\w+)=", entry) for entry in value.split(", ") for limit in re.findall(r'"\w+"', entry)
        }
        for name, value in told.items()
    }


async def test_the_public_json_is_what_it_was(door: Door, maker: Maker, settings: Settings, database: Database) -> None:
    world = await maker.shared_world()
    found: Shape = {}
    for method in READS:
        request = rest_request(method, good_request(method, world))
        headers = dict(world.caller(method) or ())
        if method.server_streaming:
            async with door.http.stream(request.verb, request.url, headers=headers) as answer:
                found[method.name] = shape(json.loads(await anext(answer.aiter_lines())))
            continue
        got = await door.http.get(request.url, headers=headers)
        if got.headers["content-type"] == "application/json":
            assert got.status_code == 200, got.text
            found[method.name] = shape(got.json())
    refused = await door.http.get("/v1/events?pageSize=-1")
    found["a refusal"] = shape(refused.json())
    found["how near limits are"] = await limits(settings, database)

    if os.environ.get("GOLDEN") == "write":
        FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    frozen = json.loads(FILE.read_text())
    assert missing(frozen, found, "") == []
    assert set(found) >= set(frozen)
