"""The asyncio client. Its calls are those of the blocking one; it also watches."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from rowlock.v1 import auth_pb2, booking_pb2, payment_pb2, performance_pb2, waiting_room_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.waiting_room_pb2_grpc import WaitingRoomServiceStub
from rowlock_client import calls
from rowlock_client.aio.seats import SeatWatcher
from rowlock_client.aio.stream import SILENCE, ResumingStream
from rowlock_client.client import take_signature
from rowlock_client.connecting import DEFAULT_TARGET, Tls, open_aio_channel
from rowlock_client.errors import RowlockError, error_of
from rowlock_client.keeping import TokenKeeper
from rowlock_client.paging import continued, joined
from rowlock_client.payments import Waiting
from rowlock_client.retrying import RetryPolicy
from rowlock_client.rpc import Attempts, Rpc, metadata_of
from rowlock_client.tokens import MemoryStore, Tokens, TokenStore

P = ParamSpec("P")
AnswerT = TypeVar("AnswerT", bound=Message)


def _method(prepare: Callable[P, Rpc[AnswerT]]) -> Callable[Concatenate[Client, P], Awaitable[AnswerT]]:
    """A method of the client that makes the call which `prepare` makes ready."""

    @functools.wraps(prepare)
    async def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        return await self.call(prepare(*args, **kwargs))

    take_signature(method, prepare)
    return method


class Client:
    """A connection to Rowlock, as one caller, within one event loop. Made and used while the loop runs.

    What it promises and its arguments are those of `rowlock_client.Client`.
    """

    def __init__(
        self,
        targets: str | Sequence[str] = DEFAULT_TARGET,
        *,
        tls: Tls | None = None,
        store: TokenStore | None = None,
        api_key: str = "",
        timeout: float = 15.0,
        retry: RetryPolicy | None = None,
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        self.timeout = timeout
        self._retry = retry or RetryPolicy()
        self._own_channel = channel is None
        self._channel = channel or open_aio_channel(targets, tls)
        self._stubs: dict[type[Any], Any] = {}
        self._keeper = TokenKeeper(store or MemoryStore(), api_key)
        self._renewing = asyncio.Lock()
        self._refused: Tokens | None = None

    async def close(self) -> None:
        """End the connection; calls and streams under way are cancelled."""
        if self._own_channel:
            await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def sharing_connection(self, store: TokenStore | None = None) -> Self:
        """Another caller over this client's connection, with tokens of its own. Close this client, not that one."""
        return type(self)(store=store, timeout=self.timeout, retry=self._retry, channel=self._channel)

    # -- Any call ----------------------------------------------------------------------------------------

    async def call(self, rpc: Rpc[AnswerT], *, timeout: float | None = None, request_id: str = "") -> AnswerT:  # noqa: ASYNC109 - it is the RPC's deadline
        """Make a call and return its answer.

        Args:
            rpc: from `rowlock_client.calls`, or one's own.
            timeout: seconds for all attempts together, instead of the client's.
            request_id: of an earlier call that ended without an answer, to repeat it without doing it twice.

        Raises:
            RowlockError: the call did not succeed.
        """
        attempts = Attempts(rpc, timeout or self.timeout, self._retry, request_id=request_id)
        tokens = await self._tokens() if rpc.sends_token else None
        while True:
            try:
                return await self._attempt(rpc, attempts, tokens)
            except grpc.aio.AioRpcError as refusal:
                error = error_of(refusal, request_id=attempts.request_id)
            if attempts.wants_new_token(error, tokens):
                tokens = await self._renew(tokens)
                if tokens is None:
                    raise error
                continue
            await asyncio.sleep(attempts.pause_after(error))

    async def pages(self, rpc: Rpc[AnswerT]) -> AsyncIterator[AnswerT]:
        """Every page of a list: `async for page in client.pages(calls.events()): …`."""
        following: Rpc[AnswerT] | None = rpc
        while following is not None:
            page = await self.call(following)
            yield page
            following = continued(following, page)

    async def open_stream(self, rpc: Rpc[AnswerT]) -> grpc.aio.UnaryStreamCall[Message, AnswerT]:
        """Open a stream once, with the token but without resuming: see `watch_seats` for that."""
        tokens = await self._tokens()
        call: grpc.aio.UnaryStreamCall[Message, AnswerT] = getattr(self._stub(rpc), rpc.method)(
            rpc.request, metadata=metadata_of(tokens)
        )
        return call

    async def _attempt(self, rpc: Rpc[AnswerT], attempts: Attempts[AnswerT], tokens: Tokens | None) -> AnswerT:
        method: Callable[..., Awaitable[AnswerT]] = getattr(self._stub(rpc), rpc.method)
        return await method(attempts.request, timeout=attempts.remaining(), metadata=metadata_of(tokens))

    def _stub(self, rpc: Rpc[Any]) -> Any:
        stub = self._stubs.get(rpc.stub)
        if stub is None:
            stub = self._stubs[rpc.stub] = rpc.stub(self._channel)
        return stub

    # -- Who calls ---------------------------------------------------------------------------------------

    @property
    def tokens(self) -> Tokens | None:
        """The tokens in use; None: nobody is logged in."""
        return self._keeper.current()

    async def log_in(self, email: str, password: str) -> auth_pb2.LogInResponse:
        """Begin a session; calls from now on are made in it."""
        answer = await self.call(calls.log_in(email, password))
        self._keeper.accept(answer)
        return answer

    async def log_out(self) -> None:
        """End the session here and on the server. Without one, nothing happens."""
        tokens = self._keeper.current()
        self._keeper.forget()
        if tokens is not None and tokens.refresh_token:
            await self.call(calls.log_out(tokens.refresh_token))

    async def log_out_everywhere(self) -> int:
        """End every session of whoever is logged in; return how many there were."""
        answer = await self.call(calls.log_out_everywhere())
        self._keeper.forget()
        return answer.ended_count

    def distrust_token(self) -> None:
        """Renew the present token before the next call: a server has refused it, or says that it ends."""
        self._refused = self._keeper.current()

    async def _tokens(self) -> Tokens | None:
        good = self._keeper.good()
        if good is not None and good != self._refused:
            return good
        return await self._renew(self._refused)

    async def _renew(self, refused: Tokens | None) -> Tokens | None:
        """Other tokens than `refused`, or than the old ones. One task renews, the others wait for it."""
        async with self._renewing:
            found = self._keeper.renewal(refused)
            if not isinstance(found, Rpc):
                return found
            try:
                return self._keeper.accept(await self.call(found))
            except RowlockError as error:
                return self._keeper.after_failed_renewal(error, found, refused)

    # -- The calls ---------------------------------------------------------------------------------------

    sign_up = _method(calls.sign_up)
    me = _method(calls.me)
    jwks = _method(calls.jwks)
    verify_email = _method(calls.verify_email)
    resend_verification = _method(calls.resend_verification)
    request_password_reset = _method(calls.request_password_reset)
    confirm_password_reset = _method(calls.confirm_password_reset)
    change_password = _method(calls.change_password)

    events = _method(calls.events)
    event = _method(calls.event)
    performances = _method(calls.performances)
    performance = _method(calls.performance)
    ticket_types = _method(calls.ticket_types)
    availability = _method(calls.availability)
    seats = _method(calls.seats)
    block = _method(calls.block)
    unblock = _method(calls.unblock)

    join_queue = _method(calls.join_queue)
    queue_entry = _method(calls.queue_entry)
    leave_queue = _method(calls.leave_queue)
    waiting_room = _method(calls.waiting_room)
    update_waiting_room = _method(calls.update_waiting_room)

    hold = _method(calls.hold)
    add = _method(calls.add)
    remove = _method(calls.remove)
    extend = _method(calls.extend)
    cancel = _method(calls.cancel)
    booking = _method(calls.booking)
    bookings = _method(calls.bookings)
    tickets = _method(calls.tickets)
    ticket = _method(calls.ticket)
    ticket_document = _method(calls.ticket_document)
    resend_tickets = _method(calls.resend_tickets)

    check_in = _method(calls.check_in)
    undo_check_in = _method(calls.undo_check_in)
    entry_list = _method(calls.entry_list)
    upload_scans = _method(calls.upload_scans)
    check_ins = _method(calls.check_ins)

    pay = _method(calls.pay)
    simulate = _method(calls.simulate)
    capture = _method(calls.capture)
    cancel_payment = _method(calls.cancel_payment)
    payment = _method(calls.payment)
    payments = _method(calls.payments)

    staff_actions = _method(calls.staff_actions)
    booking_history = _method(calls.booking_history)
    backlog = _method(calls.backlog)
    provider_webhooks = _method(calls.provider_webhooks)
    retry_provider_webhooks = _method(calls.retry_provider_webhooks)

    async def seat_map(self, performance: str) -> performance_pb2.GetPerformanceSeatMapResponse:
        """Read the drawing of a performance: every place, in the order of its index."""
        return joined([page async for page in self.pages(calls.seat_map(performance))])

    async def wait_for_payment(self, name: str, *, timeout: float = 30.0) -> payment_pb2.Payment:  # noqa: ASYNC109 - it ends with a RowlockError
        """Read a payment until it is SUCCEEDED, FAILED or CANCELLED, and return it.

        Raises:
            DeadlineExceeded: it still was not after `timeout` seconds; ask again later.
        """
        waiting = Waiting(timeout)
        while True:
            payment = await self.payment(name)
            pause = waiting.pause(payment)
            if pause is None:
                return payment
            await asyncio.sleep(pause)

    # -- The streams -------------------------------------------------------------------------------------

    def watch_seats(
        self, performance: str, *, retry: RetryPolicy | None = None, silence: float = SILENCE
    ) -> SeatWatcher:
        """Watch the seats of a performance: see `SeatWatcher`."""
        return SeatWatcher(self, performance, retry=retry or self._retry, silence=silence)

    async def watch_booking(self, name: str, *, silence: float = SILENCE) -> AsyncIterator[booking_pb2.Booking]:
        """Yield a booking as it is, then after each change of it, until it is CANCELLED or EXPIRED."""
        rpc = Rpc[booking_pb2.WatchBookingResponse](
            BookingServiceStub, "WatchBooking", booking_pb2.WatchBookingRequest(name=name)
        )
        stream: ResumingStream[booking_pb2.WatchBookingResponse] = ResumingStream(
            self, lambda: rpc, retry=self._retry, silence=silence
        )
        async for message in stream.messages():
            if message.WhichOneof("event") == "booking":
                yield message.booking

    async def watch_queue_entry(
        self, name: str, *, silence: float = SILENCE
    ) -> AsyncIterator[waiting_room_pb2.QueueEntry]:
        """Yield a place in line as it is, then after each change of it, until it is USED, LEFT or EXPIRED."""
        rpc = Rpc[waiting_room_pb2.WatchQueueEntryResponse](
            WaitingRoomServiceStub, "WatchQueueEntry", waiting_room_pb2.WatchQueueEntryRequest(name=name)
        )
        stream: ResumingStream[waiting_room_pb2.WatchQueueEntryResponse] = ResumingStream(
            self, lambda: rpc, retry=self._retry, silence=silence
        )
        async for message in stream.messages():
            if message.WhichOneof("event") == "queue_entry":
                yield message.queue_entry
