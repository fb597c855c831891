"""The blocking client: for programs that book, one call after the other. Safe to use from many threads."""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import grpc
from google.protobuf.message import Message

from rowlock.v1 import auth_pb2, payment_pb2, performance_pb2
from rowlock_client import calls
from rowlock_client.connecting import DEFAULT_TARGET, Tls, open_channel
from rowlock_client.errors import RowlockError, error_of
from rowlock_client.keeping import TokenKeeper
from rowlock_client.paging import continued, joined
from rowlock_client.payments import Waiting
from rowlock_client.retrying import RetryPolicy
from rowlock_client.rpc import Attempts, Rpc, metadata_of
from rowlock_client.tokens import MemoryStore, Tokens, TokenStore

P = ParamSpec("P")
AnswerT = TypeVar("AnswerT", bound=Message)


def _method(prepare: Callable[P, Rpc[AnswerT]]) -> Callable[Concatenate[Client, P], AnswerT]:
    """A method of the client that makes the call which `prepare` makes ready."""

    @functools.wraps(prepare)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        return self.call(prepare(*args, **kwargs))

    take_signature(method, prepare)
    return method


def take_signature(method: Any, prepare: Callable[..., Any]) -> None:
    """Let `help()` show a method made from a function with the function's parameters after `self`."""
    signature = inspect.signature(prepare)
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *signature.parameters.values()]
    answer = str(signature.return_annotation).removeprefix("Rpc[").removesuffix("]")
    method.__signature__ = signature.replace(parameters=parameters, return_annotation=answer)


class Client:
    """A connection to Rowlock, as one caller.

    Every change carries a `request_id`, the same for all attempts at it, so that trying again never does something
    twice. UNAVAILABLE and the like are retried within `timeout`; everything else is raised as one of the exceptions
    of `rowlock_client.errors`. The access token is renewed before it ends, and once when it is refused.

    Args:
        targets: `host:port`, a gRPC name, or several `ip:port` over which the calls are spread.
        tls: how to encrypt; None: plain text.
        store: where tokens are kept between runs; by default in memory only.
        api_key: to be used instead of logging in, for devices and partners.
        timeout: seconds for one call with all its attempts, unless said otherwise.
        retry: when to try again.
        channel: instead of a connection of its own; `close` leaves it open.
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
        channel: grpc.Channel | None = None,
    ) -> None:
        self.timeout = timeout
        self._retry = retry or RetryPolicy()
        self._own_channel = channel is None
        self._channel = channel or open_channel(targets, tls)
        self._stubs: dict[type[Any], Any] = {}
        self._keeper = TokenKeeper(store or MemoryStore(), api_key)
        self._renewing = threading.Lock()

    def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        if self._own_channel:
            self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sharing_connection(self, store: TokenStore | None = None) -> Self:
        """Another caller over this client's connection, with tokens of its own. Close this client, not that one."""
        return type(self)(store=store, timeout=self.timeout, retry=self._retry, channel=self._channel)

    # -- Any call ----------------------------------------------------------------------------------------

    def call(self, rpc: Rpc[AnswerT], *, timeout: float | None = None, request_id: str = "") -> AnswerT:
        """Make a call and return its answer.

        Args:
            rpc: from `rowlock_client.calls`, or one's own.
            timeout: seconds for all attempts together, instead of the client's.
            request_id: of an earlier call that ended without an answer, to repeat it without doing it twice.

        Raises:
            RowlockError: the call did not succeed.
        """
        attempts = Attempts(rpc, timeout or self.timeout, self._retry, request_id=request_id)
        tokens = self._tokens() if rpc.sends_token else None
        while True:
            try:
                return self._attempt(rpc, attempts, tokens)
            except grpc.RpcError as refusal:
                error = error_of(cast("grpc.Call", refusal), request_id=attempts.request_id)
            if attempts.wants_new_token(error, tokens):
                tokens = self._renew(tokens)
                if tokens is None:
                    raise error
                continue
            time.sleep(attempts.pause_after(error))

    def pages(self, rpc: Rpc[AnswerT]) -> Iterator[AnswerT]:
        """Every page of a list: `for page in client.pages(calls.events()): for event in page.events: …`."""
        following: Rpc[AnswerT] | None = rpc
        while following is not None:
            page = self.call(following)
            yield page
            following = continued(following, page)

    def _attempt(self, rpc: Rpc[AnswerT], attempts: Attempts[AnswerT], tokens: Tokens | None) -> AnswerT:
        stub = self._stubs.get(rpc.stub) or self._stubs.setdefault(rpc.stub, rpc.stub(self._channel))
        method: Callable[..., AnswerT] = getattr(stub, rpc.method)
        return method(attempts.request, timeout=attempts.remaining(), metadata=metadata_of(tokens))

    # -- Who calls ---------------------------------------------------------------------------------------

    @property
    def tokens(self) -> Tokens | None:
        """The tokens in use; None: nobody is logged in."""
        return self._keeper.current()

    def log_in(self, email: str, password: str) -> auth_pb2.LogInResponse:
        """Begin a session; calls from now on are made in it."""
        answer = self.call(calls.log_in(email, password))
        self._keeper.accept(answer)
        return answer

    def log_out(self) -> None:
        """End the session here and on the server. Without one, nothing happens."""
        tokens = self._keeper.current()
        self._keeper.forget()
        if tokens is not None and tokens.refresh_token:
            self.call(calls.log_out(tokens.refresh_token))

    def log_out_everywhere(self) -> int:
        """End every session of whoever is logged in; return how many there were."""
        answer = self.call(calls.log_out_everywhere())
        self._keeper.forget()
        return answer.ended_count

    def _tokens(self) -> Tokens | None:
        return self._keeper.good() or self._renew(None)

    def _renew(self, refused: Tokens | None) -> Tokens | None:
        """Other tokens than `refused`, or than the old ones. One thread renews, the others wait for it."""
        with self._renewing:
            found = self._keeper.renewal(refused)
            if not isinstance(found, Rpc):
                return found
            try:
                return self._keeper.accept(self.call(found))
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

    def seat_map(self, performance: str) -> performance_pb2.GetPerformanceSeatMapResponse:
        """Read the drawing of a performance: every place, in the order of its index."""
        return joined(self.pages(calls.seat_map(performance)))

    def wait_for_payment(self, name: str, *, timeout: float = 30.0) -> payment_pb2.Payment:
        """Read a payment until it is SUCCEEDED, FAILED or CANCELLED, and return it.

        Raises:
            DeadlineExceeded: it still was not after `timeout` seconds; ask again later.
        """
        waiting = Waiting(timeout)
        while True:
            payment = self.payment(name)
            pause = waiting.pause(payment)
            if pause is None:
                return payment
            time.sleep(pause)
