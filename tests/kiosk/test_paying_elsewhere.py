"""Paying at a provider's own page: the customer leaves the kiosk, and comes back."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from server.config import PayPalMode, Settings
from server.db.engine import Database
from tests.fake_paypal import fake_paypal
from tests.kiosk.conftest import Kiosk, Visitor, running_kiosk
from tests.ports import free_port

SOLD = 3


@pytest.fixture(scope="module")
def open_kiosk(settings: Settings, database: Database, browser: Browser) -> Iterator[Kiosk]:
    """A kiosk whose customers may pay with a fake PayPal, which sends them back to it."""
    port = free_port()
    with fake_paypal() as paypal:
        told = {**paypal.settings(), "paypal_mode": PayPalMode.SANDBOX}
        back = f"http://127.0.0.1:{port}/kiosk/"
        with running_kiosk(settings, database, browser, port=port, paypal_return_uri=back, **told) as kiosk:
            yield kiosk


def test_a_customer_approves_at_the_provider_and_comes_back_to_the_tickets(
    kiosk: Kiosk, visitor: Callable[..., Visitor]
) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer())
    page = anna.page
    anna.press(6)
    anna.wait_ours(6, "mine")

    anna.basket.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="PayPal").click()
    expect(page.get_by_text("This is not PayPal")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    # Thought better of it, and then of that.
    expect(page.get_by_text("How would you like to pay?")).to_be_visible()
    assert anna.ours(6) == "mine"
    page.get_by_role("button", name="PayPal").click()
    expect(page.get_by_text("This is not PayPal")).to_be_visible()
    page.get_by_role("button", name="Pay", exact=True).click()

    expect(page.get_by_role("dialog", name="Your tickets").get_by_role("listitem")).to_have_count(1)
    anna.wait_live()
    anna.wait_state(6, SOLD)
    assert page.url == f"{kiosk.url}?performance=performances/{house.performance_id}"
