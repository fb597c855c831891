"""Who uses the kiosk without a mouse, without seeing it, in another language, or with a thumb on a telephone."""

import copy
from collections.abc import Callable

import pytest
import segno
from playwright.sync_api import Page, expect

from tests.axe import serious
from tests.kiosk.conftest import Kiosk, Visitor
from tests.staging import hall_document

Visit = Callable[..., Visitor]
TOUCH_PX = 44


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press a key until what has the focus is called so."""
    passed = []
    for _ in range(80):
        page.keyboard.press(key)
        focused = page.evaluate(
            "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
        )
        if focused.startswith(name):
            return
        passed.append(focused)
    pytest.fail(f"{key} does not lead to {name!r}, but to {passed}")


def test_a_seat_is_chosen_and_paid_for_by_keyboard_alone(kiosk: Kiosk, visitor: Visit) -> None:
    drawing = hall_document()
    circle = copy.deepcopy(drawing["sections"][0]) | {"name": "Circle"}
    for seat in (seat for row in circle["rows"] for seat in row["seats"]):
        seat["y"] += 600
    drawing["sections"].append(circle)
    anna = visitor(kiosk.house(drawing), kiosk.customer())
    page = anna.page
    page.evaluate("() => document.activeElement.blur()")

    tab_to(page, "Go to the list of seats")
    page.keyboard.press("Enter")
    tab_to(page, "Stalls")
    page.keyboard.press("Enter")
    tab_to(page, "Row B")
    page.keyboard.press("Enter")
    tab_to(page, "Stalls, Row B, seat 2, €25.00, free")
    page.keyboard.press("Enter")
    anna.wait_ours(11, "mine")
    expect(page.locator("#announcer")).to_contain_text("Stalls, Row B, seat 2 is held for you")
    expect(page.get_by_role("button", name="Stalls, Row B, seat 2, €25.00, yours")).to_have_attribute(
        "aria-pressed", "true"
    )
    tab_to(page, "Pay", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Payment")).to_be_visible()
    tab_to(page, "Test payment")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Approve the test payment")).to_be_visible()
    tab_to(page, "Approve the test payment")
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog", name="Your tickets")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_plan_moves_by_keys(kiosk: Kiosk, visitor: Visit) -> None:
    anna = visitor(kiosk.house(), kiosk.customer(), reduced_motion="reduce")
    scale = "() => kiosk.screen.map.camera.scale"
    whole = anna.page.evaluate(scale)

    anna.page.locator("canvas.map").focus()
    anna.page.keyboard.press("+")
    assert anna.page.evaluate(scale) == pytest.approx(whole * 1.5)
    before = anna.page.evaluate("() => kiosk.screen.map.camera.x")
    anna.page.keyboard.press("ArrowRight")
    assert anna.page.evaluate("() => kiosk.screen.map.camera.x") > before
    anna.page.keyboard.press("0")
    assert anna.page.evaluate(scale) == pytest.approx(whole)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(kiosk: Kiosk, visitor: Visit, scheme: str) -> None:
    house = kiosk.house()
    anna = visitor(house, kiosk.customer(), color_scheme=scheme, reduced_motion="reduce")
    page = anna.page
    page.get_by_text("Row A").click()
    anna.press(2)
    anna.wait_ours(2, "mine")
    assert serious(page) == []

    anna.basket.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Test payment").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("dialog", name="Your tickets")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    assert serious(page) == []
    page.get_by_label("High contrast").check()
    page.get_by_role("button", name="Save").click()
    assert serious(page) == []
    page.get_by_role("button", name="All performances").click()
    expect(page.get_by_role("button", name="A Play").first).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    assert serious(page) == []


def test_on_a_telephone_everything_is_wide_enough_for_a_thumb(kiosk: Kiosk, visitor: Visit) -> None:
    house = kiosk.house()
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    anna = visitor(house, kiosk.customer(), **phone)
    page = anna.page

    # Far away, a touch brings the seats nearer; near by, it takes one.
    page.evaluate("() => kiosk.screen.map.camera.fit()")
    anna.press(17)
    anna.wait_ours(17, "mine")

    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, select, summary, input:not([type=checkbox])")]
            .filter((one) => one.checkVisibility())
            .map((one) => [one.textContent, one.getBoundingClientRect()])
            .filter(([, box]) => box.height && (box.height < least - 0.5 || box.width < least - 0.5))
            .map(([text, box]) => `${text}: ${box.width} x ${box.height}`)""",
        TOUCH_PX,
    )
    assert small == []


