"""What payment providers post reaches the server byte for byte: their signatures are over the body as it was sent."""

import pytest

from server import clock
from server.payments.stripe_webhooks import SIGNATURE_HEADER, sign
from tests.gateway.conftest import Door
from tests.gateway_process import reason
from tests.rpc.good_requests import WEBHOOK_SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Blanks, a name twice, an escape and a number that no reader of JSON gives back as they were.
BODY = (
    b'{ "id":"evt_%d",\r\n\t"type" : "account.updated", "created": 1700000000, "n": 1.0e2, "n": 1.50,'
    b' "\\u0061": "\xc3\xa9", "data": {"object": {"object": "account"}} }\n\n'
)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain"])
async def test_the_signature_holds(door: Door, kind: str) -> None:
    body = BODY % len(kind)
    headers = {SIGNATURE_HEADER: sign(body, WEBHOOK_SECRET, clock.now()), "Content-Type": kind}
    answer = await door.http.post("/v1/webhooks/stripe?of=this-house", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {}), answer.text


async def test_a_changed_body_is_not_believed(door: Door) -> None:
    headers = {SIGNATURE_HEADER: sign(BODY, WEBHOOK_SECRET, clock.now())}
    for changed in (BODY.strip(), BODY.replace(b"1.50", b"1.5"), BODY.replace(b"\\u0061", b"a")):
        answer = await door.http.post("/v1/webhooks/stripe", content=changed, headers=headers)
        assert (answer.status_code, reason(answer)) == (401, "WEBHOOK_SIGNATURE_INVALID")


async def test_what_a_provider_has_in_authorization_is_no_token_of_ours(door: Door) -> None:
    body = BODY % 77
    signature = sign(body, WEBHOOK_SECRET, clock.now())
    headers = {SIGNATURE_HEADER: signature, "Authorization": "Basic c3RyaXBlOnNlY3JldA=="}
    answer = await door.http.post("/v1/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_an_unknown_provider_is_not_found(door: Door) -> None:
    for name in ("nobody", "PROVIDER_UNSPECIFIED", "stripe/more"):
        answer = await door.http.post(f"/v1/webhooks/{name}", content=b"{}")
        assert (answer.status_code, reason(answer)) in {(404, "NOT_FOUND"), (400, "INVALID_FIELD")}


async def test_other_methods_are_not_taken(door: Door) -> None:
    answer = await door.http.get("/v1/webhooks/stripe")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


async def test_a_body_over_the_limit_is_not_read(door: Door) -> None:
    answer = await door.http.post("/v1/webhooks/stripe", content=b"x" * 262_145)
    assert (answer.status_code, reason(answer)) == (413, "REQUEST_TOO_LARGE")
