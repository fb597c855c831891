"""Unary calls over REST, by the built gateway against a real server."""

import json
from typing import Any

import httpx
import pytest

from rowlock.v1 import booking_pb2, booking_pb2_grpc
from tests.gateway.conftest import Door, bearer
from tests.gateway_process import fields, gateway_process, reason
from tests.paying import desk_on

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_booking_is_made_read_changed_and_given_up(door: Door) -> None:
    made = await door.book(door.anna, 0, 1)
    assert made.status_code == 200, made.text
    booking = made.json()
    assert booking["state"] == "HELD"
    assert booking["total"] == {"currencyCode": "EUR", "units": "50", "nanos": 0}

    name = booking["name"]
    noted = await door.http.patch(f"/v1/{name}", json={"note": "Aisle, please"}, headers=bearer(door.anna))
    assert noted.json()["note"] == "Aisle, please"
    assert (await door.http.get(f"/v1/{name}", headers=bearer(door.anna))).json() == noted.json()

    gone = await door.http.post(f"/v1/{name}:cancel", json={}, headers=bearer(door.anna))
    assert (gone.status_code, gone.json()["state"]) == (200, "CANCELLED")


async def test_what_was_read_can_be_sent_back_with_one_value_changed_or_emptied(door: Door) -> None:
    venue = (await door.http.get("/v1/venues")).json()["venues"][0]
    url, staff = f"/v1/{venue['name']}", bearer(door.staff)
    changed = await door.http.patch(url, json={**venue, "description": "By the river"}, headers=staff)
    assert (changed.status_code, changed.json().get("description")) == (200, "By the river"), changed.text

    emptied = await door.http.patch(url, json={"description": ""}, headers=staff)
    assert emptied.json()["description"] == ""
    assert emptied.json()["displayName"] == venue["displayName"]

    masked = await door.http.patch(
        url, params={"updateMask": "displayName"}, json={"displayName": "Forum", "description": "No"}, headers=staff
    )
    assert (masked.json()["displayName"], masked.json()["description"]) == ("Forum", "")


async def test_a_refusal_has_its_details(door: Door) -> None:
    await door.book(door.staff, 10)
    taken = await door.book(door.anna, 10)
    assert taken.status_code == 400
    assert taken.headers["content-type"] == "application/json"
    body = taken.json()
    assert (body["code"], reason(taken)) == (9, "SEAT_TAKEN")
    info = next(detail for detail in body["details"] if detail["@type"].endswith("google.rpc.ErrorInfo"))
    assert info["domain"] == "rowlock.dev"
    assert info["metadata"] == {"seats": door.hall.hall.places[10].id}


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/v1/performances/999999999", 404, "NOT_FOUND"),
        ("/v1/users/me", 401, "TOKEN_MISSING"),
        ("/v1/nothing/here", 404, "NOT_FOUND"),
        ("/nothing", 404, "NOT_FOUND"),
        ("/v1/events?pageSize=x", 400, "INVALID_FIELD"),
        ("/v1/events?pagesize=5", 400, "INVALID_FIELD"),
        ("/v1/events?pageSize=5&pageSize=6", 400, "INVALID_FIELD"),
        ("/v1/events?pageSize=%c3%28", 400, "INVALID_FIELD"),
        ("/v1/performances/%c3%28", 400, "INVALID_FIELD"),
        ("/v1/performances/%2e%2e", 400, "INVALID_FIELD"),
        ("/v1/performances/1%00", 400, "INVALID_FIELD"),
    ],
)
async def test_each_refusal_has_its_status_and_reason(door: Door, path: str, status: int, why: str) -> None:
    answer = await door.http.get(path)
    assert (answer.status_code, reason(answer)) == (status, why), answer.text


