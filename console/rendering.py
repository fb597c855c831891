"""Pages with templates of their own, within the frame that all pages have."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates
from starlette_admin.flash import get_flashed_messages
from starlette_admin.views import BaseView


def render(view: BaseView, request: Request, template: str, **context: Any) -> Response:
    """The page of a view.

    Args:
        view: the page.
        request: of the browser.
        template: its file under `console/templates`.
        context: what the template reads.
    """
    frame = {"title": view.title(request), "view": view, "flashed_messages": get_flashed_messages(request)}
    templates: Jinja2Templates = request.app.state.templates
    return templates.TemplateResponse(request, template, {**frame, **context})
