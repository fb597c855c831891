"""What customers do before the kiosk: choose, pay, and take their tickets; and what they see of each other."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.kiosk.conftest import Kiosk, Visitor
from tests.lining import LineDesk

AVAILABLE, HELD, SOLD = 1, 2, 3
Visit = Callable[..., Visitor]


@pytest.mark.promise("1.4")
def test_a_seat_taken_on_one_screen_is_seen_on_the_other(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna, ben = visitor(house, kiosk.customer()), visitor(house, kiosk.customer())
    assert anna.states() == ben.states() == [AVAILABLE] * 70

    anna.press(12)

    anna.wait_ours(12, "mine")
    ben.wait_state(12, HELD)
    ben.press(12)
    expect(ben.toast).to_contain_text("Row B, seat 3: held by somebody")
    assert ben.ours(12) == ""

    anna.press(12)
    ben.wait_state(12, AVAILABLE)


def test_from_a_seat_on_the_plan_to_a_ticket_with_its_code(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())
    page = anna.page

    anna.press(3)
    anna.press(4)
    expect(anna.basket.get_by_text("Total: €50.00")).to_be_visible()
    expect(anna.basket.get_by_text(re.compile(r"Held for you for 1[45]:\d\d"))).to_be_visible()
    anna.basket.get_by_role("button", name="Pay").click()
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


def test_who_was_slower_is_told_so_and_keeps_the_other_seats(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna, ben = visitor(house, kiosk.customer()), visitor(house, kiosk.customer())
    ben.press(20)
    ben.wait_ours(20, "mine")
    # Ben's screen hears nothing any more, so it still shows the seat as free.
    ben.page.evaluate("() => kiosk.screen.feed.stop()")
    anna.press(21)
    anna.wait_ours(21, "mine")

    ben.press(21)

    expect(ben.toast).to_contain_text("Somebody was faster: Stalls, Row C, seat 2")
    ben.wait_ours(21, "")
    assert ben.ours(20) == "mine"
    expect(ben.basket.get_by_role("listitem")).to_have_count(1)


def test_more_than_one_may_have_is_refused_and_explained(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house(customer_limit=2)
    anna = visitor(house, kiosk.customer())

    for index in (0, 1, 2):
        anna.press(index)
        anna.page.wait_for_function("() => !kiosk.screen.cart.busy")

    expect(anna.toast).to_contain_text("more places than one person may have for this performance (2)")
    assert [anna.ours(index) for index in (0, 1, 2)] == ["mine", "mine", ""]


def test_the_best_seats_and_standing_places_without_pointing(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house(customer_limit=8)
    anna = visitor(house, kiosk.customer())
    best = anna.page.get_by_role("region", name="Choose the best seats for me")
    standing = anna.page.get_by_role("region", name="Standing places")

    best.get_by_label("How many").select_option("2")
    best.get_by_role("button", name="Choose").click()
    expect(anna.basket.get_by_role("listitem")).to_have_count(2)
    # More of them, added to the booking that exists.
    best.get_by_role("button", name="Choose").click()
    expect(anna.basket.get_by_role("listitem")).to_have_count(4)
    standing.get_by_role("combobox").select_option("3")
    standing.get_by_role("button", name="Take").click()

    expect(anna.basket.get_by_role("listitem")).to_have_count(7)
    expect(anna.basket.get_by_text("Standing: Floor")).to_have_count(3)
    expect(anna.basket.get_by_text("Total: €136.00")).to_be_visible()
    expect(standing.get_by_text("17 of 20 free")).to_be_visible()
    # Two more are one too many: what was had is had still.
    standing.get_by_role("combobox").select_option("2")
    standing.get_by_role("button", name="Take").click()
    expect(anna.toast).to_contain_text("more places than one person may have for this performance (8)")
    expect(anna.basket.get_by_role("listitem")).to_have_count(7)
    anna.basket.get_by_role("button", name="Give back: Standing: Floor").first.click()
    expect(anna.basket.get_by_role("listitem")).to_have_count(6)


def test_the_kind_of_ticket_decides_the_price(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())

    anna.page.locator('[name="ticket-type"]').select_option(label="Student · €15.00")
    anna.press(7)

    expect(anna.basket.get_by_text("Total: €15.00")).to_be_visible()
    expect(anna.basket.get_by_text("Student")).to_be_visible()


@pytest.mark.mistake("JWT in a URL")
def test_a_reload_finds_who_was_there_and_what_was_held_and_no_address_has_a_token(
    kiosk: Kiosk, visitor: Visit
) -> None:
    house = kiosk.house()
    anna = visitor(house)
    addresses: list[str] = []
    anna.page.on("request", lambda request: addresses.append(request.url))
    anna.sign_in(kiosk.customer())
    anna.press(9)
    anna.wait_ours(9, "mine")
    tokens = [anna.page.evaluate("() => sessionStorage.getItem('rowlock.refresh')")]

    anna.page.reload()

    anna.wait_live()
    anna.wait_ours(9, "mine")
    tokens += anna.page.evaluate("async () => [await kiosk.session.token(), sessionStorage.getItem('rowlock.refresh')]")
    assert len(set(tokens)) == 3
    assert not [one for one in [*addresses, anna.page.url] if any(token in one for token in tokens)]


def test_a_hold_can_be_given_back_and_lasts_longer_if_asked(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())
    anna.press(9)
    anna.wait_ours(9, "mine")

    anna.basket.get_by_role("button", name="Hold longer").click()
    expect(anna.toast).to_contain_text("The seats are held longer")
    anna.basket.get_by_role("button", name="Give all back").click()

    expect(anna.toast).to_contain_text("All seats were given back")
    anna.wait_state(9, AVAILABLE)


def test_the_waiting_room_lets_in_who_waited(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    line = LineDesk(kiosk.database)
    line.change(house, enabled=True)
    anna = visitor(house, kiosk.customer())
    room = anna.page.get_by_role("region", name="Waiting room")
    anna.press(5)
    expect(anna.toast).to_contain_text("Please join the line first")
    assert anna.ours(5) == ""

    room.get_by_role("button", name="Join the line").click()
    expect(room.get_by_text(re.compile("You are number 1 in line|It is your turn"))).to_be_visible()
    while line.step() is not None:
        pass

    expect(room.get_by_text("It is your turn")).to_be_visible()
    anna.press(5)
    anna.wait_ours(5, "mine")
