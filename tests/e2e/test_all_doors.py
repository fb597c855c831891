"""One hall by every door at once: a customer at the kiosk, a terminal that watches, staff at the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from rowlock_client import Client
from rowlock_client.token_file import TokenFile
from server.config import Settings
from server.db.engine import Database
from server.states import Role
from tests.chromium import chromium
from tests.console.conftest import PASSWORD, BackOffice, console_before
from tests.gates import Terminal
from tests.kiosk.conftest import Kiosk, running_kiosk


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def kiosk(settings: Settings, database: Database, browser: Browser) -> Iterator[Kiosk]:
    with running_kiosk(settings, database, browser) as running:
        yield running
        running.close_windows()


def test_what_is_booked_at_one_door_is_seen_at_all_others(kiosk: Kiosk, tmp_path: Path) -> None:
    house, address = kiosk.house(), kiosk.server.address
    tokens = tmp_path / "tokens.json"
    watcher = kiosk.customer()
    with Client(address, store=TokenFile(tokens, address)) as client:
        client.log_in(watcher, PASSWORD)
    environment = {"ROWLOCK_TOKEN_FILE": str(tokens), "ROWLOCK_SERVER": address}
    terminal = Terminal("watch", f"performances/{house.performance_id}", environment=environment)
    try:
        terminal.wait_for(r"70 free")
        anna = kiosk.visit(house, kiosk.customer())
        anna.press(12)
        anna.wait_ours(12, "mine")
        terminal.wait_for(r"69 free +◐ 1 held")

        anna.basket.get_by_role("button", name="Pay").click()
        dialog = anna.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Test payment").click()
        dialog.get_by_role("button", name="Approve").click()
        expect(anna.page.get_by_role("dialog", name="Your tickets").get_by_role("listitem")).to_have_count(1)
        terminal.wait_for(r"1 sold")
    finally:
        terminal.close()

    with console_before(address) as url:
        office = BackOffice(kiosk.server, url, kiosk.database, kiosk.browser)
        desk = office.visit(f"/bookings/list?performance={house.performance_id}", office.account(Role.STAFF))
        row = desk.page.get_by_role("row").filter(has_text="Confirmed")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("25.00 EUR")
        row.click()
        expect(desk.page.get_by_role("list", name="History")).to_contain_text("Confirmed")
        office.close()
        assert desk.faults == []
