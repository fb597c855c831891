"""What customers do before the kiosk: choose, pay, and take their tickets; and what they see of each other."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.kiosk.conftest import Kiosk, Visitor

AVAILABLE, HELD, SOLD = 1, 2, 3
Visit = Callable[..., Visitor]


def test_a_seat_taken_on_one_screen_is_seen_on_the_other(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna, ben = visitor(house, kiosk.customer()), visitor(house, kiosk.customer())
    assert anna.states() == ben.states() == [AVAILABLE] * 70

    anna.press(12)

    anna.wait_ours(12, "mine")
    ben.wait_state(12, HELD)
    ben.press(12)
    expect(ben.page.locator(".toast")).to_contain_text("Row B, seat 3: held by somebody")
    assert ben.ours(12) == ""

    anna.press(12)
    ben.wait_state(12, AVAILABLE)


def test_from_a_seat_on_the_plan_to_a_ticket_with_its_code(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())
    page = anna.page
    basket = page.get_by_role("region", name="Your seats")

    anna.press(3)
    anna.press(4)
    expect(basket.get_by_text("Total: €50.00")).to_be_visible()
    expect(basket.get_by_text(re.compile(r"Held for you for 1[45]:\d\d"))).to_be_visible()
    basket.get_by_role("button", name="Pay").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Test payment").click()
    dialog.get_by_role("button", name="Decline it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Your seats are still held")
    dialog.get_by_role("button", name="Test payment").click()
    dialog.get_by_role("button", name="Approve").click()

    tickets = page.get_by_role("dialog", name="Your tickets")
    expect(tickets.get_by_role("listitem")).to_have_count(2)
    expect(tickets.get_by_role("img")).to_have_count(2)
    anna.wait_state(3, SOLD)
    with page.expect_download() as download:
        tickets.get_by_role("button", name="As a PDF").first.click()
    assert download.value.path().read_bytes().startswith(b"%PDF")

    tickets.get_by_role("button", name="Return these tickets").click()
    page.get_by_role("button", name="Yes").click()
    anna.wait_state(3, AVAILABLE)
