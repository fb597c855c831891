"""Partners over a socket: what a key may do, how much of it, what it sees, and where it is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from rowlock.v1 import (
    auth_pb2,
    booking_pb2,
    booking_pb2_grpc,
    partner_pb2,
    partner_pb2_grpc,
    payment_pb2,
    payment_pb2_grpc,
)
from server.config import Settings
from server.db.engine import Database
from tests.invariants import assert_sound
from tests.partnering import PostOffice
from tests.receiver import Receiver, receiving
from tests.rpc.auth.conftest import QUICK, Client, Person, refusal, served
from tests.staging import Staged, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = auth_pb2.ApiKey.ALL_BOOKINGS
Metadata = tuple[tuple[str, str], ...]


@dataclass
class House:
    """A server, its stubs, and somebody who makes keys."""

    client: Client
    database: Database
    admin: Person

    def __post_init__(self) -> None:
        channel = self.client.channel
        self.bookings: booking_pb2_grpc.BookingServiceAsyncStub = booking_pb2_grpc.BookingServiceStub(channel)
        self.payments: payment_pb2_grpc.PaymentServiceAsyncStub = payment_pb2_grpc.PaymentServiceStub(channel)
        self.partners: partner_pb2_grpc.PartnerServiceAsyncStub = partner_pb2_grpc.PartnerServiceStub(channel)

    async def key(self, owner: Person | None = None, **bounds: Any) -> auth_pb2.CreateApiKeyResponse:
        """A partner's key."""
        owner = owner or await self.client.sign_up()
        wanted = auth_pb2.ApiKey(display_name="Partner", role=auth_pb2.ROLE_PARTNER, **bounds)
        request = auth_pb2.CreateApiKeyRequest(parent=owner.name, api_key=wanted)
        return await self.client.auth.CreateApiKey(request, metadata=self.admin.token)

    async def token(self, secret: str) -> Metadata:
        """What a partner calls with."""
        answer = await self.client.auth.ExchangeApiKey(auth_pb2.ExchangeApiKeyRequest(api_key=secret))
        return (("authorization", f"Bearer {answer.access_token}"),)

    async def partner(self, owner: Person | None = None, **bounds: Any) -> Metadata:
        """A partner with a key of its own."""
        return await self.token((await self.key(owner, **bounds)).secret)

    def staged(self, **columns: Any) -> Staged:
        """A performance on sale."""
        return self.database.run_transaction(lambda session: stage(session, customer_limit=50, **columns))

    async def hold(self, who: Metadata, house: Staged, *places: int, request_id: str = "") -> booking_pb2.Booking:
        """Claim places."""
        request = booking_pb2.CreateBookingRequest(
            parent=f"performances/{house.performance_id}",
            seats=[booking_pb2.SeatClaim(seat=house.hall.places[place].id) for place in places],
            request_id=request_id,
        )
        return await self.bookings.CreateBooking(request, metadata=who)

    async def pay(self, who: Metadata, booking: booking_pb2.Booking) -> payment_pb2.Payment:
        """Begin to pay."""
        request = payment_pb2.CreatePaymentRequest(
            parent=booking.name, payment=payment_pb2.Payment(provider=payment_pb2.Payment.SIMULATOR)
        )
        return await self.payments.CreatePayment(request, metadata=who)

    async def changes(self, who: Metadata, **request: Any) -> partner_pb2.ListChangesResponse:
        """Read the log, when everything has its position."""
        await PostOffice(self.database).deliverer.place()
        return await self.partners.ListChanges(partner_pb2.ListChangesRequest(**request), metadata=who)

    async def endpoint(self, who: Metadata, uri: str, **more: Any) -> partner_pb2.CreateWebhookEndpointResponse:
        """Make an endpoint."""
        wanted = partner_pb2.WebhookEndpoint(uri=uri, **more)
        request = partner_pb2.CreateWebhookEndpointRequest(parent="users/me", webhook_endpoint=wanted)
        return await self.partners.CreateWebhookEndpoint(request, metadata=who)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(settings: Settings, database: Database) -> AsyncIterator[House]:
    allowing: dict[str, Any] = {
        **QUICK,
        "rate_limits": True,
        "rate_limit_credentials": "100000/minute",
        "rate_limit_mail": "100000/minute",
        "delivery_private_networks": True,
    }
    async with served(settings.model_copy(update=allowing), database) as client:
        yield House(client, database, await client.admin())
    assert_sound(database)


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def waiting_time(call: Any) -> float:
    """For how many seconds a refusal says to wait."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    assert any(detail.Unpack(retry) for detail in status.details)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


# --- what a key may do ------------------------------------------------------------------------------------------------


async def test_a_key_is_kept_to_what_it_may_be_used_for(house: House) -> None:
    owner, hall = await house.client.sign_up(), house.staged()
    reads = await house.partner(owner, permissions=[auth_pb2.ApiKey.READ])
    books = await house.partner(owner, permissions=[auth_pb2.ApiKey.READ, auth_pb2.ApiKey.BOOK])
    booking = await house.hold(books, hall, 0)

    refused = await refusal(house.hold(reads, hall, 1))
    assert (refused.code, refused.facts["permission"]) == ("PERMISSION_DENIED", "BOOK")
    refused = await refusal(house.pay(books, booking))
    assert (refused.code, refused.facts["permission"]) == ("PERMISSION_DENIED", "PAY")
    refused = await refusal(house.endpoint(books, "https://93.184.216.34/"))
    assert (refused.code, refused.facts["permission"]) == ("PERMISSION_DENIED", "WEBHOOKS")
    got = await house.bookings.GetBooking(booking_pb2.GetBookingRequest(name=booking.name), metadata=reads)
    assert got == booking


async def test_a_key_that_may_not_refund_gives_up_holds_and_nothing_that_is_paid_for(house: House) -> None:
    owner, hall = await house.client.sign_up(), house.staged()
    books = await house.partner(owner, permissions=[auth_pb2.ApiKey.READ, auth_pb2.ApiKey.BOOK])
    held, paid = await house.hold(books, hall, 0), await house.hold(books, hall, 1)
    confirm = booking_pb2.ConfirmBookingRequest(name=paid.name, method=booking_pb2.Booking.COMP)
    await house.bookings.ConfirmBooking(confirm, metadata=house.admin.token)

    cancelled = await house.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=held.name), metadata=books)
    refused = await refusal(
        house.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=paid.name), metadata=books)
    )

    assert cancelled.state == booking_pb2.Booking.CANCELLED
    assert (refused.code, refused.facts["permission"]) == ("PERMISSION_DENIED", "REFUND")


async def test_places_that_a_key_may_hold_in_a_day_are_counted_once_each(house: House) -> None:
    owner, hall = await house.client.sign_up(), house.staged()
    made = await house.key(owner, held_places_per_day=3)
    who = await house.token(made.secret)
    await house.hold(who, hall, 0, 1, request_id="once")
    await house.hold(who, hall, 0, 1, request_id="once")
    taken = await refusal(house.hold(who, hall, 1))
    assert taken.reason == "SEAT_TAKEN", "what was refused costs nothing"
    await house.hold(who, hall, 2)

    refused = await refusal(house.hold(who, hall, 3))
    wait = await waiting_time(house.hold(who, hall, 3))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "API_KEY_QUOTA_REACHED")
    assert refused.facts == {"quota": "HELD_PLACES", "limit": "3", "used": "3"}
    assert 0 < wait <= 24 * 3600
    request = auth_pb2.ListApiKeysRequest(parent=owner.name)
    (key,) = (await house.client.auth.ListApiKeys(request, metadata=house.admin.token)).api_keys
    assert (key.held_places_per_day, key.held_places_today, key.sold_places_today) == (3, 3, 0)


async def test_rotation_is_no_way_to_more(house: House) -> None:
    hall, made = house.staged(), await house.key(held_places_per_day=2, calls_per_minute=2)
    former = await house.token(made.secret)
    await house.hold(former, hall, 0, 1)
    fresh = await house.client.auth.RotateApiKey(auth_pb2.RotateApiKeyRequest(api_key=made.secret))
    later = await house.client.auth.RotateApiKey(auth_pb2.RotateApiKeyRequest(api_key=fresh.secret))
    who = await house.token(later.secret)

    refused = await refusal(house.hold(who, hall, 2))
    assert refused.reason == "API_KEY_QUOTA_REACHED"
    refused = await refusal(house.changes(who))
    assert (refused.reason, refused.facts["limit"]) == ("RATE_LIMITED", "key")


async def test_a_quota_holds_against_requests_at_once(house: House) -> None:
    hall = house.staged()
    who = await house.partner(held_places_per_day=5)
    outcomes = await asyncio.gather(*(house.hold(who, hall, n) for n in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, booking_pb2.Booking) for outcome in outcomes) == 5


async def test_places_that_a_key_may_sell_in_a_day_are_those_that_it_begins_to_pay_for(house: House) -> None:
    hall = house.staged()
    who = await house.partner(sold_places_per_day=2)
    first, second = await house.hold(who, hall, 0, 1), await house.hold(who, hall, 2)
    payment = await house.pay(who, first)
    await house.payments.CancelPayment(payment_pb2.CancelPaymentRequest(name=payment.name), metadata=who)
    await house.pay(who, first)  # a second try sells nothing more

    refused = await refusal(house.pay(who, second))

    assert (refused.reason, refused.facts["quota"]) == ("API_KEY_QUOTA_REACHED", "SOLD_PLACES")


async def test_calls_of_a_key_are_counted_over_all_its_tokens(house: House) -> None:
    secret = (await house.key(calls_per_minute=1)).secret
    first, second = await house.token(secret), await house.token(secret)
    await house.changes(first)

    refused = await refusal(house.changes(second))
    wait = await waiting_time(house.changes(first))

    assert (refused.code, refused.reason, refused.facts["limit"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED", "key")
    assert 0 < wait <= 60


async def test_a_rotated_key_works_beside_its_successor_until_it_ends(house: House) -> None:
    owner = await house.client.sign_up()
    former = await house.key(owner, permissions=[auth_pb2.ApiKey.READ], held_places_per_day=7)

    async def rotate(secret: str, seconds: int) -> auth_pb2.RotateApiKeyResponse:
        request = auth_pb2.RotateApiKeyRequest(
            api_key=secret, overlap=Duration(seconds=seconds), request_id=f"rotate-{seconds}"
        )
        return await house.client.auth.RotateApiKey(request)

    fresh = await rotate(former.secret, 3600)
    again = await rotate(former.secret, 3600)
    assert again.api_key == fresh.api_key
    assert not again.secret
    assert fresh.api_key.rotated_from == former.api_key.name
    assert list(fresh.api_key.permissions) == [auth_pb2.ApiKey.READ]
    assert fresh.api_key.held_places_per_day == 7
    await house.token(former.secret)
    await house.token(fresh.secret)

    await rotate(former.secret, 0)
    refused = await refusal(house.token(former.secret))
    assert refused.reason == "API_KEY_INVALID"
    await house.token(fresh.secret)


# --- what it sees -----------------------------------------------------------------------------------------------------


async def test_a_partner_reads_the_life_of_its_own_bookings_and_nobody_elses(house: House) -> None:
    hall = house.staged()
    name = f"performances/{hall.performance_id}"
    mine, other = await house.partner(), await house.partner()
    everything = await house.partner(permissions=[auth_pb2.ApiKey.READ, ALL], scopes=[name])
    booking = await house.hold(mine, hall, 0)
    await house.hold(other, hall, 1)
    await house.bookings.CancelBooking(booking_pb2.CancelBookingRequest(name=booking.name), metadata=mine)

    own = await house.changes(mine, performance=name, kinds=[partner_pb2.Change.BOOKING])
    all_of_it = await house.changes(everything)

    assert [change.type for change in own.changes] == ["booking.held", "booking.cancelled"]
    assert {change.booking.name for change in own.changes} == {booking.name}
    assert own.changes[0].booking.seats[0].seat == hall.hall.places[0].id
    assert own.changes[0].booking.total == booking.total
    kinds = [change.type for change in all_of_it.changes]
    assert kinds == ["performance.scheduled", "booking.held", "booking.held", "booking.cancelled"]
    refused = await refusal(house.changes(everything, performance=f"performances/{house.staged().performance_id}"))
    assert refused.code == "PERMISSION_DENIED"


async def test_the_log_is_followed_by_position_page_by_page(house: House) -> None:
    hall = house.staged()
    who = await house.partner()
    for n in range(7):
        await house.hold(who, hall, n)
    seen: list[int] = []
    position, more = 0, True
    while more:
        page = await house.changes(who, after_position=position, page_size=3, kinds=[partner_pb2.Change.BOOKING])
        seen += [change.position for change in page.changes]
        position, more = page.next_position, page.more
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen)
    assert not (await house.changes(who, after_position=position)).changes
    refused = await refusal(house.changes(who, after_position=2**62))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("after_position",))


# --- where it is told -------------------------------------------------------------------------------------------------


async def test_a_partner_makes_an_end_point_and_is_told(house: House, receiver: Receiver) -> None:
    hall, who = house.staged(), await house.partner()
    made = await house.endpoint(who, receiver.uri, display_name="Accounting", kinds=[partner_pb2.Change.BOOKING])
    booking = await house.hold(who, hall, 0)
    office = PostOffice(house.database)
    await office.work()

    assert made.secret.startswith(made.webhook_endpoint.secret_prefix)
    assert [arrival.message["data"]["name"] for arrival in receiver.arrivals] == [booking.name]
    request = partner_pb2.ListWebhookDeliveriesRequest(parent=made.webhook_endpoint.name)
    (attempt,) = (await house.partners.ListWebhookDeliveries(request, metadata=who)).deliveries
    assert attempt.webhook_id == receiver.arrivals[0].id
    assert (attempt.outcome, attempt.status, attempt.type) == (
        partner_pb2.WebhookDelivery.DELIVERED,
        204,
        "booking.held",
    )


async def test_a_secret_is_told_once(house: House) -> None:
    who = await house.partner()
    wanted = partner_pb2.WebhookEndpoint(uri="https://93.184.216.34/")
    create = partner_pb2.CreateWebhookEndpointRequest(parent="users/me", webhook_endpoint=wanted, request_id="made")
    made = await house.partners.CreateWebhookEndpoint(create, metadata=who)
    name = made.webhook_endpoint.name
    rotate = partner_pb2.RotateWebhookSecretRequest(name=name, request_id="turned")
    turned = await house.partners.RotateWebhookSecret(rotate, metadata=who)
    assert made.secret != turned.secret
    assert turned.webhook_endpoint.HasField("former_secret_expire_time")

    answers = [
        await house.partners.CreateWebhookEndpoint(create, metadata=who),
        await house.partners.RotateWebhookSecret(rotate, metadata=who),
        await house.partners.GetWebhookEndpoint(partner_pb2.GetWebhookEndpointRequest(name=name), metadata=who),
        await house.partners.ListWebhookEndpoints(
            partner_pb2.ListWebhookEndpointsRequest(parent="users/me"), metadata=who
        ),
    ]
    kept = house.database.run_transaction(
        lambda session: session.scalar(text("SELECT string_agg(answer::text, ' ') FROM request_results"))
    )
    for secret in (made.secret, turned.secret):
        assert secret not in " ".join(map(str, answers))
        assert secret.encode().hex() not in kept


async def test_somebody_elses_end_point_is_not_there(house: House) -> None:
    mine, other = await house.partner(), await house.partner()
    name = (await house.endpoint(mine, "https://93.184.216.34/")).webhook_endpoint.name
    update = partner_pb2.WebhookEndpoint(name=name, display_name="Mine now")
    for call in (
        house.partners.GetWebhookEndpoint(partner_pb2.GetWebhookEndpointRequest(name=name), metadata=other),
        house.partners.UpdateWebhookEndpoint(
            partner_pb2.UpdateWebhookEndpointRequest(webhook_endpoint=update), metadata=other
        ),
        house.partners.DeleteWebhookEndpoint(partner_pb2.DeleteWebhookEndpointRequest(name=name), metadata=other),
        house.partners.RotateWebhookSecret(partner_pb2.RotateWebhookSecretRequest(name=name), metadata=other),
        house.partners.TestWebhookEndpoint(partner_pb2.TestWebhookEndpointRequest(name=name), metadata=other),
        house.partners.ReplayDeliveries(partner_pb2.ReplayDeliveriesRequest(name=name), metadata=other),
        house.partners.ListWebhookDeliveries(partner_pb2.ListWebhookDeliveriesRequest(parent=name), metadata=other),
        house.partners.ListWebhookEndpoints(partner_pb2.ListWebhookEndpointsRequest(parent="users/-"), metadata=other),
    ):
        assert (await refusal(call)).code == "NOT_FOUND"


async def test_an_end_point_is_switched_off_and_on_tested_replayed_and_deleted(
    house: House, receiver: Receiver
) -> None:
    hall = house.staged()
    who = await house.partner(scopes=[f"performances/{hall.performance_id}"])
    office = PostOffice(house.database)
    await office.work()
    endpoint = (await house.endpoint(who, receiver.uri)).webhook_endpoint
    name = endpoint.name
    assert list(endpoint.scopes) == [f"performances/{hall.performance_id}"]

    async def switch(*, off: bool) -> None:
        wanted = partner_pb2.WebhookEndpoint(name=name, disabled=off)
        request = partner_pb2.UpdateWebhookEndpointRequest(
            webhook_endpoint=wanted, update_mask=FieldMask(paths=["disabled"])
        )
        answer = await house.partners.UpdateWebhookEndpoint(request, metadata=who)
        assert answer.disabled is off

    await switch(off=True)
    booking = await house.hold(who, hall, 0)
    await office.work()
    assert receiver.arrivals == []
    test = partner_pb2.TestWebhookEndpointRequest(name=name)
    refused = await refusal(house.partners.TestWebhookEndpoint(test, metadata=who))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "WEBHOOK_ENDPOINT_DISABLED")

    await switch(off=False)
    await office.work()
    assert [arrival.message["data"]["name"] for arrival in receiver.arrivals] == [booking.name]
    sent = await house.partners.TestWebhookEndpoint(test, metadata=who)
    await office.work()
    assert receiver.arrivals[-1].id == sent.webhook_id

    replay = partner_pb2.ReplayDeliveriesRequest(name=name)
    assert (await house.partners.ReplayDeliveries(replay, metadata=who)).performance_count == 1
    await office.work()
    assert [arrival.message["type"] for arrival in receiver.arrivals[2:]] == ["performance.scheduled", "booking.held"]
    assert receiver.arrivals[3].id == receiver.arrivals[0].id

    await house.partners.DeleteWebhookEndpoint(partner_pb2.DeleteWebhookEndpointRequest(name=name), metadata=who)
    get = partner_pb2.GetWebhookEndpointRequest(name=name)
    assert (await refusal(house.partners.GetWebhookEndpoint(get, metadata=who))).code == "NOT_FOUND"


async def test_an_account_has_at_most_twenty_end_points(house: House) -> None:
    who = await house.partner()
    await asyncio.gather(*(house.endpoint(who, "https://93.184.216.34/") for _ in range(20)))
    refused = await refusal(house.endpoint(who, "https://93.184.216.34/"))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "WEBHOOK_ENDPOINT_LIMIT")


async def test_a_private_address_is_refused_when_it_is_set(settings: Settings, database: Database) -> None:
    async with served(settings.model_copy(update=QUICK), database) as client:
        house = House(client, database, await client.admin())
        who = await house.partner()
        made = await house.endpoint(who, "https://93.184.216.34/")
        for uri in (
            "http://93.184.216.34/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
            "https://2130706433/",
            "https://0x7f.1/",
        ):
            refused = await refusal(house.endpoint(who, uri))
            assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("webhook_endpoint.uri",)), uri
            update = partner_pb2.WebhookEndpoint(name=made.webhook_endpoint.name, uri=uri)
            request = partner_pb2.UpdateWebhookEndpointRequest(webhook_endpoint=update)
            refused = await refusal(house.partners.UpdateWebhookEndpoint(request, metadata=who))
            assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ("webhook_endpoint.uri",)), uri
