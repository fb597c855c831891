"""Turns what a handler raises into a gRPC status that programs and people can use.

A ``RowlockError`` becomes its code with ``google.rpc`` details: ErrorInfo always; BadRequest, RetryInfo and
RequestInfo where there is something to say. Anything else is a fault of ours: INTERNAL, a bland sentence, and the
trace id under which the log has the rest. Nothing that a caller reads comes from a traceback.

This is the outermost concern, so nothing leaves unmapped, and it serves unary calls and streams alike, before the
first message and after it.
"""

import asyncio
from typing import Final

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server.call import trace_id
from server.errors import DOMAIN, RowlockError
from server.interceptors.method import Call, Context, Method

DETAILS_KEY: Final = "grpc-status-details-bin"
PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"
MAX_DETAILS: Final = 2048
"""Most bytes of a status with its details. Metadata above 8 kB is refused at random, and more than this is noise."""

_MAX_MESSAGE: Final = 400
_MAX_VALUE: Final = 400
_MAX_DESCRIPTION: Final = 200


def status(_method: Method, call_next: Call) -> Call:
    """Wrap a call so that it ends with a status of the contract, whatever it raises."""

    async def answer(request: bytes, context: Context) -> bytes | None:
        try:
            return await call_next(request, context)
        except RowlockError as error:
            refusal = error
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            # The caller went away: nobody reads a status any more.
            raise
        except Exception:  # noqa: BLE001 - logged with its traceback by the concern inside this one
            refusal = RowlockError(
                "INTERNAL", "the server failed to serve this call; the fault is logged", incident=trace_id.get()
            )
        await refuse(context, refusal)
        return None

    return answer


async def refuse(context: Context, error: RowlockError) -> None:
    """End the call with the status of ``error``. Always raises ``grpc.aio.AbortError``."""
    rich = rich_status(error, trace_id.get())
    # What gRPC sends with a refusal is this only, so what was to be told of limits goes along.
    told = context.trailing_metadata() or ()
    metadata: tuple[tuple[str, str | bytes], ...] = (*told, (DETAILS_KEY, rich.SerializeToString()))
    if error.retry_after is not None:
        # RetryInfo for programs, and the same for gRPC's own retries.
        metadata += ((PUSHBACK_KEY, str(int(error.retry_after * 1000))),)
    await context.abort(grpc.StatusCode[error.code], rich.message, metadata)


def rich_status(error: RowlockError, request_id: str = "") -> status_pb2.Status:
    """The status of ``error``, of at most ``MAX_DETAILS`` bytes.

    Args:
        error: what was refused.
        request_id: what the log calls this call; shown as ``google.rpc.RequestInfo`` unless empty.
    """
    message = _cut(_clean(error.message), _MAX_MESSAGE)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={key: _cut_list(_clean(value)) for key, value in error.metadata.items()},
    )
    result = status_pb2.Status(code=grpc.StatusCode[error.code].value[0], message=message)
    _add(result, info)
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        _add(result, error_details_pb2.RetryInfo(retry_delay=delay))
    if request_id:
        _add(result, error_details_pb2.RequestInfo(request_id=request_id))
    if error.fields:
        _add(result, _bad_request(error, MAX_DETAILS - result.ByteSize()))
    return result


def _bad_request(error: RowlockError, room: int) -> error_details_pb2.BadRequest:
    """As many of the fields at fault as fit into ``room`` bytes; the last entry says how many do not."""
    violation = error_details_pb2.BadRequest.FieldViolation
    request = error_details_pb2.BadRequest()
    # What surrounds it on the wire: the type URL, the lengths, and the entry that counts the rest.
    room -= 160
    for index, fault in enumerate(error.fields):
        entry = violation(
            field=_cut(_clean(fault.field), _MAX_DESCRIPTION),
            description=_cut(_clean(fault.description), _MAX_DESCRIPTION),
        )
        room -= entry.ByteSize() + 3
        if room < 0:
            request.field_violations.append(
                violation(description=f"{len(error.fields) - index} further faults are not shown")
            )
            break
        request.field_violations.append(entry)
    return request


def _add(result: status_pb2.Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    result.details.append(packed)


def _clean(text: str) -> str:
    """A lone surrogate, which a caller may have sent inside JSON, has no UTF-8 and would break the answer."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _cut_list(value: str) -> str:
    """Cut a value such as a list of seats after a whole entry."""
    if len(value) <= _MAX_VALUE:
        return value
    head, comma, _ = value[: _MAX_VALUE - 2].rpartition(",")
    return f"{head},…" if comma else value[: _MAX_VALUE - 1] + "…"
