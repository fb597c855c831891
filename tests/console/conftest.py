"""The console in a real Chromium, before a real server and worker: one of each per module."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect
from sqlalchemy.orm import Session

from console.calling import forwarding
from console.program import application
from console.sessions import Sessions
from rowlock_client import Client
from rowlock_client import aio as rowlock_aio
from rowlock_client.connecting import open_aio_channel
from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.states import Role
from tests.chromium import PATIENCE_MS, chromium
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery"
USUAL = re.compile(r"Failed to load resource: the server responded with a status of (4|503)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module's tests; no longer, because its event loop runs in this thread meanwhile."""
    with chromium() as running:
        yield running


@dataclass
class BackOffice:
    """A server with a console before it.

    Args:
        server: can be restarted at the same address.
        url: of the console, without a slash at the end.
        database: behind the server.
        browser: opens it.
    """

    server: ThreadedServer
    url: str
    database: Database
    browser: Browser
    _open: ExitStack = field(default_factory=ExitStack)

    def house(self, **performance: Any) -> Staged:
        """A performance on sale: 50 seats."""
        return self.database.run_transaction(lambda session: stage(session, **performance))

    def account(self, role: Role = Role.CUSTOMER, name: str = "Ada") -> str:
        """Somebody new; returns the e-mail address."""
        email = f"{uuid4().hex}@example.org"
        with Client(self.server.address) as client:
            client.sign_up(email, PASSWORD, name)
        if role is not Role.CUSTOMER:
            self.database.run_transaction(lambda session: _appoint(session, email, role))
        return email

    def client(self, email: str) -> Client:
        """The API as somebody."""
        client = self._open.enter_context(Client(self.server.address))
        client.log_in(email, PASSWORD)
        return client

    def visit(self, path: str = "/", email: str = "", **context: Any) -> "Visitor":
        """A browser window of its own; whoever's address is given has signed in."""
        window = self.browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **context})
        self._open.callback(window.close)
        page = window.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(page, self.url)
        page.on("pageerror", lambda error: visitor.faults.append(str(error)))
        page.on("console", visitor.note)
        page.on("request", visitor.note_request)
        visitor.open(path)
        if email:
            visitor.sign_in(email)
        return visitor

    def close(self) -> None:
        """End what was opened."""
        self._open.close()


def _appoint(session: Session, email: str, role: Role) -> None:
    user = accounts.find_by_email(session, email)
    assert user is not None
    accounts.set_role(session, user.id, role)


@dataclass
class Visitor:
    """Somebody before a screen.

    Args:
        page: the screen.
        url: of the console.
        faults: what went wrong in the pages themselves.
    """

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """Keep what a page must not say. A browser also writes there of every answer that is a refusal."""
        if message.type == "error" and not USUAL.search(message.text):
            self.faults.append(message.text)

    def note_request(self, request: Request) -> None:
        """Keep what goes elsewhere."""
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"a request to {request.url}")

    def open(self, path: str) -> None:
        """Go to a page."""
        self.page.goto(self.url + path)

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """By the form."""
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign in")).to_have_count(0)
        self.page.wait_for_load_state("load")


@contextmanager
def console_before(address: str) -> Iterator[str]:
    """The console in a thread and an event loop of its own; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []
    ready = threading.Event()

    async def serve() -> None:
        channel = open_aio_channel(address, None, interceptors=forwarding())
        app = application(Sessions(rowlock_aio.Client(channel=channel), timedelta(hours=1)), https=False)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        servers.append(uvicorn.Server(config))
        ready.set()
        await servers[0].serve([listener])
        await channel.close(None)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="console")
    thread.start()
    assert ready.wait(60)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        servers[0].should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def open_office(settings: Settings, database: Database, browser: Browser) -> Iterator[BackOffice]:
    """The module's."""
    own = settings.model_copy(update={"trusted_proxies": frozenset({"127.0.0.1/32"})})
    work = worker(own.model_copy(update=QUICK))
    work.start()
    with threaded_server(own) as server, console_before(server.address) as url:
        yield BackOffice(server, url, database, browser)
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture
def office(open_office: BackOffice) -> Iterator[BackOffice]:
    """The module's, with no window open."""
    yield open_office
    open_office.close()


@pytest.fixture
def visit(office: BackOffice) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, and sees at the end that none of their pages had a fault."""
    opened: list[Visitor] = []

    def opening(*arguments: Any, **options: Any) -> Visitor:
        opened.append(office.visit(*arguments, **options))
        return opened[-1]

    yield opening
    faults = [fault for one in opened for fault in one.faults]
    assert faults == []
