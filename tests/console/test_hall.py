"""The live hall: what staff see there is so, and what they do there holds for everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from rowlock.v1 import box_office_pb2
from rowlock.v1.box_office_pb2_grpc import BoxOfficeServiceStub
from rowlock_client import Client
from rowlock_client.errors import FailedPrecondition
from rowlock_client.rpc import Rpc
from server.seats import feed_metrics
from server.states import Role
from tests.axe import serious
from tests.console.conftest import BackOffice, Visitor
from tests.staging import hall_document

Visit = Callable[..., Visitor]
AVAILABLE, HELD, SOLD, BLOCKED = 1, 2, 3, 4


@dataclass
class HallScreen:
    """Somebody before the live hall."""

    page: Page

    def wait_live(self) -> None:
        """Wait until the seats come over the stream."""
        expect(self.page.locator("#connection")).to_have_attribute("data-state", "live")

    def wait_state(self, index: int, state: int) -> None:
        """Wait until the screen shows this SeatState."""
        self.page.wait_for_function("([index, state]) => hall.feed.states[index] === state", arg=[index, state])

    def at(self, index: int) -> tuple[float, float]:
        """Where a seat is drawn in the window."""
        x, y = self.page.evaluate(
            """(index) => {
                const { map, plan } = hall;
                const box = map.canvas.getBoundingClientRect();
                const { left, top } = map.camera.view;
                const { scale } = map.camera;
                return [box.x + (plan.x[index] - left) * scale, box.y + (plan.y[index] - top) * scale];
            }""",
            index,
        )
        return float(x), float(y)

    def press(self, index: int) -> None:
        """Press a seat on the map."""
        self.page.mouse.click(*self.at(index))

    @property
    def selected(self) -> list[int]:
        """What is selected."""
        return list(self.page.evaluate("() => hall.selection.indexes"))

    def do(self, button: str) -> None:
        """Press a button of the panel beside the map."""
        self.page.locator("#selection").get_by_role("button", name=button, exact=True).click()

    def expect_said(self, text: str) -> None:
        """What the page says to eyes and ears."""
        expect(self.page.locator("#announcer")).to_contain_text(text)


def before(visit: Visit, performance: str, email: str) -> HallScreen:
    """The hall of a performance, live."""
    screen = HallScreen(visit(f"/hall?performance={performance}", email).page)
    screen.wait_live()
    return screen


def test_a_seat_that_staff_block_is_blocked_for_all(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    email = office.account(Role.STAFF)
    grace, linus = before(visit, name, email), before(visit, name, email)
    customer = office.client(office.account())
    grace.press(12)
    expect(grace.page.locator("#selection")).to_contain_text("Stalls, row B, seat 3")
    grace.page.get_by_label("Why, for colleagues").fill("A broken arm rest.")
    grace.do("Block")
    grace.expect_said("1 place is blocked")
    linus.wait_state(12, BLOCKED)
    with pytest.raises(FailedPrecondition, match="SEAT_TAKEN"):
        customer.hold(name, "Stalls-B-3")

    linus.press(12)
    linus.do("Put back on sale")
    grace.wait_state(12, AVAILABLE)
    assert customer.hold(name, "Stalls-B-3").name


def test_what_customers_do_is_seen_at_once(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    customer = office.client(office.account())
    grace = before(visit, name, office.account(Role.STAFF))
    grace.press(7)
    booking = customer.hold(name, "Stalls-A-8")
    grace.wait_state(7, HELD)
    grace.expect_said("Taken by a customer meanwhile: Stalls, row A, seat 8 (held)")
    expect(grace.page.locator("#totals")).to_have_text("49 free, 1 held")
    customer.cancel(booking.name)
    grace.wait_state(7, AVAILABLE)


def test_who_was_slower_is_told_and_nothing_is_changed(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    customer = office.client(office.account())
    grace = before(visit, name, office.account(Role.STAFF))
    grace.press(20)
    grace.press(21)

    def faster(route: Route) -> None:
        customer.hold(name, "Stalls-C-1")
        route.continue_()

    grace.page.route("**/hall/block", faster)
    grace.do("Block")
    grace.expect_said("Nothing was changed. Somebody was faster: Stalls, row C, seat 1.")
    grace.wait_state(20, HELD)
    assert grace.selected == [21]
    assert customer.hold(name, "Stalls-C-2").name


def test_rows_and_rectangles_are_selected(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    grace = before(visit, name, office.account(Role.STAFF))
    grace.page.get_by_text("Rows", exact=True).click()
    grace.press(30)
    assert grace.selected == list(range(30, 40))
    grace.do("Select none")
    (left, top), (right, bottom) = grace.at(0), grace.at(11)
    grace.page.keyboard.down("Shift")
    grace.page.mouse.move(left - 8, top - 8)
    grace.page.mouse.down()
    grace.page.mouse.move(right + 8, bottom + 8, steps=4)
    grace.page.mouse.up()
    grace.page.keyboard.up("Shift")
    assert grace.selected == [0, 1, 10, 11]


def test_places_are_set_aside_changed_and_released(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    email = office.account(Role.STAFF)
    customer = office.client(office.account())
    owner = f"Sponsor {uuid4().hex[:6]}"
    # By the list and the keyboard alone.
    grace, linus = before(visit, name, email), before(visit, name, email)
    places = grace.page.locator("#places")
    places.get_by_text("Stalls").press("Enter")
    places.get_by_text("Row D").press("Enter")
    places.get_by_role("button", name="Select row D").press("Enter")
    places.get_by_role("checkbox", name="Stalls, row D, seat 1: free").press("Space")
    assert grace.selected == list(range(31, 40))
    grace.page.get_by_label("For whom, such as Sponsor X").fill(owner)
    grace.do("Set aside")
    grace.expect_said(f"9 places are set aside for {owner}")
    expect(
        places.get_by_role("checkbox", name=f"Stalls, row D, seat 2: blocked, set aside for {owner}")
    ).to_be_visible()
    with pytest.raises(FailedPrecondition, match="SEAT_TAKEN"):
        customer.hold(name, "Stalls-D-2")
    [allocation] = allocations(office.client(email), name)
    assert (allocation.owner, len(allocation.seats), allocation.blocked) == (owner, 9, 9)

    expect(linus.page.locator("#allocations").get_by_role("listitem")).to_contain_text(owner)

    aside = grace.page.locator("#allocations")
    aside.get_by_role("button", name=f"Change: {owner}").click()
    aside.get_by_label("Note").fill("Comes by bus.")
    aside.get_by_role("button", name="Save").click()
    expect(aside).to_contain_text("Comes by bus.")
    [changed] = allocations(office.client(email), name)
    assert (changed.note, changed.owner, changed.release_time) == ("Comes by bus.", owner, allocation.release_time)

    aside.get_by_role("button", name=f"Release: {owner}").click()
    grace.wait_state(31, AVAILABLE)
    expect(aside.get_by_role("listitem")).to_have_count(0)
    assert not allocations(office.client(email), name)
    assert customer.hold(name, "Stalls-D-2").name


def test_standing_places_are_blocked_by_number(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house(document=hall_document(standing=30)).performance_id}"
    email = office.account(Role.STAFF)
    grace = before(visit, name, email)
    places = grace.page.locator("#places")
    places.get_by_text("Floor").first.click()
    places.get_by_label("Floor").fill("3")
    places.get_by_role("button", name="Select free").click()
    grace.do("Block")
    grace.expect_said("3 places are blocked")
    assert office.client(email).availability(name).counts.blocked == 3


def test_an_open_hall_goes_on_after_a_restart_of_the_server(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    grace = before(visit, name, office.account(Role.STAFF))
    office.server.stop()
    expect(grace.page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    office.server.start()
    customer = office.client(office.account())
    customer.hold(name, "Stalls-A-5")
    grace.wait_state(4, HELD)
    grace.wait_live()


def test_a_hall_closes_when_its_session_ends(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    email = office.account(Role.STAFF)
    window = visit(f"/hall?performance={name}", email)
    hall = HallScreen(window.page)
    hall.wait_live()
    other = window.page.context.new_page()
    other.goto(f"{office.url}/bookings/list")
    other.get_by_label("Open user menu").last.click()
    other.get_by_role("button", name="Logout").last.click()
    expect(window.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_hall_is_usable_for_those_who_do_not_see_it(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    grace = before(visit, name, office.account(Role.STAFF))
    grace.page.locator("#places").get_by_text("Stalls").click()
    grace.page.locator("#places").get_by_text("Row A").click()
    grace.press(3)
    assert serious(grace.page) == []
    grace.page.set_viewport_size({"width": 390, "height": 800})
    assert grace.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_nothing_is_watched_for_a_browser_that_left(office: BackOffice, visit: Visit) -> None:
    name = f"performances/{office.house().performance_id}"
    staff = visit("/", office.account(Role.STAFF))
    wait_until(staff.page, lambda: watchers() == 0)
    other = staff.page.context.new_page()
    other.goto(f"{office.url}/hall?performance={name}")
    HallScreen(other).wait_live()
    assert watchers() == 1
    other.close()
    wait_until(staff.page, lambda: watchers() == 0)


def watchers() -> float:
    """How many streams the server feeds: it runs in this process."""
    return float(feed_metrics.WATCHERS._value.get())


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for what happens in the server; the browser goes on meanwhile."""
    for _ in range(1200):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not happen within a minute")


def allocations(client: Client, performance: str) -> list[box_office_pb2.Allocation]:
    """Those that are live."""
    wanted = box_office_pb2.ListAllocationsRequest(parent=performance, state=box_office_pb2.Allocation.LIVE)
    rpc: Rpc[box_office_pb2.ListAllocationsResponse] = Rpc(BoxOfficeServiceStub, "ListAllocations", wanted)
    return list(client.call(rpc).allocations)
