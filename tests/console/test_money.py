"""Money in the console: given back once however often it is asked for, tried anew, settled."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from rowlock.v1 import payment_pb2
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client import Client
from rowlock_client.rpc import Rpc
from server.states import Role, SimulatedOutcome
from tests.console.conftest import BackOffice, Visitor
from tests.console.selling import refunds_will, send_together, sold, told
from tests.console.test_bookings import page_of, press

Visit = Callable[..., Visitor]
Refund = payment_pb2.Refund


def refunds_of(client: Client, payment: str) -> list[payment_pb2.Refund]:
    """The refunds of a payment."""
    wanted = payment_pb2.ListRefundsRequest(parent=payment)
    found: payment_pb2.ListRefundsResponse = client.call(Rpc(PaymentServiceStub, "ListRefunds", wanted))
    return list(found.refunds)


def ask_for_five(page: Page) -> None:
    """Fill in that five euros go back, and send it by a double click."""
    press(page, "Give money back")
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Reason").fill("The heating was off")
    page.get_by_role("button", name="Give back", exact=True).dblclick()
    told(page).to_contain_text("5.00 EUR goes back.")


def test_a_double_click_gives_money_back_once(office: BackOffice, visit: Visit) -> None:
    bought = sold(office)
    desk = visit(page_of(bought.payment.name, "payments"), office.account(Role.STAFF))
    statuses = send_together(desk.page)
    ask_for_five(desk.page)
    assert statuses == [200, 200]
    assert [refund.amount.units for refund in refunds_of(bought.customer, bought.payment.name)] == [5]


def test_without_the_hidden_field_a_double_click_gives_it_back_twice(office: BackOffice, visit: Visit) -> None:
    """The control of the test above."""
    bought = sold(office)
    desk = visit(page_of(bought.payment.name, "payments"), office.account(Role.STAFF))
    button = desk.page.get_by_role("button", name="Give money back", exact=True)
    button.evaluate("one => one.dataset.saForm = one.dataset.saForm.replace('request_id', 'nothing')")
    statuses = send_together(desk.page)
    ask_for_five(desk.page)
    assert statuses == [200, 200]
    assert [refund.amount.units for refund in refunds_of(bought.customer, bought.payment.name)] == [5, 5]


def test_of_two_who_take_the_same_ticket_back_one_does(office: BackOffice, visit: Visit) -> None:
    bought = sold(office)
    desks = [visit(page_of(bought.booking.name), office.account(Role.STAFF)) for _ in range(2)]
    seat = bought.booking.seats[0].seat
    statuses = send_together(*(desk.page for desk in desks))
    for desk in desks:
        press(desk.page, "Take tickets back")
        desk.page.get_by_role("checkbox", name=seat).check()
        desk.page.get_by_label("Reason").fill("The view was blocked")
        press(desk.page, "Refund")
    for desk in desks:
        told(desk.page).to_be_visible()
    assert sorted(statuses) == [200, 400]
    told(desks[statuses.index(200)].page).to_contain_text("Taken back: 1.")
    told(desks[statuses.index(400)].page).to_contain_text("TICKET_VOID")
    assert [refund.amount.units for refund in refunds_of(bought.customer, bought.payment.name)] == [25]


@pytest.mark.promise("1.9")
def test_refunds_that_failed_are_tried_anew_or_settled(office: BackOffice, visit: Visit) -> None:
    tried, settled = sold(office), sold(office)
    for bought in (tried, settled):
        refunds_will(office, bought.payment, SimulatedOutcome.DECLINE)
        bought.customer.cancel(bought.booking.name)
        while refunds_of(bought.customer, bought.payment.name)[0].state != Refund.FAILED:
            bought.customer.booking(bought.booking.name)
    names = [refunds_of(bought.customer, bought.payment.name)[0].name for bought in (tried, settled)]
    desk = visit("/failed-work", office.account(Role.STAFF, "Grace"))
    waiting = desk.page.get_by_role("form", name="Refunds that a provider refused")
    expect(waiting.get_by_text(names[0][-8:])).to_be_visible()

    waiting.get_by_role("link", name=names[1][-8:]).click()
    press(desk.page, "Paid back otherwise")
    desk.page.get_by_label("How").select_option("Bank transfer")
    desk.page.get_by_label("What proves it").fill("Transfer 4711")
    desk.page.get_by_label("Reason").fill("The card is closed")
    press(desk.page, "It is settled")
    told(desk.page).to_contain_text("The refund is settled.")
    (refund,) = refunds_of(settled.customer, settled.payment.name)
    assert (refund.state, refund.settlement.reference) == (Refund.SUCCEEDED, "Transfer 4711")

    refunds_will(office, tried.payment, SimulatedOutcome.APPROVE)
    desk.open("/failed-work")
    expect(waiting.get_by_role("row")).to_have_count(2)  # with its heading
    waiting.get_by_label("What is different now").fill("The account is open again")
    waiting.get_by_role("button", name="Try anew").click()
    told(desk.page).to_contain_text("Refunds that are tried anew: 1.")
    while refunds_of(tried.customer, tried.payment.name)[0].state != Refund.SUCCEEDED:
        tried.customer.booking(tried.booking.name)
    desk.open(page_of(tried.booking.name))
    expect(desk.page.get_by_role("list", name="History")).to_contain_text("The account is open again")
