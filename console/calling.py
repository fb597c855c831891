"""Calls of the API out of a page: as the person who looks at it, and once however often a form is sent."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette_admin.exceptions import ActionFailed, FormValidationError

from console.sessions import StaffSession
from rowlock_client.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    RowlockError,
    Unauthenticated,
    Unavailable,
)
from rowlock_client.rpc import Rpc

AnswerT = TypeVar("AnswerT", bound=Message)

REQUEST_ID: Final = "request_id"
"""The hidden field with which a form that is sent twice is known again."""

caller_address: ContextVar[str] = ContextVar("caller_address", default="")
"""Where the browser is that is being answered; empty: nobody asks."""

_PATTERN: Final = re.compile(r"does not match regex pattern `[^`]*`")

_STATUS: Final[dict[type[RowlockError], int]] = {
    InvalidArgument: 400,
    NotFound: 404,
    PermissionDenied: 403,
    ResourceExhausted: 429,
    Unavailable: 503,
}


def session_of(request: Request) -> StaffSession:
    """The session of whoever asks; only for pages that need one."""
    session: StaffSession = request.state.staff
    return session


async def call(request: Request, rpc: Rpc[AnswerT]) -> AnswerT:
    """Make a call as whoever asks for the page.

    The changes that one form makes are numbered and named after it. So a form that is sent again, by a second click or
    after an answer that was lost, gets the first answers again and changes nothing twice. Reading does not count: how
    much is read depends on what is remembered of other pages.

    Raises:
        RowlockError: the server refused; pages let it pass, see `console.program`.
    """
    changes = "request_id" in rpc.request.DESCRIPTOR.fields_by_name
    request_id = await _request_id(request) if changes else ""
    return await session_of(request).client.call(rpc, request_id=request_id)


async def one_by_one(names: Sequence[str], change: Callable[[str], Awaitable[object]]) -> None:
    """Do something to several, until the server refuses one.

    Raises:
        ActionFailed: it refused one; how many were done before is told.
        Unauthenticated: whoever asks is not signed in any more.
    """
    for done, name in enumerate(names):
        try:
            await change(name)
        except Unauthenticated:
            raise
        except RowlockError as error:
            raise ActionFailed(f"{done} of {len(names)} are done, then: {sentence(error)}") from error


async def _request_id(request: Request) -> str:
    if request.method in {"GET", "HEAD"}:
        return ""
    form_id = str((await request.form()).get(REQUEST_ID) or "")
    number: int = getattr(request.state, "calls", 0)
    request.state.calls = number + 1
    return f"{form_id}-{number}" if form_id else ""


def refused_form(error: RowlockError, names: tuple[str, ...]) -> FormValidationError:
    """A refusal as a form shows it: at the fields that are wrong, or above all of them.

    Args:
        error: what the server said.
        names: the form's fields. A field of the message belongs to the one that its path ends with.
    """
    told: dict[str | int, Any] = {}
    for violation in error.field_violations:
        parts = [part.split("[")[0] for part in violation.field.split(".")]
        owner = next((part for part in reversed(parts) if part in names), None)
        if owner is not None:
            told[owner] = _for_people(violation.description)
    return FormValidationError(told)


def as_page(error: RowlockError) -> HTTPException:
    """A refusal as a page of its own."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    if status == 500 and error.code in {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED}:
        status = 409
    return HTTPException(status, detail=sentence(error))


def sentence(error: RowlockError) -> str:
    """What to tell people about a refusal."""
    faults = [f"{fault.field}: {fault.description}" for fault in error.field_violations]
    # The message of a single one has it in it.
    more = "; ".join(fault for fault in faults if fault not in error.message)
    told = _for_people(f"{error.message}: {more}" if more else error.message)
    return f"{told} ({error.reason})" if error.reason else told


def _for_people(text: str) -> str:
    """A fault without what only programs read."""
    return _PATTERN.sub("is not written as it has to be", text)


def forwarding() -> list[Any]:
    """Interceptors that tell the server where the browser is, which limits sign-ins by address.

    The server believes it if it trusts the console's own address (ROWLOCK_TRUSTED_PROXIES).
    """
    return [_ForwardUnary(), _ForwardStream()]


class _ForwardUnary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_forwarded(client_call_details), request)


class _ForwardStream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg] # same
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_forwarded(client_call_details), request)


def _forwarded(details: Any) -> Any:
    address = caller_address.get()
    if not address:
        return details
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("x-forwarded-for", address)
    return details._replace(metadata=metadata)
