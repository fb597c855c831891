"""The kiosk when things go wrong: servers that restart, people who walk away."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from server import clock
from server.states import PerformanceState
from tests.kiosk.conftest import Kiosk, Visitor

AVAILABLE, HELD = 1, 2
Visit = Callable[..., Visitor]


@pytest.mark.fault
def test_screens_heal_when_the_server_restarts_under_them(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna, ben = visitor(house, kiosk.customer()), visitor(house, kiosk.customer())
    anna.press(1)
    anna.wait_ours(1, "mine")

    kiosk.server.stop()
    for one in (anna, ben):
        expect(one.page.locator(".badge")).to_have_text("Reconnecting …")
    kiosk.server.start()

    for one in (anna, ben):
        one.wait_live()
    assert anna.ours(1) == "mine"
    ben.press(2)
    ben.wait_ours(2, "mine")
    anna.wait_state(2, HELD)
    assert anna.states() == ben.states()


@pytest.mark.fault
def test_a_choice_made_while_the_server_is_away_is_made_when_it_is_back(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())
    kiosk.server.stop()
    anna.press(30)
    assert anna.ours(30) == "adding"

    kiosk.server.start()

    anna.page.wait_for_function("() => !kiosk.screen.cart.busy")
    anna.wait_live()
    # It was repeated until it was answered; or it was given up, and said so. Either way the screen tells the truth.
    shown = anna.ours(30)
    anna.wait_state(30, HELD if shown == "mine" else AVAILABLE)
    assert shown in {"mine", ""}


def test_who_walks_away_is_signed_out_and_their_seats_are_free(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna, ben = visitor(house, kiosk.customer(), clock=True), visitor(house, kiosk.customer())
    anna.press(40)
    anna.wait_ours(40, "mine")
    ben.wait_state(40, HELD)

    warning = anna.page.get_by_role("dialog", name="Are you still there?")
    anna.page.clock.fast_forward("01:45")
    expect(warning).to_be_visible()
    warning.get_by_role("button", name="I am still here").click()
    expect(warning).to_be_hidden()
    assert anna.ours(40) == "mine"

    anna.page.clock.fast_forward("02:05")
    expect(anna.page.get_by_role("heading", name="What is on")).to_be_visible()
    expect(anna.page.locator(".bar").get_by_role("button", name="Sign in")).to_be_visible()
    assert anna.page.evaluate("() => sessionStorage.getItem('rowlock.refresh')") is None
    ben.wait_state(40, AVAILABLE)


def test_a_gap_in_the_feed_is_never_shown_as_if_it_were_none(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())

    told = anna.page.evaluate(
        """() => {
            const { feed } = kiosk.screen;
            const before = feed.revision;
            const change = (revision, first) => ({
                revision: String(revision),
                changes: { firstRevision: String(first), changes: [{ index: 3, state: "SEAT_STATE_SOLD" }] },
            });
            const wrong = [change(before + 2, 0), change(before + 5, before + 2), change(before, 0)];
            const refused = wrong.map((message) => {
                feed.revision = before;
                try { feed.take(message); } catch { return feed.revision; }
            });
            feed.revision = before;
            feed.take(change(before + 3, before + 1));
            return { refused, after: feed.revision - before, state: feed.states[3] };
        }"""
    )

    assert told == {"refused": [0, 0, 0], "after": 3, "state": 3}


def test_a_hold_that_runs_out_is_said_to_be_over_and_its_seats_are_free(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer(), clock=True)
    anna.page.evaluate("() => sessionStorage.setItem('rowlock.idle', '0')")
    anna.press(22)
    anna.wait_ours(22, "mine")
    kiosk.let_time_pass(house)
    anna.page.clock.fast_forward("20:00")

    expect(anna.toast).to_contain_text("Your time is up")

    assert anna.ours(22) == ""
    expect(anna.basket.get_by_role("listitem")).to_have_count(0)


def test_a_clock_that_is_wrong_takes_no_seat_away(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer(), clock=True)
    anna.page.evaluate("() => sessionStorage.setItem('rowlock.idle', '0')")
    anna.press(22)
    anna.wait_ours(22, "mine")

    with anna.page.expect_response("**/bookings/*"):
        anna.page.clock.fast_forward("20:00")

    expect(anna.basket.locator(".clock")).to_have_text(re.compile(r"Held for you for 1[45]:\d\d"))
    assert anna.ours(22) == "mine"


def test_it_is_said_why_nothing_can_be_chosen(kiosk: Kiosk, visitor: Visit) -> None:
    now = clock.now()
    day = timedelta(days=1)

    over = visitor(kiosk.house(sale_end_time=now - timedelta(hours=1)))
    early = visitor(kiosk.house(sale_start_time=now + day))
    cancelled = visitor(kiosk.house(state=PerformanceState.CANCELLED))
    on_sale = visitor(kiosk.house())

    expect(over.page.locator(".notice")).to_have_text("The sale is over.")
    expect(early.page.locator(".notice")).to_contain_text("The sale has not begun yet. It begins on ")
    expect(cancelled.page.locator(".notice")).to_have_text("The performance was cancelled.")
    expect(on_sale.page.locator(".side")).to_be_visible()
    expect(on_sale.page.locator(".notice")).to_have_count(0)
