"""What the concerns know about an RPC before anybody calls it, and the types that they share."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

Call: TypeAlias = Callable[[bytes, Context], Awaitable[bytes | None]]
"""An RPC from request bytes to response bytes. A stream has written its messages itself and returns None."""

Admit: TypeAlias = Callable[[Context], Awaitable[None] | None]
"""A guard bound to one method: returns when the call may go on, raises a ``RowlockError`` when not.

Only a guard that must wait returns an awaitable: an await that waits for nothing costs a microsecond per call.
"""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC of the contract.

    Args:
        service: full name of its service, such as ``rowlock.v1.BookingService``.
        name: ``CreateBooking``.
        path: ``/rowlock.v1.BookingService/CreateBooking``, as on the wire.
        request_class: class of the request message.
        response_class: class of the response, for a stream of each message.
        server_streaming: whether it answers with a stream.
        mutating: whether it changes something, which is when its request carries a ``request_id``.
    """

    service: str
    name: str
    path: str
    request_class: type[Message]
    response_class: type[Message]
    server_streaming: bool
    mutating: bool


Around: TypeAlias = Callable[[Method, Call], Call]
"""A concern that surrounds the call, wrapped around each method once, at start."""

Guard: TypeAlias = Callable[[Method], Admit | None]
"""A concern that only lets a call pass or not, bound to each method once, at start; None: nothing to guard."""


def methods_of(service: ServiceDescriptor) -> Iterator[Method]:
    """Every RPC of one service, in the order of its proto."""
    for descriptor in service.methods:
        yield _method(descriptor)


def _method(descriptor: MethodDescriptor) -> Method:
    if descriptor.client_streaming:
        raise ValueError(f"{descriptor.full_name}: the chain knows no client streams; the contract has none")
    service = descriptor.containing_service.full_name
    return Method(
        service=service,
        name=descriptor.name,
        path=f"/{service}/{descriptor.name}",
        request_class=GetMessageClass(descriptor.input_type),
        response_class=GetMessageClass(descriptor.output_type),
        server_streaming=descriptor.server_streaming,
        mutating="request_id" in descriptor.input_type.fields_by_name,
    )
