"""Everything that a call to Rowlock can end with, as one tree of exceptions.

::

    RowlockError
    ├── InvalidArgument       wrong whatever the state; `field_violations` says where
    ├── FailedPrecondition    needs another state or another choice first (SEAT_TAKEN, HOLD_EXPIRED, …)
    ├── NotFound              absent, or somebody else's
    ├── AlreadyExists         the name is in use
    ├── Unauthenticated       log in (again)
    ├── PermissionDenied      this account may not
    ├── ResourceExhausted     too many calls, or too large a message
    ├── Aborted               lost a race: read again, decide again
    ├── DeadlineExceeded      no answer in time; the effect may have happened
    ├── Unavailable           the server cannot be reached, or cannot work now
    ├── Unimplemented         this server does not offer it
    ├── Cancelled             we went away
    └── ServerFault           INTERNAL and what else no client can mend

Decide by the class and by `reason`, the name of a member of ``rowlock.v1.ErrorReason``; show `message` to people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "rowlock.dev"
_DETAILS_KEY: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of a request: its path as in the proto, and a sentence."""

    field: str
    description: str


class RowlockError(Exception):
    """A call that did not succeed.

    Attributes:
        code: the gRPC status code.
        reason: the name of a member of ``rowlock.v1.ErrorReason``; empty if the answer did not come from Rowlock,
            such as when no server can be reached.
        message: a sentence for people.
        metadata: further facts, such as ``seats`` of SEAT_TAKEN.
        field_violations: the request's fields at fault.
        retry_after: seconds after which the server wishes to be asked again; None: it did not say.
        request_id: of the request, if it had one. A call that ended with DeadlineExceeded or Unavailable can be
            repeated with it: if the effect happened, the first answer comes again.
        trace_id: what the server's log calls the call; empty: unknown.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Iterable[FieldViolation] = (),
        retry_after: float | None = None,
        request_id: str = "",
        trace_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        self.retry_after = retry_after
        self.request_id = request_id
        self.trace_id = trace_id

    def __str__(self) -> str:
        return f"{self.message} ({self.reason or self.code.name})"


class InvalidArgument(RowlockError):
    """The request is wrong whatever the state of the system."""


class FailedPrecondition(RowlockError):
    """The request is well made, but the state of the system does not allow it."""


class NotFound(RowlockError):
    """It is absent or somebody else's; the two look alike on purpose."""


class AlreadyExists(RowlockError):
    """Something else has the name that must be unique."""


class Unauthenticated(RowlockError):
    """The call needs a valid token, and a new one could not be had: log in again."""


class PermissionDenied(RowlockError):
    """The account may not do this."""


class ResourceExhausted(RowlockError):
    """Too many calls, or a message that is too large."""


class Aborted(RowlockError):
    """The step lost a race: read again, then decide again."""


class DeadlineExceeded(RowlockError):
    """No answer came in time. The effect may have happened: repeat with the same `request_id`."""


class Unavailable(RowlockError):
    """The server cannot be reached or cannot work at present. Retried until it came to this."""


class Unimplemented(RowlockError):
    """This server does not offer the call."""


class Cancelled(RowlockError):
    """The call was cancelled before its answer. The effect may have happened."""


class ServerFault(RowlockError):
    """A fault of the server (INTERNAL) or a status that no client can mend; `trace_id` finds it in the log."""


_BY_CODE: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.CANCELLED: Cancelled,
}


class EndedCall(Protocol):
    """What `grpc.Call` and `grpc.aio.AioRpcError` have in common."""

    def code(self) -> Any:
        """The status code."""

    def details(self) -> str | None:
        """The sentence."""

    def trailing_metadata(self) -> Any:
        """Pairs of key and value; may be None."""


def error_of(call: EndedCall, *, request_id: str = "") -> RowlockError:
    """The exception for a call that ended with a status other than OK."""
    code = call.code()
    if not isinstance(code, grpc.StatusCode):
        code = grpc.StatusCode.UNKNOWN
    message = call.details() or code.name
    found: dict[str, Any] = {}
    for detail in _details(call):
        found |= detail
    return _BY_CODE.get(code, ServerFault)(code, message, request_id=request_id, **found)


def _details(call: EndedCall) -> Iterable[dict[str, Any]]:
    """What each detail of a rich status says, as arguments of `RowlockError`; nothing if it is not readable."""
    packed = next((value for key, value in call.trailing_metadata() or () if key == _DETAILS_KEY), None)
    if not isinstance(packed, bytes):
        return
    try:
        details = status_pb2.Status.FromString(packed).details
        for detail in details:
            yield _read(detail)
    except DecodeError:
        return


def _read(detail: Any) -> dict[str, Any]:
    info = error_details_pb2.ErrorInfo()
    if detail.Unpack(info):
        # Another domain's reasons mean something else: a proxy on the way may have ones of its own.
        return {"reason": info.reason, "metadata": dict(info.metadata)} if info.domain == DOMAIN else {}
    bad_request = error_details_pb2.BadRequest()
    if detail.Unpack(bad_request):
        faults = [FieldViolation(fault.field, fault.description) for fault in bad_request.field_violations]
        return {"field_violations": faults}
    retry = error_details_pb2.RetryInfo()
    if detail.Unpack(retry):
        return {"retry_after": retry.retry_delay.ToTimedelta().total_seconds()}
    request = error_details_pb2.RequestInfo()
    if detail.Unpack(request):
        return {"trace_id": request.request_id}
    return {}