async def test_other_methods_are_named(door: Door) -> None:
    refused = await door.http.put("/v1/events")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert reason(refused) == "NOT_IMPLEMENTED"
    form = await door.http.post("/v1/jobs", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status_code == 404
    form = await door.http.post("/v1/users/me", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (form.status_code, form.headers["allow"]) == (405, "GET, HEAD, PATCH, OPTIONS")
    page = await door.http.delete("/healthz")
    assert (page.status_code, page.headers["allow"], reason(page)) == (405, "GET, HEAD", "NOT_IMPLEMENTED")
    asked = await door.http.options("/v1/events")
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, "GET, HEAD, POST, OPTIONS", b"")


async def test_head_is_get_without_its_body(door: Door) -> None:
    got, asked = await door.http.get("/v1/events"), await door.http.head("/v1/events")
    assert asked.status_code == 200
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert asked.content == b""
    assert (await door.http.head("/v1/sessions")).status_code == 404


WRONG_BODIES: dict[str, tuple[str | bytes, str, str]] = {
    "an unknown field": ('{"seats": [], "colour": "red"}', "colour", "no such field"),
    "an unknown field within": ('{"seats": [{"seat": "A"}, {"set": "B"}]}', "seats[1].set", "no such field"),
    "a field twice": ('{"note": "a", "note": "b"}', "note", "twice"),
    "a field twice by both its names": ('{"requestId": "a", "request_id": "b"}', "request_id", "twice"),
    "a number for a text": ('{"note": 5}', "note", "text"),
    "a text for a list": ('{"seats": "A-1"}', "seats", "list"),
    "a text for an object": ('{"bestAvailable": "two"}', "best_available", "object"),
    "a text for a number": ('{"bestAvailable": {"quantity": "two"}}', "best_available.quantity", "number"),
    "a number that is too big": ('{"bestAvailable": {"quantity": 4294967296}}', "best_available.quantity", "32 bits"),
    "a number beyond all bounds": ('{"bestAvailable": {"quantity": 1e999}}', "best_available.quantity", "number"),
    "half a number": ('{"bestAvailable": {"quantity": 1.5}}', "best_available.quantity", "number"),
    "no JSON": ('{"seats": [', "", "not JSON"),
    "two values": ('{"note": "a"} {"note": "b"}', "", "not JSON"),
    "a list": ("[]", "", "object"),
    "bytes that are no text": (b'{"note": "\xc3\x28"}', "", "UTF-8"),
    "a nesting of 101": ('{"note": ' + "[" * 101 + "]" * 101 + "}", "", "nested"),
    "a nesting of 50,000": ("[" * 50_000, "", "nested"),
}


@pytest.mark.parametrize("what", WRONG_BODIES)
async def test_json_that_is_no_request_is_refused_with_its_field_named(door: Door, what: str) -> None:
    body, field, words = WRONG_BODIES[what]
    headers = {**bearer(door.anna), "Content-Type": "application/json"}
    answer = await door.http.post(f"/v1/{door.performance}/bookings", content=body, headers=headers)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_FIELD"), answer.text
    assert fields(answer) == ([field] if field else [])
    assert words in answer.json()["message"]
    assert "proto" not in answer.text.replace("google.rpc", "")
    assert "line" not in answer.json()["message"]


async def test_a_fault_in_a_resource_is_named_from_the_request_on(door: Door) -> None:
    answer = await door.http.post("/v1/venues", json={"displayName": 5}, headers=bearer(door.staff))
    assert (answer.status_code, fields(answer)) == (400, ["venue.display_name"])
    answer = await door.http.patch("/v1/venues/1", json={"colour": "red"}, headers=bearer(door.staff))
    assert (answer.status_code, fields(answer)) == (400, ["venue.colour"])


async def test_a_body_over_the_limit_is_not_read(door: Door) -> None:
    body = b'{"note": "' + b"x" * 262_144 + b'"}'
    for content in (body, _in_pieces(body)):
        answer = await door.http.post(
            f"/v1/{door.performance}/bookings", content=content, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, reason(answer)) == (413, "REQUEST_TOO_LARGE")


async def _in_pieces(body: bytes) -> Any:
    for begin in range(0, len(body), 65_536):
        yield body[begin : begin + 65_536]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip", "Content-Type": "application/json"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
    ],
)
async def test_a_body_that_is_packed_or_no_json_is_not_taken(door: Door, headers: dict[str, str]) -> None:
    answer = await door.http.post(f"/v1/{door.performance}/bookings", content=b"{}", headers=headers)
    assert (answer.status_code, reason(answer)) == (415, "INVALID_FIELD")


async def test_headers_that_are_too_long_are_refused(door: Door) -> None:
    long = await door.http.get("/v1/users/me", headers={"Authorization": "Bearer " + "x" * 8_000})
    assert (long.status_code, reason(long)) == (431, "INVALID_FIELD")
    endless = await door.http.get("/v1/users/me", headers={"Authorization": "Bearer " + "x" * 60_000})
    assert endless.status_code == 431


