"""Calls any RPC through the gateway and reads the answer as over gRPC, so that tests can compare the two."""

import asyncio
from typing import Final

import httpx

from server.interceptors.method import Method
from tests.gateway_process import fields, reason
from tests.rest_requests import RestRequest
from tests.rpc.good_requests import Metadata
from tests.rpc.test_bad_input import Answer

CODES: Final = {
    3: "INVALID_ARGUMENT",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    12: "UNIMPLEMENTED",
    16: "UNAUTHENTICATED",
}
AT_ONCE: Final = 8


class RestCaller:
    """Calls one RPC through the gateway."""

    def __init__(self, http: httpx.AsyncClient, method: Method) -> None:
        self._http = http
        self._method = method
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, request: RestRequest, metadata: Metadata | None) -> Answer:
        """The answer; of a stream, how it begins."""
        headers = {**dict(metadata or ()), "content-type": "application/json"}
        async with (
            self._turn,
            self._http.stream(request.verb, request.url, content=request.body, headers=headers) as answer,
        ):
            if answer.status_code == 200:
                return Answer("OK")
            await answer.aread()
        if answer.status_code == 431:
            return Answer("INVALID_ARGUMENT", "TOO_LONG")
        said = answer.json()
        told = [said["message"], *(v["description"] for d in said["details"] for v in d.get("fieldViolations", ()))]
        return Answer(
            CODES.get(said["code"], str(said["code"])), reason(answer), "; ".join(told), tuple(fields(answer))
        )
