"""A span around each RPC and stream, as a concern of the chain, inside the log, which knows the id of the trace."""

import asyncio
from typing import Final

from opentelemetry.context import Context as SpanContext
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.errors import RowlockError
from server.interceptors.method import Around, Call, Context, Method

_OUR_FAULTS: Final = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
_propagator: Final = TraceContextTextMapPropagator()


def traced(tracer: Tracer) -> Around:
    """The concern."""

    def wrap(method: Method, call_next: Call) -> Call:
        name = method.path.removeprefix("/")
        attributes = {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}

        async def call(request: bytes, context: Context) -> bytes | None:
            with tracer.start_as_current_span(
                name,
                context=_parent(context),
                kind=SpanKind.SERVER,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    answer = await call_next(request, context)
                except RowlockError as error:
                    span.set_attribute("rpc.grpc.status", error.code)
                    span.set_attribute("rowlock.reason", error.reason)
                    if error.code in _OUR_FAULTS:
                        span.set_status(Status(StatusCode.ERROR, error.reason))
                    raise
                except asyncio.CancelledError:
                    span.set_attribute("rpc.grpc.status", "CANCELLED")
                    raise
                except Exception as error:
                    span.record_exception(error)
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                    raise
                span.set_attribute("rpc.grpc.status", "OK")
                return answer

        return call

    return wrap


def _parent(context: Context) -> SpanContext:
    """What the caller's ``traceparent`` says; an empty context if there is none, or none that can be read."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str):
            return _propagator.extract({"traceparent": value}, context=SpanContext())
    return SpanContext()
