"""The console's ASGI application, and serving it."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc.aio
import structlog
import uvicorn
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_admin import BaseAdmin
from starlette_admin.security import csrf_input

from console import pages
from console.calling import as_page, caller_address, forwarding
from console.forms import identity
from console.scripting import mark_scripts, new_policy
from console.sessions import Sessions
from console.signing_in import RowlockAccounts
from rowlock_client.aio import Client
from rowlock_client.connecting import Tls, open_aio_channel
from rowlock_client.errors import RowlockError, Unauthenticated
from server.config import Environment, Settings, SettingsError, variable_name
from server.shipped import kiosk

NAME: Final = "console"
"""Prefix of its routes' names: `request.url_for("console:list", key=…)`."""

_log = structlog.get_logger(__name__)

_FOLDER: Final = Path(__file__).parent
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
_LONGEST_BODY: Final = 33 * 2**20
"""Bytes of a request, all of which are held at once: the longest file of a hall that the API takes, and its form."""
_STOP_SECONDS: Final = 3


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        SettingsError: a certificate, a key or the servers' names cannot be used.
    """
    for library in ("starlette_admin", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    host, _, port = settings.console_address.rpartition(":")
    channel = _channel_to_servers(settings)
    https = settings.console_tls_cert_file is not None or settings.environment is Environment.PRODUCTION
    try:
        sessions = Sessions(Client(channel=channel), settings.console_idle_time)
        config = uvicorn.Config(
            application(sessions, https=https),
            host=host.strip("[]"),
            port=int(port),
            ssl_certfile=settings.console_tls_cert_file,
            ssl_keyfile=settings.console_tls_key_file,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=sorted(settings.trusted_proxies),
            server_header=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            names = f"{variable_name('console_tls_cert_file')}, {variable_name('console_tls_key_file')}"
            raise SettingsError(f"{names}: {error}") from None
        _log.info("serving_console", url=f"{'https' if config.is_ssl else 'http'}://{settings.console_address}/")
        await uvicorn.Server(config).serve()
    finally:
        await channel.close(None)


def _channel_to_servers(settings: Settings) -> grpc.aio.Channel:
    tls = None
    if settings.console_server_ca_file is not None:
        tls = Tls(settings.console_server_ca_file, settings.console_server_cert_file, settings.console_server_key_file)
    try:
        return open_aio_channel(settings.console_servers or (settings.grpc_address,), tls, interceptors=forwarding())
    except (OSError, ValueError) as error:
        names = f"{variable_name('console_servers')}, {variable_name('console_server_ca_file')}"
        raise SettingsError(f"{names}: {error}") from None


def application(sessions: Sessions, *, https: bool) -> ASGIApp:
    """The application.

    Args:
        sessions: who is signed in.
        https: whether browsers reach it by HTTPS only, so that its cookies go by nothing else.
    """
    accounts = RowlockAccounts(sessions)
    # Signs what ends with this process anyway: the cookies of its sessions, and of its forms.
    secret = secrets.token_urlsafe(32)
    cookies = Middleware(
        SessionMiddleware,
        secret_key=secret,
        session_cookie="rowlock_console",
        max_age=None,
        same_site="lax",
        https_only=https,
    )
    admin = BaseAdmin(
        title="Rowlock",
        base_url="/",
        route_name=NAME,
        favicon_url=lambda request: str(request.url_for(f"{NAME}:static", path="icon.svg")),
        templates_dir=str(_FOLDER / "templates"),
        static_dir=str(_FOLDER / "static"),
        auth_provider=accounts,
        secret_key=secret,
        middlewares=[cookies],
        index_view=pages.home(),
    )
    admin.templates.env.globals["csrf_input"] = _marks
    mark_scripts(admin.templates.env)
    for view in pages.menu():
        admin.add_view(view)
    app = Starlette(routes=[Route("/healthz", _health), *_drawing()])
    admin.mount_to(app)
    admin.app.state.templates = admin.templates
    admin.app.add_exception_handler(RowlockError, _refusals(admin, accounts))
    return _Around(app)


def _marks(request: Request) -> Markup:
    """Hidden fields of every form: that it is ours, and which one it is, however often it is sent."""
    return csrf_input(request) + identity()


def _refusals(admin: BaseAdmin, accounts: RowlockAccounts) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RowlockError)  # noqa: S101 - registered for these only
        if isinstance(error, Unauthenticated):
            accounts.sign_out_here(request)
            # Back to this page afterwards; to the list, where a form was sent.
            back = str(request.url) if request.method == "GET" else str(request.url_for(f"{NAME}:index"))
            return RedirectResponse(request.url_for(f"{NAME}:login").include_query_params(next=back), 303)
        page = as_page(error)
        context = {"exc": page, "flashed_messages": []}
        return admin.templates.TemplateResponse(request, "error.html", context, status_code=page.status_code)

    return refused


def _drawing() -> list[Mount]:
    """The modules with which the kiosk draws halls, where they are: the console draws with the same."""
    screens = kiosk()
    return [] if screens is None else [Mount("/drawing", StaticFiles(directory=screens))]


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


class _Around:
    """What holds for every request: how long it may be, its answer's headers, whose browser the server is told of."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller_address.set((scope.get("client") or ("",))[0])
        policy = new_policy()
        is_page = not scope["path"].startswith(("/static/", "/drawing/"))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["content-security-policy"] = policy
                if is_page:
                    headers["cache-control"] = "no-store"
            await send(message)

        headers = Headers(scope=scope)
        app = _too_long(headers) or _from_elsewhere(scope["method"], headers) or self._app
        await app(scope, receive, with_headers)


def _from_elsewhere(method: str, headers: Headers) -> Response | None:
    """The refusal of a change for which a browser says that a page of another site or host asks for it.

    Forms are known by their mark already; this holds against whoever can plant cookies from a neighbouring host, too.
    """
    if method in {"GET", "HEAD"} or headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return None
    return PlainTextResponse("this was sent by another site\n", 403)


def _too_long(headers: Headers) -> Response | None:
    """The refusal of a request whose body is too long, or may be: browsers say how long theirs are."""
    if "transfer-encoding" in headers:
        return PlainTextResponse("say how long this is\n", 411, {"connection": "close"})
    # The server of HTTP has refused anything but digits.
    if int(headers.get("content-length", "0")) > _LONGEST_BODY:
        return PlainTextResponse(f"longer than {_LONGEST_BODY:,} bytes\n", 413, {"connection": "close"})
    return None
