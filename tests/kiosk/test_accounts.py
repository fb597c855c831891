"""Who uses the kiosk: a newcomer, somebody with an account, or the device itself."""

from collections.abc import Callable
from uuid import UUID, uuid4

from playwright.sync_api import expect

from server.domain import api_keys
from server.states import Role
from tests.kiosk.conftest import PASSWORD, Kiosk, Visitor

Visit = Callable[..., Visitor]


def test_a_newcomer_finds_a_performance_and_opens_an_account(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    ada = visitor()
    page = ada.page
    page.get_by_role("button", name="A Play").last.click()
    expect(page.get_by_text("Sign in to see which seats are free")).to_be_visible()
    ada.house = house

    page.locator(".hint").get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="I have no account yet").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill(f"{uuid4().hex}@example.org")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Open an account").click()
    expect(page.get_by_role("alert")).to_contain_text("too common")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Open an account").click()

    ada.wait_live()
    page.get_by_role("button", name="All performances").click()
    expect(page.get_by_role("heading", name="What is on")).to_be_visible()
    page.go_back()
    ada.wait_live()


def test_a_wrong_password_is_said_to_be_wrong(kiosk: Kiosk, visitor: Visit) -> None:
    email = kiosk.customer()
    page = visitor().page

    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("e-mail address or the password is wrong")


def test_a_device_with_a_key_shows_the_hall_to_everybody_and_sells_to_none(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    owner = UUID(_name_of(kiosk, kiosk.customer()).removeprefix("users/"))
    made = kiosk.database.run_transaction(
        lambda session: (
            api_keys.create(
                session,
                owner,
                display_name="Foyer",
                role=Role.KIOSK,
                bounds=api_keys.Bounds(),
                expire_time=None,
            ).secret
        )
    )
    foyer = visitor(house)
    page = foyer.page
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("API key of this device").fill("rk_wrong")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or has expired")
    page.get_by_label("API key of this device").fill(made)
    page.get_by_role("button", name="Save").click()

    foyer.wait_live()
    foyer.press(4)
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    page.keyboard.press("Escape")
    assert foyer.ours(4) == ""
    # Whoever signs in buys with their own account; when they leave, the device still shows the hall.
    foyer.sign_in(kiosk.customer())
    foyer.press(4)
    foyer.wait_ours(4, "mine")
    page.get_by_role("button", name="Sign out").click()
    foyer.wait_state(4, 1)
    foyer.wait_ours(4, "")


def _name_of(kiosk: Kiosk, email: str) -> str:
    visited = kiosk.visit(email=email)
    return str(visited.page.evaluate("() => kiosk.session.user.name"))
