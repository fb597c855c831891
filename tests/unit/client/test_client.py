"""The blocking client against a channel of grpcio-testing: what it sends, what it repeats, what it raises."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc_testing
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import auth_pb2, booking_pb2, event_pb2, payment_pb2, performance_pb2
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock.v1.seat_map_pb2 import Area, PriceZone, Seat
from rowlock_client import Client, RetryPolicy, Rpc, Tokens, calls
from rowlock_client.errors import (
    Aborted,
    DeadlineExceeded,
    FailedPrecondition,
    Unauthenticated,
    Unavailable,
)
from rowlock_client.rpc import Attempts
from rowlock_client.tokens import MemoryStore
from server.errors import Aborted as ServerAborted
from server.errors import FailedPrecondition as ServerFailedPrecondition
from server.errors import RowlockError as ServerError
from server.errors import Unauthenticated as ServerUnauthenticated
from server.errors import Unavailable as ServerUnavailable
from server.interceptors.status import DETAILS_KEY, rich_status

SERVICES = {
    service.name: service
    for file in (auth_pb2, booking_pb2, event_pb2, payment_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}
QUICK = RetryPolicy(first_pause=0.001, longest_pause=0.002)
AWAY = ServerUnavailable("DRAINING", "stopping")
BOOKING = "performances/1/bookings/00000000-0000-7000-8000-000000000001"


class Server:
    """The far end of the channel: takes one call after the other and answers as told."""

    def __init__(self) -> None:
        clock = grpc_testing.strict_real_time()
        self.channel = grpc_testing.channel(list(SERVICES.values()), clock)
        self.metadata: dict[str, str] = {}

    def expect(self, service: str, method: str, answer: Message | ServerError) -> Any:
        """Take a call of this method, answer it, and return its request."""
        descriptor = SERVICES[service].methods_by_name[method]
        metadata, request, rpc = self.channel.take_unary_unary(descriptor)
        self.metadata = {entry[0]: entry[1] for entry in metadata}
        # The client goes on with the object that it sent.
        taken = type(request)()
        taken.CopyFrom(request)
        if isinstance(answer, ServerError):
            details = rich_status(answer).SerializeToString()
            rpc.terminate(None, ((DETAILS_KEY, details),), grpc.StatusCode[answer.code], answer.message)
        else:
            rpc.terminate(answer, (), grpc.StatusCode.OK, "")
        return taken


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def background() -> Iterator[Callable[..., "Future[Any]"]]:
    """Runs calls in threads, because the test plays the server meanwhile."""
    with ThreadPoolExecutor(20) as pool:
        yield pool.submit


def tokens(name: str, *, lives: float = 900, refresh: str = "refresh-1") -> Tokens:
    now = datetime.now(UTC)
    return Tokens(name, now + timedelta(seconds=lives), now - timedelta(seconds=900 - lives), refresh, "users/u")


def granted(name: str, refresh: str) -> auth_pb2.RefreshTokenResponse:
    end = Timestamp()
    end.FromDatetime(datetime.now(UTC) + timedelta(minutes=15))
    return auth_pb2.RefreshTokenResponse(access_token=name, access_expire_time=end, refresh_token=refresh)


def client_of(server: Server, held: Tokens | None = None, **options: Any) -> Client:
    return Client(channel=server.channel, store=MemoryStore(held), retry=QUICK, **options)


# -- Repeating -----------------------------------------------------------------------------------------------


def test_a_change_is_repeated_with_the_same_request_id(server: Server, background: Callable[..., Any]) -> None:
    call = background(client_of(server).hold, "performances/1", "A-1", "A-2")

    first = server.expect("BookingService", "CreateBooking", AWAY)
    second = server.expect("BookingService", "CreateBooking", ServerAborted("CONTENDED", "crowded"))
    third = server.expect("BookingService", "CreateBooking", booking_pb2.Booking(name=BOOKING))

    assert call.result().name == BOOKING
    assert [claim.seat for claim in first.seats] == ["A-1", "A-2"]
    assert len(first.request_id) == 32
    assert first == second == third


def test_two_changes_have_two_request_ids(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server)
    ids = set()
    for _ in range(2):
        call = background(client.cancel, BOOKING)
        ids.add(server.expect("BookingService", "CancelBooking", booking_pb2.Booking()).request_id)
        call.result()

    assert len(ids) == 2


def test_a_call_without_an_answer_can_be_repeated_by_its_request_id(
    server: Server, background: Callable[..., Any]
) -> None:
    client = client_of(server, timeout=60)
    call = background(client.extend, BOOKING)
    sent = server.expect("BookingService", "ExtendBooking", ServerUnavailable("OUTCOME_UNKNOWN", "?", retry_after=3600))
    with pytest.raises(Unavailable) as caught:
        call.result()

    again = background(lambda: client.call(calls.extend(BOOKING), request_id=caught.value.request_id))

    assert server.expect("BookingService", "ExtendBooking", booking_pb2.Booking()).request_id == sent.request_id
    again.result()


def test_a_lost_race_and_a_refusal_are_not_repeated(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server)

    call = background(client.add, BOOKING, "A-1", etag="x")
    server.expect("BookingService", "AddSeats", ServerAborted("ETAG_MISMATCH", "changed"))
    with pytest.raises(Aborted):
        call.result()

    call = background(client.add, BOOKING, "A-1")
    server.expect("BookingService", "AddSeats", ServerFailedPrecondition("SEAT_TAKEN", "taken", seats="A-1"))
    with pytest.raises(FailedPrecondition) as caught:
        call.result()
    assert caught.value.reason == "SEAT_TAKEN"
    assert caught.value.metadata == {"seats": "A-1"}


def test_a_read_is_repeated_and_the_wish_of_the_server_kept(server: Server, background: Callable[..., Any]) -> None:
    begin = time.monotonic()
    call = background(client_of(server).availability, "performances/1")
    server.expect("EventService", "GetAvailability", ServerUnavailable("OVERLOADED", "later", retry_after=0.2))
    server.expect("EventService", "GetAvailability", performance_pb2.GetAvailabilityResponse(revision=3))

    assert call.result().revision == 3
    assert time.monotonic() - begin >= 0.2


def test_what_may_not_be_repeated_is_not(server: Server, background: Callable[..., Any]) -> None:
    change = auth_pb2.ChangePasswordRequest(name="users/me")
    call = background(client_of(server).call, Rpc(AuthServiceStub, "ChangePassword", change))
    server.expect("AuthService", "ChangePassword", AWAY)

    with pytest.raises(Unavailable):
        call.result()


def test_the_deadline_bounds_all_attempts() -> None:
    now = 100.0
    attempts = Attempts(calls.event("events/1"), 1.0, RetryPolicy(first_pause=0.4), clock=lambda: now)
    away = Unavailable(grpc.StatusCode.UNAVAILABLE, "away")
    assert attempts.remaining() == 1.0

    now = 100.5
    assert attempts.remaining() == 0.5
    assert 0 < attempts.pause_after(away) < 0.5
    now = 100.9
    with pytest.raises(Unavailable):
        attempts.pause_after(away)
    now = 101.0
    with pytest.raises(DeadlineExceeded):
        attempts.remaining()


def test_the_callers_own_request_is_not_changed(server: Server, background: Callable[..., Any]) -> None:
    rpc = calls.hold("performances/1", best=2)
    call = background(client_of(server).call, rpc)
    server.expect("BookingService", "CreateBooking", booking_pb2.Booking())
    call.result()

    assert isinstance(rpc.request, booking_pb2.CreateBookingRequest)
    assert rpc.request.request_id == ""
    assert rpc.request.best_available.quantity == 2


# -- Tokens --------------------------------------------------------------------------------------------------


def test_log_in_keeps_the_tokens_and_sends_them(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server)
    answer = auth_pb2.LogInResponse(access_token="access", refresh_token="refresh")
    answer.access_expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=15))
    call = background(client.log_in, "ada@example.org", "correct horse")
    server.expect("AuthService", "LogIn", answer)
    call.result()

    call = background(client.me)
    server.expect("AuthService", "GetUser", auth_pb2.User(name="users/u"))

    assert call.result().name == "users/u"
    assert server.metadata["authorization"] == "Bearer access"


def test_a_token_is_renewed_before_it_ends(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server, tokens("old", lives=30))
    call = background(client.me)

    request = server.expect("AuthService", "RefreshToken", granted("new", "refresh-2"))
    assert "authorization" not in server.metadata
    server.expect("AuthService", "GetUser", auth_pb2.User())

    call.result()
    assert request.refresh_token == "refresh-1"
    assert server.metadata["authorization"] == "Bearer new"
    assert client.tokens is not None
    assert client.tokens.refresh_token == "refresh-2"


def test_a_refused_token_is_renewed_once_and_the_call_repeated(server: Server, background: Callable[..., Any]) -> None:
    call = background(client_of(server, tokens("old")).cancel, BOOKING)
    first = server.expect("BookingService", "CancelBooking", ServerUnauthenticated("TOKEN_REVOKED", "no"))
    server.expect("AuthService", "RefreshToken", granted("new", "refresh-2"))
    second = server.expect("BookingService", "CancelBooking", ServerUnauthenticated("TOKEN_REVOKED", "still no"))

    with pytest.raises(Unauthenticated, match="still no"):
        call.result()
    assert first.request_id == second.request_id
    assert server.metadata["authorization"] == "Bearer new"


def test_a_session_that_is_over_is_forgotten(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server, tokens("old", lives=1))
    call = background(client.me)
    server.expect("AuthService", "RefreshToken", ServerUnauthenticated("REFRESH_TOKEN_REUSED", "over"))

    with pytest.raises(Unauthenticated, match="over"):
        call.result()
    assert client.tokens is None


def test_a_token_that_still_lives_serves_while_it_cannot_be_renewed(
    server: Server, background: Callable[..., Any]
) -> None:
    client = Client(channel=server.channel, store=MemoryStore(tokens("old", lives=30)), retry=RetryPolicy(patience=0.0))
    call = background(client.me)
    server.expect("AuthService", "RefreshToken", AWAY)
    server.expect("AuthService", "GetUser", auth_pb2.User(name="users/u"))

    assert call.result().name == "users/u"
    assert server.metadata["authorization"] == "Bearer old"


def test_many_threads_renew_once(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server, tokens("old", lives=1))
    made = [background(client.me) for _ in range(10)]

    server.expect("AuthService", "RefreshToken", granted("new", "refresh-2"))
    for _ in made:
        server.expect("AuthService", "GetUser", auth_pb2.User())
        assert server.metadata["authorization"] == "Bearer new"
    for call in made:
        call.result()


def test_an_api_key_is_exchanged_instead_of_logging_in(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server, api_key="rk_secret")
    answer = auth_pb2.ExchangeApiKeyResponse(access_token="of the key")
    answer.access_expire_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=15))
    for _ in range(2):
        call = background(client.events)
        if client.tokens is None:
            server.expect("AuthService", "ExchangeApiKey", answer)
        server.expect("EventService", "ListEvents", event_pb2.ListEventsResponse())
        call.result()
        assert server.metadata["authorization"] == "Bearer of the key"


def test_log_out_forgets_and_tells_the_server(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server, tokens("access"))
    call = background(client.log_out)
    request = server.expect("AuthService", "LogOut", auth_pb2.LogOutResponse())
    call.result()

    assert request.refresh_token == "refresh-1"
    assert client.tokens is None


# -- Pages and waiting ---------------------------------------------------------------------------------------


def test_pages_follow_each_other(server: Server, background: Callable[..., Any]) -> None:
    client = client_of(server)
    call = background(lambda: [page.events[0].title for page in client.pages(calls.events(text="x", page_size=1))])
    pages = [("A", "2"), ("B", "3"), ("C", "")]
    asked = []
    for title, following in pages:
        page = event_pb2.ListEventsResponse(events=[event_pb2.Event(title=title)], next_page_token=following)
        asked.append(server.expect("EventService", "ListEvents", page))

    assert call.result() == ["A", "B", "C"]
    assert [request.page_token for request in asked] == ["", "2", "3"]
    assert {request.text for request in asked} == {"x"}


def test_a_drawing_is_put_together(server: Server, background: Callable[..., Any]) -> None:
    page = performance_pb2.GetPerformanceSeatMapResponse
    zones = [PriceZone(zone="Stalls")]
    call = background(client_of(server).seat_map, "performances/1")
    first = page(place_count=2, zones=zones, areas=[Area(label="Stage")], seats=[Seat(id="A-1")], next_page_token="2")
    server.expect("EventService", "GetPerformanceSeatMap", first)
    second = page(place_count=2, zones=zones, seats=[Seat(index=1, id="A-2")])
    server.expect("EventService", "GetPerformanceSeatMap", second)

    whole = call.result()
    assert [seat.id for seat in whole.seats] == ["A-1", "A-2"]
    assert len(whole.zones) == len(whole.areas) == 1
    assert whole.next_page_token == ""


def test_a_payment_is_asked_for_until_it_ends(server: Server, background: Callable[..., Any]) -> None:
    call = background(client_of(server).wait_for_payment, "p")
    for state in (payment_pb2.Payment.PROCESSING, payment_pb2.Payment.UNKNOWN, payment_pb2.Payment.SUCCEEDED):
        server.expect("PaymentService", "GetPayment", payment_pb2.Payment(name="p", state=state))

    assert call.result().state == payment_pb2.Payment.SUCCEEDED


def test_waiting_for_a_payment_ends(server: Server, background: Callable[..., Any]) -> None:
    call = background(client_of(server).wait_for_payment, "p", timeout=0.01)
    server.expect("PaymentService", "GetPayment", payment_pb2.Payment(name="p", state=payment_pb2.Payment.PROCESSING))

    with pytest.raises(DeadlineExceeded, match="PROCESSING"):
        call.result()
