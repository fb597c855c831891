"""Routes that scripts of a page ask: JSON in place of pages, also where a call is refused or nobody is signed in."""

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette_admin import CustomView, route
from starlette_admin.auth import login_not_required
from starlette_admin.exceptions import ActionFailed, FormValidationError

from console.calling import as_page
from console.halls import NOT_SIGNED_IN, refusal
from rowlock_client.errors import RowlockError, Unauthenticated

ViewT = TypeVar("ViewT", bound=CustomView)
Handler = Callable[[ViewT, Request], Awaitable[Response]]


def for_scripts(path: str, methods: Sequence[str] = ("GET",)) -> Callable[[Handler[ViewT]], Handler[ViewT]]:
    """A route of a view, whose refusals are `google.rpc.Status` as the gateway writes it.

    Args:
        path: behind the view's own.
        methods: that it takes.
    """

    def made(handler: Handler[ViewT]) -> Handler[ViewT]:
        @functools.wraps(handler)
        async def answer(view: ViewT, request: Request) -> Response:
            if getattr(request.state, "staff", None) is None:
                return JSONResponse(NOT_SIGNED_IN, 401)
            try:
                return await handler(view, request)
            except RowlockError as error:
                status = 401 if isinstance(error, Unauthenticated) else as_page(error).status_code
                return JSONResponse(refusal(error), status)
            except FormValidationError as error:
                return _wrong("; ".join(map(str, error.errors.values())))
            except ActionFailed as error:
                return _wrong(error.msg)
            except HTTPException as error:
                return _wrong(error.detail, error.status_code)

        # Not the library's answer to who is not signed in: a script cannot use the page that asks for a password.
        routed: Any = route(path, methods=list(methods))(login_not_required(answer))
        return routed  # type: ignore[no-any-return]

    return made


def _wrong(message: str, status: int = 400) -> Response:
    return JSONResponse({"code": 3, "message": message, "details": []}, status)
