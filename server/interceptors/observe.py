"""Writes one log line and counts, for each call that ends: method, code, reason, time, caller, address, trace.

It sits inside the status concern, where it still sees the exception itself, and logs a fault of ours with its
traceback: the only place that does.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import grpc.aio
import structlog

from server import call as facts
from server.access_log import AccessLog
from server.errors import RowlockError
from server.interceptors.address import Addresses
from server.interceptors.authentication import optional_caller
from server.interceptors.method import Call, Context, Method
from server.interceptors.rate_fields import WANTED_KEY
from server.interceptors.streams import StalledError
from server.metrics import counts_of

_log = structlog.get_logger()

_CANCELLED: Final = "CANCELLED"


class Observer:
    """Logs and counts calls.

    Args:
        log: where the lines go.
        addresses: reads the callers' addresses.
    """

    def __init__(self, log: AccessLog, addresses: Addresses) -> None:
        self._log = log
        self._addresses = addresses

    def observe(self, method: Method, call_next: Call) -> Call:
        """Wrap a call so that its end is logged and counted."""
        finished = self._finisher(method)
        address_of = self._addresses.of
        now = time.perf_counter

        async def observed(request: bytes, context: Context) -> bytes | None:
            started = now()
            _note(context)
            facts.address.set(address_of(context))
            try:
                answer = await call_next(request, context)
            except RowlockError as error:
                if error.code in {"INTERNAL", "UNKNOWN"}:
                    _log.error("fault", method=method.path, exc_info=error)
                finished(now() - started, error.code, error.reason)
                raise
            except asyncio.CancelledError as error:
                finished(now() - started, *_why_cancelled(error, context))
                raise
            except grpc.aio.AbortError:
                finished(now() - started, "UNKNOWN", "ABORTED_BY_HANDLER")
                raise
            except Exception as error:
                _log.error("fault", method=method.path, exc_info=error)
                finished(now() - started, "INTERNAL", "INTERNAL")
                raise
            finished(now() - started, "OK", "")
            return answer

        return observed

    def _finisher(self, method: Method) -> Callable[[float, str, str], None]:
        """What notes the end of calls of one method."""
        log = self._log
        path = method.path
        count = counts_of(method.service, method.name, streaming=method.server_streaming).add

        def finished(seconds: float, code: str, reason: str) -> None:
            count(code, seconds)
            caller = optional_caller()
            who = "" if caller is None else caller.scope
            log(path, code, reason, seconds, who, facts.address.get(), facts.trace_id.get())

        return finished


def _note(context: Context) -> None:
    """Note what the metadata says of the call itself. Each look at the metadata is a copy of it: so this is one."""
    trace_id = ""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str):
            trace_id = trace_id or facts.trace_of(value)
        elif key == WANTED_KEY:
            facts.limits_wanted.set(True)
    facts.trace_id.set(trace_id or facts.new_trace_id())


def _why_cancelled(error: asyncio.CancelledError, context: Context) -> tuple[str, str]:
    """Tell the two apart: gRPC cancels a handler when its caller goes away and when its deadline passes."""
    if isinstance(error, StalledError):
        return "UNAVAILABLE", "READER_STALLED"
    if context.time_remaining() == 0:
        return "DEADLINE_EXCEEDED", "DEADLINE"
    return _CANCELLED, "CALL_CANCELLED"
