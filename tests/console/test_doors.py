"""The doors in the console: who has come in, and a check-in made undone."""

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import expect

from rowlock.v1.ticket_pb2 import Ticket
from server import clock
from server.states import Role
from tests.console.conftest import BackOffice, Visitor
from tests.console.selling import sold, told
from tests.console.test_bookings import press

Visit = Callable[..., Visitor]


def test_a_check_in_is_made_undone(office: BackOffice, visit: Visit) -> None:
    start = clock.now() + timedelta(hours=1)
    bought = sold(office, start_time=start, refund_deadline=start)
    email = office.account(Role.STAFF, "Grace")
    gate = office.client(email)
    ticket = bought.customer.tickets(bought.booking.name).tickets[0]
    gate.check_in(bought.booking.performance, ticket.code, place="North gate")

    desk = visit("/check-ins/list", email)
    desk.page.get_by_label("Performance").select_option(bought.booking.performance)
    press(desk.page, "Show")
    expect(desk.page.get_by_text("1 of 2 have come in, 1 have not.")).to_be_visible()
    scan = desk.page.locator("tbody tr")
    expect(scan).to_contain_text("North gate")
    expect(scan).to_contain_text("Grace")
    desk.page.get_by_label("Undo").click()
    desk.page.get_by_label("Reason").fill("Scanned by mistake")
    press(desk.page, "Undo")
    told(desk.page).to_contain_text("The ticket is good again.")
    expect(desk.page.get_by_text("0 of 2 have come in, 2 have not.")).to_be_visible()
    expect(desk.page.locator("tbody")).to_contain_text("Scanned by mistake")
    assert bought.customer.ticket(ticket.name).state == Ticket.VALID
