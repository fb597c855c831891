"""Facts about the call that is being served, for code that runs on its behalf.

gRPC serves each call in a task of its own, so a context variable set here is seen by that call only, and by the
database work that it hands to threads.
"""

import random
from contextvars import ContextVar
from typing import Final

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""32 hexadecimal digits: the trace of the caller's ``traceparent``, else made here. The log and errors show it."""

address: ContextVar[str] = ContextVar("address", default="")
"""The caller's network address without a port, see ``server.interceptors.address``."""

limits_wanted: ContextVar[bool] = ContextVar("limits_wanted", default=False)
"""Whether the caller wants to know how near it is to its limits, see ``server.interceptors.rate_fields``."""

_HEX: Final = frozenset("0123456789abcdef")
_NO_TRACE: Final = "0" * 32


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C ``traceparent`` (``00-<32 hex>-<16 hex>-<flags>``), or a new one if it has none."""
    parts = traceparent.split("-", 3)
    if len(parts) == 4 and len(parts[1]) == 32 and parts[1] != _NO_TRACE and _HEX.issuperset(parts[1]):
        return parts[1]
    return new_trace_id()


def new_trace_id() -> str:
    """A fresh trace id. It identifies and protects nothing, so it needs no secret randomness."""
    return f"{random.getrandbits(128):032x}"
