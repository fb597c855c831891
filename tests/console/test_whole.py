"""The console as a whole: who gets in, what its answers carry, when the server is away, and for whom it is usable."""

import re
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest
from playwright.sync_api import expect

from server.states import Role
from tests.axe import serious
from tests.console.conftest import PASSWORD, BackOffice, Visitor

Visit = Callable[..., Visitor]

# What reaches beyond the right edge, and is in nothing that scrolls by itself.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".table-responsive *"))
    .map((one) => one.outerHTML.slice(0, 100))"""
PAGES = [
    "/",
    "/reports",
    "/events/list",
    "/events/create",
    "/performances/list",
    "/performances/create",
    "/ticket-types/list",
    "/ticket-types/create",
    "/venues/list",
    "/seat-maps/list",
    "/seat-maps/create",
    "/categories/list",
    "/bookings/list",
    "/check-ins/list",
    "/shifts/list",
    "/shifts/create",
    "/cash-due/list",
    "/payments/list",
    "/refunds/list",
    "/failed-work",
    "/users/list",
    "/api-keys/list",
    "/inquiries/list",
    "/contact/list",
    "/social-links/create",
    "/staff-actions/list",
    "/waiting-rooms/list",
]


def signed_in(office: BackOffice, client: httpx.Client) -> None:
    """Sign a client in as the form does."""
    mark = re.search(r'name="csrftoken" value="([^"]+)"', client.get("/login").text)
    assert mark
    form = {"username": office.account(Role.STAFF), "password": PASSWORD, "csrftoken": mark[1]}
    assert client.post("/login", data=form).status_code == 303


def test_cookies_and_headers_keep_others_out(office: BackOffice) -> None:
    with httpx.Client(base_url=office.url, timeout=60) as client:
        signed_in(office, client)
        answer = client.get("/bookings/list")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    scripts = re.findall(r"<script\b[^>]*>", answer.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    kept = {cookie.name: cookie for cookie in client.cookies.jar}
    assert kept["rowlock_console"].has_nonstandard_attr("HttpOnly") or kept["rowlock_console"].has_nonstandard_attr(
        "httponly"
    )
    assert str(kept["rowlock_console"].get_nonstandard_attr("samesite")).lower() == "lax"


def test_no_script_runs_that_somebody_planted(office: BackOffice, visit: Visit) -> None:
    office.account()
    visitor = office.visit("/users/list", office.account(Role.STAFF))
    # The one script in an attribute that the library's pages use.
    visitor.page.get_by_label("Page size").select_option("50")
    expect(visitor.page).to_have_url(re.compile("page_size=50"))
    assert visitor.faults == []
    visitor.page.evaluate("""() => {
        const element = document.createElement("script");
        element.textContent = "window.planted = 1";
        document.body.append(element);
        document.body.setAttribute("onclick", "window.planted = 2");
        document.body.click();
    }""")
    assert visitor.page.evaluate("() => window.planted ?? 0") == 0


def test_a_form_of_another_site_changes_nothing(office: BackOffice) -> None:
    with httpx.Client(base_url=office.url, timeout=60) as client:
        signed_in(office, client)
        form = {"display_name": "Evil", "uri": "https://evil.example"}
        assert client.post("/social-links/create", data=form).status_code == 403
        assert client.post("/social-links/create", data={**form, "csrftoken": "made up"}).status_code == 403
        assert "evil.example" not in client.get("/social-links/list").text
        # Nor where it has a mark of ours, planted together with its cookie.
        marked = {**form, "csrftoken": client.cookies["starlette_admin_csrftoken"]}
        for site in ("cross-site", "same-site"):
            assert client.post("/social-links/create", data=marked, headers={"sec-fetch-site": site}).status_code == 403
        assert "evil.example" not in client.get("/social-links/list").text
        own = {"sec-fetch-site": "same-origin"}
        assert client.post("/social-links/create", data=marked, headers=own).status_code == 303


def test_nobody_fills_its_memory(office: BackOffice) -> None:
    address = httpx.URL(office.url)
    for header, value, status in [("content-length", str(2**40), 413), ("transfer-encoding", "chunked", 411)]:
        with closing(HTTPConnection(address.host, address.port or 80)) as connection:
            connection.putrequest("POST", "/login")
            connection.putheader(header, value)
            connection.endheaders()
            # Before anything of it is sent.
            assert connection.getresponse().status == status


def test_who_has_to_sign_in_again_comes_back_to_the_page(office: BackOffice, visit: Visit) -> None:
    email = office.account(Role.STAFF)
    somebody = visit("/", email)
    office.client(email).log_out_everywhere()
    somebody.open("/inquiries/list")
    somebody.sign_in(email)
    expect(somebody.page).to_have_url(f"{office.url}/inquiries/list")


def test_a_server_that_is_away_is_told_and_comes_back(office: BackOffice, visit: Visit) -> None:
    somebody = visit("/bookings/list", office.account(Role.STAFF))
    office.server.stop()
    try:
        somebody.open("/bookings/list")
        expect(somebody.page.get_by_text("503")).to_be_visible()
        somebody.open("/")
        expect(somebody.page.get_by_role("heading", name="Now and next")).to_be_visible()
        assert httpx.get(f"{office.url}/healthz", timeout=60).text == "ok\n"
    finally:
        office.server.start()
    somebody.open("/bookings/list")
    expect(somebody.page.get_by_role("table")).to_be_visible()


def test_what_is_not_there_is_told(office: BackOffice, visit: Visit) -> None:
    somebody = visit("/bookings/detail?pk=performances/999/bookings/0", office.account(Role.STAFF))
    expect(somebody.page.get_by_text(re.compile("40[04]"))).to_be_visible()
    somebody.open("/bookings/list?state=NONSENSE")
    expect(somebody.page.get_by_text("400")).to_be_visible()
    somebody.open("/nothing/list")
    expect(somebody.page.get_by_text("404")).to_be_visible()


@pytest.mark.promise("0.2")
def test_nothing_serious_is_in_the_way_of_anybody(office: BackOffice, visit: Visit) -> None:
    office.house()
    boss = visit("/login")
    found = {"/login": serious(boss.page)}
    boss.sign_in(office.account(Role.ADMIN))
    for path in PAGES:
        boss.open(path)
        boss.page.wait_for_load_state("networkidle")
        found[path] = serious(boss.page)
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_pages_fit_on_a_telephone(office: BackOffice, visit: Visit) -> None:
    boss = visit("/", office.account(Role.ADMIN), viewport={"width": 390, "height": 800})
    for path in PAGES:
        boss.open(path)
        assert boss.page.evaluate(TOO_WIDE) == [], path
