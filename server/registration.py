"""Binds the contract to the servicers: one handler per RPC, wrapped by the chain once.

gRPC is given neither deserializers nor serializers: requests are read in the chain, after the guards, and answers
may be bytes already (a seat feed's frame, encoded once for all its watchers; a stored answer given again).

An RPC that no servicer here implements answers UNIMPLEMENTED: those that belong to processes of another role. A test
sees that together they implement all.
"""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

import rowlock.v1
from server.errors import Unimplemented
from server.interceptors import Chain
from server.interceptors.authentication import optional_caller
from server.interceptors.method import Call, Context, Method, methods_of

Implementation: TypeAlias = Callable[[Message, Context], Any]


@dataclass(frozen=True, slots=True)
class Registration:
    """Every RPC of the contract, by what happens to it here."""

    served: tuple[Method, ...]
    unserved: tuple[Method, ...]


@cache
def contract() -> tuple[ServiceDescriptor, ...]:
    """The services of ``rowlock.v1``, by name; every generated module counts, so none can be forgotten."""
    modules = (
        importlib.import_module(f"rowlock.v1.{module.name}")
        for module in pkgutil.iter_modules(rowlock.v1.__path__)
        if module.name.endswith("_pb2")
    )
    services = (service for module in modules for service in module.DESCRIPTOR.services_by_name.values())
    return tuple(sorted(services, key=lambda service: service.full_name))


def implementation_of(servicers: Collection[object], method: Method) -> Implementation | None:
    """The bound method of the servicer that implements an RPC; None: none does.

    A generated base class has every method too, but only refuses; what counts is what a class of ours defines.
    """
    base: Final = method.service.rpartition(".")[2] + "Servicer"
    for servicer in servicers:
        classes = type(servicer).__mro__
        if not any(cls.__name__ == base for cls in classes):
            continue
        for cls in classes:
            if cls.__name__ != base and method.name in vars(cls):
                found: Implementation = getattr(servicer, method.name)
                return found
    return None


def register(
    server: grpc.aio.Server,
    servicers: Collection[object],
    chain: Chain,
    *,
    serves: Callable[[Method], bool] = lambda _method: True,
) -> Registration:
    """Give ``server`` a handler for every RPC of the contract.

    Args:
        server: not yet started.
        servicers: instances of the generated servicer classes.
        chain: what every call passes.
        serves: whether this process is to answer a method that it could answer.

    Raises:
        LookupError: a served method is missing in the access table.
    """
    served: list[Method] = []
    unserved: list[Method] = []
    for service in contract():
        handlers = {}
        for method in methods_of(service):
            implementation = implementation_of(servicers, method) if serves(method) else None
            (unserved if implementation is None else served).append(method)
            handlers[method.name] = handler(method, implementation, chain)
        # gRPC finds a registered handler by one look into a table, a generic one by asking each service in turn.
        server.add_registered_method_handlers(service.full_name, handlers)  # type: ignore[attr-defined]
    chain.validation.warm(served)
    return Registration(tuple(served), tuple(unserved))


def handler(method: Method, implementation: Implementation | None, chain: Chain) -> "grpc.RpcMethodHandler[Any, Any]":
    """What gRPC calls for one RPC."""
    if implementation is None:
        core = _unimplemented(method)
    elif method.server_streaming:
        core = _stream(method, implementation, chain)
    else:
        core = _unary(method, implementation, chain)
    call: Any = chain.surround(method, core)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(call)
    return grpc.unary_unary_rpc_method_handler(call)


def _unary(method: Method, implementation: Callable[[Message, Context], Awaitable[Any]], chain: Chain) -> Call:
    admits = chain.admits(method)
    read = chain.reader(method)

    async def call(raw: bytes, context: Context) -> bytes:
        for admit in admits:
            waiting = admit(context)
            if waiting is not None:
                await waiting
        answer = await implementation(read(raw), context)
        return answer if type(answer) is bytes else answer.SerializeToString()

    return call


def _stream(method: Method, implementation: Callable[[Message, Context], AsyncIterator[Any]], chain: Chain) -> Call:
    admits = chain.admits(method)
    read = chain.reader(method)

    async def call(raw: bytes, context: Context) -> None:
        for admit in admits:
            waiting = admit(context)
            if waiting is not None:
                await waiting
        request = read(raw)
        known = optional_caller()
        with chain.streams.opened(method, known.scope if known else "") as stream:
            await stream.send(implementation(request, context), context)

    return call


def _unimplemented(method: Method) -> Call:
    async def call(_raw: bytes, _context: Context) -> bytes:
        raise Unimplemented("NOT_IMPLEMENTED", f"this server does not offer {method.name}")

    return call


def service_names() -> Iterator[str]:
    """Full names of the services of the contract."""
    return (service.full_name for service in contract())
