"""Bookings in the console: found, read with all that belongs to them, and changed by dialogs."""

import csv
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from rowlock.v1 import booking_pb2
from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock_client.rpc import Rpc
from server.states import Role
from tests.axe import serious
from tests.console.conftest import BackOffice, Visitor
from tests.console.selling import sold, told

Visit = Callable[..., Visitor]


def page_of(name: str, view: str = "bookings") -> str:
    """Where the page of a resource is."""
    return f"/{view}/detail?pk={quote(name)}"


def press(page: Page, button: str) -> None:
    """A button of a page, or of a dialog on it. Before its scripts have run it would do nothing."""
    found = page.get_by_role("button", name=button, exact=True)
    # First the page that has it: the one before it, which is left, has run its scripts long ago.
    found.wait_for()
    page.wait_for_load_state("load")
    found.click()


@pytest.mark.promise("0.8")
def test_a_paid_booking_is_found_by_its_customer_and_cancelled(office: BackOffice, visit: Visit) -> None:
    bought = sold(office)
    desk = visit("/bookings/list", office.account(Role.STAFF, "Grace"))
    desk.page.get_by_label("Customer").fill(bought.email)
    press(desk.page, "Show")
    rows = desk.page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("A Play")
    expect(rows).to_contain_text("50.00 EUR")
    desk.page.get_by_label("Customer").fill("")
    code = bought.customer.tickets(bought.booking.name).tickets[0].code
    desk.page.get_by_label("Number, ticket or payment").fill(code)
    press(desk.page, "Show")
    expect(rows).to_have_count(1)
    desk.page.get_by_label("Number, ticket or payment").fill(bought.booking.name[-8:])
    press(desk.page, "Show")
    expect(desk.page.get_by_text("within a performance: choose that, too")).to_be_visible()
    desk.page.get_by_label("Performance").select_option(bought.booking.performance)
    press(desk.page, "Show")
    expect(rows).to_contain_text(bought.email)
    rows.get_by_text(bought.booking.name[-8:]).click()
    expect(desk.page.get_by_role("heading", name=f"Booking {bought.booking.name[-8:]}")).to_be_visible()
    expect(desk.page.get_by_role("list", name="History")).to_be_visible()
    assert serious(desk.page) == []
    press(desk.page, "Cancel")
    press(desk.page, "Cancel the booking")  # it takes a reason: nothing is sent without
    desk.page.get_by_label("Reason").fill("She fell ill")
    press(desk.page, "Cancel the booking")
    told(desk.page).to_contain_text("The booking is cancelled.")

    history = desk.page.get_by_role("list", name="History").get_by_role("listitem")
    cancelled = history.filter(has_text="Confirmed → Cancelled")
    expect(cancelled).to_contain_text("by Grace (staff)")
    expect(cancelled).to_contain_text("She fell ill")
    after = bought.customer.booking(bought.booking.name)
    assert after.state == Booking.CANCELLED
    moment = f"{after.cancel_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
    expect(cancelled).to_contain_text(moment)
    assert bought.customer.payment(bought.payment.name).refunded.units == 50
    # It goes back by itself, soon.
    done = history.filter(has_text="Refund: done")
    while not done.count():
        desk.page.reload()
        expect(history.first).to_be_visible()


def test_chosen_tickets_are_taken_back_and_the_others_stay(office: BackOffice, visit: Visit) -> None:
    bought = sold(office, 3)
    desk = visit(page_of(bought.booking.name), office.account(Role.STAFF))
    press(desk.page, "Take tickets back")
    seat = bought.booking.seats[0].seat
    desk.page.get_by_role("checkbox", name=seat).check()
    desk.page.get_by_label("Reason").fill("The view was blocked")
    press(desk.page, "Refund")
    told(desk.page).to_contain_text("Taken back: 1.")
    after = bought.customer.booking(bought.booking.name)
    assert (after.state, len(after.seats)) == (Booking.CONFIRMED, 2)
    assert seat not in {one.seat for one in after.seats}
    assert bought.customer.payment(bought.payment.name).refunded.units == 25
    document = desk.page.request.get(desk.page.get_by_role("link", name="PDF").first.get_attribute("href") or "")
    assert document.headers["content-type"] == "application/pdf"
    assert document.body().startswith(b"%PDF")

    press(desk.page, "Mail the tickets")
    press(desk.page, "Mail them")
    told(desk.page).to_contain_text("The tickets are being mailed again.")


def test_a_file_has_what_the_list_has(office: BackOffice, visit: Visit) -> None:
    bought = sold(office)
    sold(office)
    note = booking_pb2.Booking(name=bought.booking.name, note="=1+1")
    bought.customer.call(Rpc(BookingServiceStub, "UpdateBooking", booking_pb2.UpdateBookingRequest(booking=note)))
    desk = visit(f"/bookings/list?customer={quote(bought.email)}", office.account(Role.STAFF))
    desk.page.locator("[data-sa-name=export]").click()
    with desk.page.expect_download() as download:
        desk.page.get_by_role("dialog").get_by_role("button", name="Export", exact=True).click()
    heading, *rows = csv.reader(download.value.path().read_text().splitlines())
    assert heading[:2] == ["Booking", "Performance"]
    listed = dict(zip(heading, rows[0], strict=True))
    assert len(rows) == 1
    assert (listed["Resource"], listed["Total"], listed["State"]) == (bought.booking.name, "50.00 EUR", "Confirmed")
    assert listed["Note"] == "'=1+1", "no spreadsheet takes it for a formula"


def test_who_comes_too_late_is_told_why(office: BackOffice, visit: Visit) -> None:
    bought = sold(office)
    desk = visit(page_of(bought.booking.name), office.account(Role.STAFF))
    press(desk.page, "Cancel")
    desk.page.get_by_label("Reason").fill("She fell ill")
    bought.customer.cancel(bought.booking.name)
    press(desk.page, "Cancel the booking")
    told(desk.page).to_contain_text("the booking is CANCELLED (BOOKING_STATE)")
    expect(desk.page.locator("#modal-action")).to_be_hidden()
    press(desk.page, "Cancel")
    expect(desk.page.get_by_label("Reason"), "what was entered is not lost").to_have_value("She fell ill")


def test_a_held_booking_is_sold_at_the_till_and_the_shift_closed(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    customer = office.client(office.account())
    booking = customer.hold(f"performances/{house.performance_id}", best=2)
    desk = visit("/shifts/create", office.account(Role.STAFF))
    desk.page.get_by_label("Till").fill("Foyer 1")
    desk.page.get_by_label("Cash in the drawer at first").fill("100.00 EUR")
    press(desk.page, "Save")
    told(desk.page).to_be_visible()

    desk.open(page_of(booking.name))
    press(desk.page, "Sell at the till")
    desk.page.get_by_label("Paid by").select_option("Cash")
    press(desk.page, "Confirm")
    told(desk.page).to_contain_text("confirmed: 50.00 EUR")
    assert customer.booking(booking.name).method == Booking.CASH

    desk.open("/shifts/list")
    desk.page.get_by_text("Foyer 1").click()
    expect(desk.page.get_by_role("table", name="Sold and given back")).to_contain_text("50.00 EUR")
    press(desk.page, "Close")
    desk.page.get_by_label("Counted").fill("149.50")
    press(desk.page, "Close the shift")
    told(desk.page).to_contain_text("Difference: -0.50 EUR")
