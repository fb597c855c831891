"""The kiosk in a real Chromium, before a real server, worker and gateway: one of each per module."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from sqlalchemy import text

from rowlock_client import Client
from server import gateway_build, shipped
from server.config import Settings
from server.db.engine import Database
from tests.chromium import PATIENCE_MS, chromium
from tests.invariants import assert_sound
from tests.staging import Staged, hall_document, stage
from tests.threaded_server import QUICK, ThreadedServer, threaded_server
from workers.broker import worker

PASSWORD = "correct horse battery"
# A browser writes these for every answer that is a refusal, or when the server is away, as it is in some tests.
USUAL = re.compile(r"Failed to load resource: (the server responded with a status of (4|503)|net::)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first test waits until the gateway is built, which a machine without any of it yet takes minutes for.
    for item in items:
        if "tests/kiosk/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module's tests; each page has a session of its own.

    No longer than that: while Playwright is open its event loop runs in this thread, and the asynchronous tests of
    other modules, which the same process may run next, need one of their own.
    """
    with chromium() as running:
        yield running


@dataclass
class Kiosk:
    """A server with a gateway that serves the kiosk.

    Args:
        server: can be restarted at the same address.
        url: of the kiosk.
        database: behind it.
        browser: opens it.
    """

    server: ThreadedServer
    url: str
    database: Database
    browser: Browser
    _open: ExitStack = field(default_factory=ExitStack)

    def house(self, document: dict[str, Any] | None = None, **performance: Any) -> Staged:
        """A performance on sale: 50 seats and 20 standing places."""
        types = performance.pop(
            "ticket_types",
            (
                {"display_name": "Adult", "price": 2500, "zones": ["Stalls"]},
                {"display_name": "Student", "price": 1500, "zones": ["Stalls"]},
                {"display_name": "Standing", "price": 1200, "zones": ["Floor"]},
            ),
        )
        drawing = document or hall_document(standing=20)
        return self.database.run_transaction(lambda s: stage(s, drawing, ticket_types=types, **performance))

    def let_time_pass(self, house: Staged) -> None:
        """Let the holds of a performance run out."""
        run_out = text("UPDATE bookings SET hold_expire_time = clock_timestamp() WHERE performance_id = :id")
        self.database.run_transaction(lambda s: s.execute(run_out, {"id": house.performance_id}))

    def customer(self) -> str:
        """Somebody new; returns the e-mail address."""
        email = f"{uuid4().hex}@example.org"
        with Client(self.server.address) as client:
            client.sign_up(email, PASSWORD, "Ada")
        return email

    def visit(self, house: Staged | None = None, email: str = "", *, clock: bool = False, **context: Any) -> "Visitor":
        """A browser window of its own before a hall.

        Args:
            house: the hall; None: the list of performances.
            email: who signs in; "": nobody.
            clock: whether its time can be put forward (`page.clock`).
            context: options of Playwright's browser context.
        """
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **context}
        window = self.browser.new_context(**options)
        self._open.callback(window.close)
        page = window.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(page, house)
        page.on("pageerror", lambda error: visitor.faults.append(str(error)))
        page.on("console", visitor.note)
        if clock:
            page.clock.install()
        page.goto(f"{self.url}?performance=performances/{house.performance_id}" if house else self.url)
        if email:
            visitor.sign_in(email)
        return visitor

    def close_windows(self) -> None:
        """End what was opened."""
        self._open.close()


