"""Pages with templates of their own, within the frame that all pages have."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import CustomView
from starlette_admin.flash import get_flashed_messages


def render(view: CustomView, request: Request, template: str, **context: Any) -> Response:
    """The page of a view.

    Args:
        view: the page; mounted.
        request: of the browser.
        template: its file under `console/templates`.
        context: what the template reads.
    """
    assert view.templates is not None  # noqa: S101 - the library sets it when the page is mounted
    frame = {"title": view.title(request), "view": view, "flashed_messages": get_flashed_messages(request)}
    return view.templates.TemplateResponse(request, template, {**frame, **context})