async def test_an_idempotency_key_makes_a_second_try_harmless(door: Door) -> None:
    key = {"Idempotency-Key": "the-same-thing"}
    first, again = [await door.book(door.staff, 20, **key) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert again.json() == first.json()

    other = await door.book(door.staff, 21, **key)
    assert (other.status_code, reason(other), fields(other)) == (400, "REQUEST_ID_REUSED", ["request_id"])

    both = await door.http.post(
        f"/v1/{door.performance}/bookings",
        json={"seats": [{"seat": door.hall.hall.places[22].id}], "requestId": "another-thing"},
        headers={**bearer(door.staff), **key},
    )
    assert (both.status_code, fields(both)) == (400, ["request_id"])
    blank = await door.book(door.staff, 22, **{"Idempotency-Key": "no blanks here"})
    assert (blank.status_code, fields(blank)) == (400, ["request_id"])


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [("requestId=twice", "request_id", "in the body"), ("colour=red", "colour", "no such field")],
)
async def test_what_belongs_into_the_body_is_not_passed_over_in_the_query(
    door: Door, query: str, field: str, words: str
) -> None:
    answer = await door.http.post(
        f"/v1/{door.performance}/bookings?{query}",
        json={"seats": [{"seat": door.hall.hall.places[24].id}]},
        headers=bearer(door.anna),
    )
    assert (answer.status_code, reason(answer), fields(answer)) == (400, "INVALID_FIELD", [field])
    assert words in answer.json()["message"]


async def test_the_method_is_the_one_in_the_request_line(door: Door) -> None:
    listed = await door.http.get("/v1/events", headers={"X-HTTP-Method-Override": "DELETE"})
    assert listed.status_code == 200
    name = listed.json()["events"][0]["name"]
    for method, kind in (("POST", "application/x-www-form-urlencoded"), ("POST", "application/json")):
        answer = await door.http.request(
            method,
            f"/v1/{name}",
            content=b"a=b",
            headers={**bearer(door.staff), "X-HTTP-Method-Override": "DELETE", "Content-Type": kind},
        )
        assert answer.status_code in {405, 415}
    assert (await door.http.get(f"/v1/{name}")).status_code == 200


async def test_files_come_as_what_they_are(door: Door) -> None:
    bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(door.client.channel)
    name = (await door.book(door.staff, 30)).json()["name"]
    async with desk_on(door.client.database) as desk:
        await bookings.ConfirmBooking(
            booking_pb2.ConfirmBookingRequest(name=name, method=booking_pb2.Booking.CASH), metadata=door.staff.token
        )
        await desk.settle()
    listed = await door.http.get(f"/v1/{name}/tickets", headers=bearer(door.staff))
    ticket = listed.json()["tickets"][0]["name"]
    printed = await door.http.get(f"/v1/{ticket}:document", headers=bearer(door.staff))
    assert (printed.status_code, printed.headers["content-type"]) == (200, "application/pdf"), printed.text
    assert printed.content.startswith(b"%PDF-")

    table = await door.http.get("/v1/reports/sales:export", headers=bearer(door.staff))
    assert table.status_code == 200, table.text
    assert table.headers["content-type"].startswith("text/csv")
    assert "," in table.text.splitlines()[0]


async def test_a_page_of_another_origin_may_call_if_it_is_one_of_those_named(door: Door) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
    ours, theirs = "https://tickets.example.org", "https://elsewhere.example.org"
    preflight = await door.http.options("/v1/events", headers={"Origin": ours, **asked})
    assert preflight.headers["access-control-allow-origin"] == ours
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in preflight.headers
    refused = await door.http.options("/v1/events", headers={"Origin": theirs, **asked})
    assert "access-control-allow-origin" not in refused.headers
    answered = await door.http.get("/v1/events", headers={"Origin": ours})
    assert answered.headers["access-control-allow-origin"] == ours
    assert "retry-after" in answered.headers["access-control-expose-headers"].lower()

    async with gateway_process([door.address]) as closed, httpx.AsyncClient(base_url=closed.url, timeout=60) as http:
        answered = await http.get("/v1/events", headers={"Origin": ours})
        assert answered.status_code == 200
        assert "access-control-allow-origin" not in answered.headers


async def test_a_server_that_is_not_there_is_told_without_its_address(door: Door) -> None:
    async with gateway_process(["127.0.0.1:1"]) as alone, httpx.AsyncClient(base_url=alone.url, timeout=60) as http:
        answer = await http.get("/v1/events")
        assert (answer.status_code, reason(answer), answer.headers["retry-after"]) == (503, "SERVER_UNREACHABLE", "1")
        assert "127.0.0.1" not in answer.text
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
    assert (await door.http.get("/readyz")).text == "ok\n"


async def test_the_document_and_its_page_are_served(door: Door) -> None:
    described = await door.http.get("/openapi.json")
    document = json.loads(described.content)
    assert "content-encoding" in described.headers
    assert "/v1/categories/{category}" in document["paths"]
    assert len(document["paths"]) > 100
    assert "schemes" not in document  # or the page would call by https where there is none
    page = await door.http.get("/docs/")
    assert page.headers["content-type"].startswith("text/html")
    assert "//cdn" not in page.text