def test_a_screen_that_stands_upright_gives_the_hall_its_width_and_long_names_stay_within_theirs(
    kiosk: Kiosk, visitor: Visit
) -> None:
    long = "A ticket for those who have come here every year since the house was opened, and for their neighbours"
    house = kiosk.house(ticket_types=({"display_name": long, "price": 2500}, {"display_name": "Adult", "price": 2600}))
    anna = visitor(house, kiosk.customer(), viewport={"width": 1080, "height": 1920})

    told = anna.page.evaluate(
        """() => {
            const side = document.querySelector(".side");
            return [document.querySelector(".plan").clientWidth, side.scrollWidth - side.clientWidth];
        }"""
    )

    assert told == [1080, 0]


def test_two_fingers_zoom_and_one_moves(kiosk: Kiosk, visitor: Visit) -> None:
    anna = visitor(kiosk.house(), kiosk.customer())
    told = anna.page.evaluate(
        """() => {
            const { map } = kiosk.screen;
            const { canvas, camera } = map;
            const box = canvas.getBoundingClientRect();
            canvas.setPointerCapture = () => undefined;
            const send = (type, pointerId, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
                pointerId, clientX: box.x + x, clientY: box.y + y, pointerType: "touch", button: 0, bubbles: true,
            }));
            const before = camera.scale;
            send("pointerdown", 1, 300, 300);
            send("pointerdown", 2, 400, 300);
            for (let x = 400; x <= 500; x += 10) send("pointermove", 2, x, 300);
            send("pointerup", 2, 500, 300);
            const zoomed = camera.scale / before;
            const x = camera.x;
            send("pointermove", 1, 250, 300);
            const moved = (camera.x - x) * camera.scale;
            send("pointerup", 1, 250, 300);
            return { zoomed, moved, chosen: kiosk.screen.cart.shown };
        }"""
    )
    assert 1.7 < told["zoomed"] <= 2
    assert told["moved"] == pytest.approx(50)
    assert told["chosen"] == []


def test_three_languages_with_the_same_texts(kiosk: Kiosk, visitor: Visit) -> None:
    anna = visitor(kiosk.house(), kiosk.customer())
    page = anna.page
    missing = page.evaluate(
        """async () => {
            const paths = (value, before = "") => Object.entries(value).flatMap(([key, one]) =>
                typeof one === "object" ? paths(one, `${before}${key}.`) : [before + key]).sort().join();
            const [en, ...others] = await Promise.all(
                ["en", "de", "fr"].map(async (tag) => paths((await import(`/kiosk/text/${tag}.js`)).default)));
            return others.filter((one) => one !== en);
        }"""
    )
    assert missing == []

    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("heading", name="Ihre Plätze")).to_be_visible()
    assert page.evaluate("() => document.documentElement.lang") == "de"
    anna.press(8)
    expect(page.locator("#announcer")).to_contain_text("Stalls, Reihe A, Platz 9 ist für Sie reserviert")
    page.get_by_label("Sprache").select_option("fr")
    expect(page.get_by_text("Total: 25,00 €")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Vos places")).to_be_visible()


def test_codes_are_the_symbols_that_others_draw(kiosk: Kiosk, visitor: Visit) -> None:
    page = visitor(kiosk.house()).page
    # As ticket codes are, and texts that fill a symbol to the last byte.
    texts = [("AGQWKWBOQFLQ23" * 70)[:length] for length in (20, 90, 220, 311, 909)]
    texts += [("rowlock-" * 100)[:length] for length in (14, 84, 180, 666)]
    for text in texts:
        for mask in range(8):
            drawn = page.evaluate(
                """async ([text, mask]) => (await import("/kiosk/qr/symbol.js")).qrCode(text, mask)
                    .map((row) => row.map(Number))""",
                [text, mask],
            )
            wanted = segno.make(text, error="m", micro=False, boost_error=False, mask=mask).matrix
            assert drawn == [list(map(int, row)) for row in wanted], (text, mask)