@dataclass
class Visitor:
    """Somebody before a screen.

    Args:
        page: the screen.
        house: what is on it.
        faults: what went wrong in the page itself: errors that nobody caught, and what its security policy refused.
    """

    page: Page
    house: Staged | None
    faults: list[str] = field(default_factory=list)

    @property
    def toast(self) -> Locator:
        """What the screen says at the moment."""
        return self.page.locator(".toast")

    @property
    def basket(self) -> Locator:
        """What the customer has."""
        return self.page.get_by_role("region", name="Your seats")

    def note(self, message: ConsoleMessage) -> None:
        """Keep what a page must not say."""
        if message.type == "error" and not USUAL.search(message.text):
            self.faults.append(message.text)

    def sign_in(self, email: str) -> None:
        """By the dialog, and wait until the hall is live."""
        self.page.locator(".bar").get_by_role("button", name="Sign in").click()
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()
        if self.house:
            self.wait_live()

    def wait_live(self) -> None:
        """Wait until the seats come over the stream."""
        expect(self.page.locator(".badge")).to_have_attribute("data-state", "live")

    def press(self, index: int) -> None:
        """Press a seat on the plan where it is drawn."""
        at = self.page.evaluate(
            """(index) => {
                const { map } = kiosk.screen;
                const { plan } = map.scene;
                const [x, y] = [plan.x[index], plan.y[index]];
                map.camera.show({ left: x, right: x, top: y, bottom: y });
                map.redraw();
                const box = map.canvas.getBoundingClientRect();
                const { left, top } = map.camera.view;
                return [box.x + (x - left) * map.camera.scale, box.y + (y - top) * map.camera.scale];
            }""",
            index,
        )
        self.page.mouse.click(*at)

    def ours(self, index: int) -> str:
        """What the cart says of a seat: "", mine, adding or removing."""
        return str(self.page.evaluate("(index) => kiosk.screen.cart.of(index)", index))

    def wait_ours(self, index: int, ours: str) -> None:
        """Wait until the cart says so."""
        self.page.wait_for_function("([index, ours]) => kiosk.screen?.cart.of(index) === ours", arg=[index, ours])

    def wait_state(self, index: int, state: int) -> None:
        """Wait until the screen shows this SeatState."""
        self.page.wait_for_function(
            "([index, state]) => kiosk.screen?.feed.states[index] === state", arg=[index, state]
        )

    def states(self) -> list[int]:
        """What the screen shows."""
        return list(self.page.evaluate("() => Array.from(kiosk.screen.feed.states)"))


@contextmanager
def gateway_in_front(address: str, port: int = 0) -> Iterator[str]:
    """The built gateway as a process; gives its URL. Port 0: any that is free."""
    folder = shipped.kiosk()
    assert folder is not None
    command = [
        str(gateway_build.build()),
        f"-address=127.0.0.1:{port}",
        f"-servers={address}",
        f"-kiosk-dir={folder}",
        "-metrics-address=off",
        "-log-format=json",
        "-log-level=info",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWLOCK_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    # Its log must be read, or it would wait for room to write more.
    log = process.stdout
    reader = threading.Thread(target=lambda: [None for _ in log])
    try:
        first = json.loads(log.readline())
        assert first["event"] == "serving", first
        reader.start()
        yield f"http://{first['address']}"
    finally:
        process.terminate()
        process.wait(60)
        if reader.ident is not None:
            reader.join()


@contextmanager
def running_kiosk(
    settings: Settings, database: Database, browser: Browser, *, port: int = 0, **changed: Any
) -> Iterator[Kiosk]:
    """Everything that a kiosk needs, within the block.

    Args:
        settings: of server and worker.
        database: theirs.
        browser: to open windows with.
        port: of the gateway; 0: any that is free.
        changed: settings that differ.
    """
    own = settings.model_copy(update={"trusted_proxies": frozenset({"127.0.0.1/32"}), **changed})
    work = worker(own.model_copy(update=QUICK))
    work.start()
    with threaded_server(own) as server, gateway_in_front(server.address, port) as url:
        yield Kiosk(server, f"{url}/kiosk/", database, browser)
    work.stop(timeout=60_000)
    assert_sound(database)


@pytest.fixture(scope="module")
def open_kiosk(settings: Settings, database: Database, browser: Browser) -> Iterator[Kiosk]:
    """The module's."""
    with running_kiosk(settings, database, browser) as kiosk:
        yield kiosk


@pytest.fixture
def kiosk(open_kiosk: Kiosk) -> Iterator[Kiosk]:
    """The module's, with no window open."""
    yield open_kiosk
    open_kiosk.close_windows()


@pytest.fixture
def visitor(kiosk: Kiosk) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, and sees at the end that none of their pages had a fault."""
    opened: list[Visitor] = []

    def visit(*arguments: Any, **options: Any) -> Visitor:
        opened.append(kiosk.visit(*arguments, **options))
        return opened[-1]

    yield visit
    faults = [fault for one in opened for fault in one.faults]
    assert faults == []
