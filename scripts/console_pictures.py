"""Take the pictures of docs/console.md, all but that of failed work.

python scripts/console_pictures.py http://127.0.0.1:8090 127.0.0.1:7001 grace@example.org

With a fresh `rowlock up` behind the console, and an administrator of that address; the password is read from standard
input. Sells some seats, takes a ticket back, holds some as a customer, blocks some and sets some aside.
"""

import itertools
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from rowlock.v1 import booking_pb2, box_office_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.box_office_pb2_grpc import BoxOfficeServiceStub
from rowlock.v1.seat_map_pb2 import SEAT_STATE_AVAILABLE
from rowlock_client import Client
from rowlock_client.rpc import Rpc

IMAGES = Path(__file__).resolve().parent.parent / "docs/images"
PASSWORD = "correct horse battery"  # noqa: S105 - of a customer who is made here
NAMES = itertools.cycle(("Ada", "Alan", "Barbara", "Edsger", "Frances", "Grete", "Ken", "Radia"))
NUMBERS = itertools.count(1)
SET_ASIDE = 14
BLOCKED = 6


def main(url: str, server: str, email: str, password: str) -> None:
    """Take all pictures."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with Client(server) as staff, sync_playwright() as playwright:
        staff.log_in(email, password)
        booking = sell(server, staff)
        theatre = theatre_with_customers(server, staff)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        window = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
        page = window.new_page()
        page.goto(f"{url}/events/list")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("table").wait_for()
        still(page, "events")
        page.goto(f"{url}/")
        still(page, "home")
        page.goto(f"{url}/reports")
        still(page, "report")
        page.goto(f"{url}/bookings/list")
        still(page, "bookings")
        page.goto(f"{url}/bookings/detail?pk={quote(booking)}")
        still(page, "booking", whole=True)
        page.goto(f"{url}/performances/detail?pk={theatre}")
        page.locator("#counts").wait_for()
        still(page, "performance")
        page.goto(f"{url}/hall?performance={theatre}")
        page.locator('#connection[data-state="live"]').wait_for(timeout=60_000)
        page.get_by_role("listitem").filter(has_text="Friends of the house").first.wait_for()
        page.evaluate("() => hall.selection.add(hall.plan.sections[0].rows[1].seats)")
        still(page, "hall")
        browser.close()


def customer_of(server: str) -> Client:
    """The API as somebody new."""
    name = next(NAMES)
    email = f"{name.lower()}{next(NUMBERS)}@example.org"
    customer = Client(server)
    customer.sign_up(email, PASSWORD, name)
    customer.log_in(email, PASSWORD)
    return customer


def sell(server: str, staff: Client) -> str:
    """Some bookings of each performance, paid; of the sooner ones more.

    Returns:
        The name of the first, of which a ticket is taken back.
    """
    listed = sorted(staff.performances(page_size=100).performances, key=lambda one: one.start_time.ToDatetime())
    made = []
    for count, performance in zip(range(14, 0, -2), listed, strict=False):
        for _ in range(count):
            with customer_of(server) as customer:
                booking = customer.hold(performance.name, best=3)
                payment = customer.simulate(customer.pay(booking.name).name)
                customer.wait_for_payment(payment.name)
                made.append(booking.name)
    wanted = booking_pb2.RefundTicketsRequest(
        name=made[0], tickets=[staff.tickets(made[0]).tickets[0].name], reason="The view was blocked"
    )
    taken: Rpc[booking_pb2.Booking] = Rpc(BookingServiceStub, "RefundTickets", wanted)
    staff.call(taken)
    return made[0]


def theatre_with_customers(server: str, staff: Client) -> str:
    """A performance in a hall of some size, of which seats are held, blocked and set aside; its name."""
    listed = sorted(staff.performances(page_size=100).performances, key=lambda one: one.counts.total)
    theatre = next(one.name for one in listed if one.counts.total > 500)
    for quantity in (2, 4, 3, 2, 4):
        with customer_of(server) as customer:
            customer.hold(theatre, best=quantity)
    free = [one.seat.id for one in staff.seats(theatre, state=SEAT_STATE_AVAILABLE, page_size=1000).seats]
    staff.block(theatre, *free[:BLOCKED], reason="The mixing desk stands there.")
    aside = box_office_pb2.Allocation(owner="Friends of the house", seats=free[-SET_ASIDE:], note="Paid in spring.")
    wanted = box_office_pb2.CreateAllocationRequest(parent=theatre, allocation=aside)
    made: Rpc[box_office_pb2.Allocation] = Rpc(BoxOfficeServiceStub, "CreateAllocation", wanted)
    staff.call(made)
    return theatre


def still(page: Page, name: str, *, whole: bool = False) -> None:
    """Wait until everything is drawn, then take the picture: of the window, or of the whole page."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(800)
    path = IMAGES / f"console-{name}.png"
    page.screenshot(path=path, full_page=whole)
    # Few colours: a third of the size, and nobody sees it.
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(96).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2], sys.argv[3], sys.stdin.readline().rstrip("\n"))
