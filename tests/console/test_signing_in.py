"""Who comes into the console, and how one leaves it."""

from collections.abc import Callable

from playwright.sync_api import expect

from server.states import Role
from tests.console.conftest import BackOffice, Visitor

Visit = Callable[..., Visitor]


def test_staff_come_in_with_their_account_and_leave(office: BackOffice, visit: Visit) -> None:
    somebody = visit("/bookings/list", office.account(Role.STAFF, "Grace"))
    expect(somebody.page).to_have_url(f"{office.url}/bookings/list")
    somebody.page.get_by_label("Open user menu").last.click()
    somebody.page.get_by_role("button", name="Logout").last.click()
    somebody.open("/bookings/list")
    expect(somebody.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_customer_stays_outside(office: BackOffice, visit: Visit) -> None:
    somebody = visit("/")
    somebody.page.get_by_label("E-mail address").fill(office.account())
    somebody.page.get_by_label("Password", exact=True).fill("correct horse battery")
    somebody.page.get_by_role("button", name="Sign in").click()
    expect(somebody.page.get_by_role("alert")).to_contain_text("not one of staff")
    somebody.open("/bookings/list")
    expect(somebody.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_wrong_password_is_told_as_little_of_as_by_the_api(office: BackOffice, visit: Visit) -> None:
    for email in (office.account(Role.STAFF), "nobody@example.org"):
        somebody = visit("/")
        somebody.page.get_by_label("E-mail address").fill(email)
        somebody.page.get_by_label("Password", exact=True).fill("wrong horse battery")
        somebody.page.get_by_role("button", name="Sign in").click()
        expect(somebody.page.get_by_role("alert")).to_contain_text("WRONG_CREDENTIALS")


def test_who_is_logged_out_everywhere_is_out_here_too(office: BackOffice, visit: Visit) -> None:
    email = office.account(Role.STAFF)
    somebody = visit("/", email)
    office.client(email).log_out_everywhere()
    somebody.open("/bookings/list")
    expect(somebody.page.get_by_role("button", name="Sign in")).to_be_visible()
