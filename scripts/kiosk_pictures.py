"""Take the pictures of docs/kiosk.md, and measure how smoothly the kiosk moves a hall of 20,000.

python scripts/kiosk_pictures.py http://127.0.0.1:8080      with a fresh `rowlock up` behind it

The last line is `RESULT {…}`: times between frames, and times spent on drawing one, in milliseconds, while a script
pans and zooms through the largest hall for some seconds and its seats change.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs/images"
PASSWORD = "correct horse battery"  # noqa: S105 - of an account that is made here

PAN = """async (seconds) => {
    const { map, feed } = kiosk.screen;
    const { plan } = map.scene;
    const between = [], spent = [];
    let last = 0;
    const begin = performance.now();
    map.camera.fit();
    const changes = setInterval(() => {
        const some = Array.from({ length: 20 }, () => Math.floor(Math.random() * plan.count));
        for (const index of some) feed.states[index] = 1 + Math.floor(Math.random() * 3);
        map.changed(some);
    }, 100);
    const ask = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (act) => ask((now) => {
        const from = performance.now();
        act(now);
        spent.push(performance.now() - from);
    });
    await new Promise((resolve) => {
        const step = (now) => {
            if (last) between.push(now - last);
            last = now;
            const t = (now - begin) / 1000;
            if (t > seconds) return resolve();
            map.camera.zoom(1 + 0.012 * Math.sin(t * 1.1), 500, 400);
            map.camera.pan(9 * Math.cos(t * 0.9), 7 * Math.sin(t * 1.3));
            map.redraw();
            ask(step);
        };
        ask(step);
    });
    clearInterval(changes);
    const part = (list, share) => [...list].sort((a, b) => a - b)[Math.floor(list.length * share)];
    const of = (list) => ({ median: part(list, 0.5), p95: part(list, 0.95), p99: part(list, 0.99) });
    return { places: plan.count, frames: between.length, between: of(between), drawing: of(spent) };
}"""


def main(url: str) -> None:
    """Take all pictures; then measure."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with httpx.Client(base_url=url, timeout=30) as http, sync_playwright() as playwright:
        email = f"{uuid4().hex}@example.org"
        account = {"displayName": "Ada", "email": email, "password": PASSWORD}
        http.post("/v1/auth:signUp", json=account).raise_for_status()
        listed = http.get("/v1/performances", params={"pageSize": 100}).raise_for_status().json()["performances"]
        by_size = sorted(listed, key=lambda one: int(one["counts"]["total"]))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        theatre = next(one for one in by_size if int(one["counts"]["total"]) > 500)
        picture_of_theatre(browser, url, email, theatre)
        picture_of_phone(browser, url, email, theatre)
        figures = picture_of_arena(browser, url, email, by_size[-1])
        browser.close()
    print("RESULT", json.dumps(figures))


def opened(browser: Browser, url: str, email: str, performance: Any, **options: Any) -> Page:
    """A page with a hall on it, signed in and live."""
    window = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}, **options)
    page = window.new_page()
    page.goto(f"{url}/kiosk/?performance={performance['name']}&idle=0")
    page.locator(".bar").get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.locator('.badge[data-state="live"]').wait_for(timeout=60_000)
    return page


def still(page: Page, name: str) -> None:
    """Wait until everything is drawn and said, then take the picture."""
    page.wait_for_function("() => !document.querySelector('.toast')", timeout=30_000)
    page.wait_for_timeout(500)
    path = IMAGES / f"kiosk-{name}.png"
    page.screenshot(path=path)
    # Few colours: a third of the size, and nobody sees it.
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(96).save(path, optimize=True)


def picture_of_theatre(browser: Browser, url: str, email: str, performance: Any) -> None:
    """Three seats side by side, and then their tickets."""
    page = opened(browser, url, email, performance)
    page.locator('[name="best-quantity"]').select_option("3")
    page.get_by_role("button", name="Choose").click()
    page.wait_for_function("() => kiosk.screen.cart.held")
    page.evaluate("kiosk.screen.map.show(kiosk.screen.hall.plan.sections[0].box)")
    still(page, "theatre")
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("button", name="Test payment").click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog", name="Your tickets").wait_for()
    still(page, "tickets")
    page.context.close()


def picture_of_phone(browser: Browser, url: str, email: str, performance: Any) -> None:
    """The same hall on a telephone."""
    window = browser.new_context(
        locale="de-DE", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    page = window.new_page()
    page.goto(f"{url}/kiosk/?performance={performance['name']}&idle=0")
    page.locator(".bar").get_by_role("button", name="Anmelden").click()
    page.get_by_label("E-Mail-Adresse").fill(email)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("dialog").get_by_role("button", name="Anmelden").click()
    page.locator('.badge[data-state="live"]').wait_for(timeout=60_000)
    page.evaluate("kiosk.screen.map.zoomBy(2.2)")
    still(page, "phone")
    window.close()


def picture_of_arena(browser: Browser, url: str, email: str, performance: Any) -> Any:
    """The largest hall, and how smoothly it moves."""
    page = opened(browser, url, email, performance)
    still(page, "arena")
    figures = page.evaluate(PAN, 8)
    page.context.close()
    return figures


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
