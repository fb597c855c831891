"""People, inquiries, waiting rooms, reports and the record, in the browser of staff."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from rowlock.v1 import auth_pb2, contact_pb2, waiting_room_pb2
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock.v1.contact_pb2_grpc import ContactServiceStub
from rowlock_client import Client, calls
from rowlock_client.rpc import Rpc
from server import clock
from server.states import Role
from tests.console.conftest import BackOffice, Visitor
from tests.console.test_bookings import press

Visit = Callable[..., Visitor]


def submit(somebody: Visitor, name: str) -> None:
    """Press the button of the open dialog."""
    somebody.page.locator(".modal.show").get_by_role("button", name=name, exact=True).click()


def test_an_inquiry_is_read_and_answered_once(office: BackOffice, visit: Visit) -> None:
    asked = contact_pb2.Inquiry(
        sender_name="Ada", sender_email="ada@example.org", subject="Lift?", message="Is there a <lift>?"
    )
    with Client(office.server.address) as anybody:
        rpc: Rpc[contact_pb2.SubmitInquiryResponse] = Rpc(
            ContactServiceStub, "SubmitInquiry", contact_pb2.SubmitInquiryRequest(inquiry=asked)
        )
        name = anybody.call(rpc).name
    staff = office.account(Role.STAFF)
    somebody = visit("/inquiries/list?state=OPEN", staff)
    somebody.page.get_by_role("row").filter(has_text="Lift?").click()
    expect(somebody.page.get_by_text("Is there a <lift>?")).to_be_visible()

    press(somebody.page, "Answer")
    somebody.page.get_by_label("Answer").last.fill("There is, by the stage door.")
    submit(somebody, "Send")
    expect(somebody.page.get_by_text("There is, by the stage door.")).to_be_visible()

    read: Rpc[contact_pb2.Inquiry] = Rpc(ContactServiceStub, "GetInquiry", contact_pb2.GetInquiryRequest(name=name))
    found = office.client(staff).call(read)
    assert (found.state, found.answer) == (contact_pb2.Inquiry.ANSWERED, "There is, by the stage door.")
    expect(somebody.page.get_by_role("button", name="Answer")).to_have_count(0)


def test_an_administrator_appoints_and_others_are_not_offered_to(office: BackOffice, visit: Visit) -> None:
    newcomer = office.account(name="Linus")
    boss = visit(f"/users/list?text={newcomer}", office.account(Role.ADMIN))
    boss.page.get_by_role("row").filter(has_text=newcomer).click()
    press(boss.page, "Change role")
    boss.page.locator(".modal.show").get_by_label("Role").select_option("Staff")
    submit(boss, "Change")
    expect(boss.page.get_by_text("Linus is Staff now.")).to_be_visible()
    assert office.client(newcomer).call(calls.me()).role == auth_pb2.ROLE_STAFF

    boss.open("/staff-actions/list?method=AuthService.SetUserRole")
    row = boss.page.get_by_role("row").filter(has_text=office.client(newcomer).call(calls.me()).name)
    expect(row).to_contain_text("ROLE_STAFF")

    member = visit(f"/users/list?text={newcomer}", newcomer)
    member.page.get_by_role("row").filter(has_text=newcomer).click()
    expect(member.page.get_by_text(newcomer)).to_be_visible()
    expect(member.page.get_by_role("button", name="Change role")).to_have_count(0)
    member.open("/api-keys/list")
    expect(member.page.get_by_text("403")).to_be_visible()


def test_the_secret_of_a_key_is_shown_once_and_works(office: BackOffice, visit: Visit) -> None:
    partner = office.account(name="Partner")
    boss = visit(f"/users/list?text={partner}", office.account(Role.ADMIN))
    boss.page.get_by_role("row").filter(has_text=partner).click()
    press(boss.page, "New API key")
    dialog = boss.page.locator(".modal.show")
    dialog.get_by_label("What it is for").fill("Web shop")
    dialog.get_by_label("Role").select_option("Partner")
    dialog.get_by_label("Until (UTC)").fill("2001-01-01T00:00")
    submit(boss, "Make it")
    expect(boss.page.get_by_role("alert")).to_contain_text("must be in the future")

    press(boss.page, "New API key")
    dialog.get_by_label("What it is for").fill("Web shop")
    dialog.get_by_label("Role").select_option("Partner")
    dialog.get_by_label("Read", exact=True).check()
    submit(boss, "Make it")
    secret = boss.page.locator("#secret").inner_text()

    with Client(office.server.address) as shop:
        granted = shop.call(calls.exchange_api_key(secret))
    assert granted.role == auth_pb2.ROLE_PARTNER
    boss.page.reload()
    boss.open("/api-keys/list")
    row = boss.page.get_by_role("row").filter(has_text="Web shop").first
    expect(row).to_contain_text("Read")
    assert secret not in boss.page.content()

    row.get_by_label("Revoke").click()
    submit(boss, "Revoke")
    expect(boss.page.get_by_text("Web shop is revoked.")).to_be_visible()
    rpc: Rpc[auth_pb2.ListApiKeysResponse] = Rpc(
        AuthServiceStub, "ListApiKeys", auth_pb2.ListApiKeysRequest(parent="users/-")
    )
    keys = office.client(office.account(Role.ADMIN)).call(rpc).api_keys
    assert all(key.HasField("revoke_time") for key in keys if secret.startswith(key.prefix))


def test_a_waiting_room_is_switched_on(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    staff = office.account(Role.STAFF)
    room = f"performances/{house.performance_id}/waitingRoom"
    somebody = visit(f"/waiting-rooms/edit?pk={room}", staff)
    somebody.page.get_by_label("On", exact=True).check()
    somebody.page.get_by_label("Admitted at a time").fill("25")
    somebody.page.get_by_role("button", name="Save", exact=True).click()
    expect(somebody.page.get_by_role("button", name="Save", exact=True)).to_have_count(0)

    client = office.client(staff)
    found = client.call(calls.waiting_room(f"performances/{house.performance_id}"))
    assert (found.enabled, found.admit_count, found.admit_interval.seconds) == (True, 25, 600)

    # To the microsecond, which no form shows.
    opening = waiting_room_pb2.WaitingRoom(name=room)
    opening.open_time.FromDatetime(clock.now() + timedelta(hours=1, microseconds=7))
    before = client.call(calls.update_waiting_room(opening, "open_time"))
    somebody.open(f"/waiting-rooms/edit?pk={room}")
    somebody.page.get_by_label("Admitted at a time").fill("30")
    somebody.page.get_by_role("button", name="Save", exact=True).click()
    expect(somebody.page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    found = client.call(calls.waiting_room(f"performances/{house.performance_id}"))
    assert (found.admit_count, found.open_time) == (30, before.open_time)


def test_who_comes_too_late_with_a_change_is_told(office: BackOffice, visit: Visit) -> None:
    first = visit("/contact/edit?pk=contactInfo", office.account(Role.STAFF))
    second = visit("/contact/edit?pk=contactInfo", office.account(Role.STAFF))
    for somebody, phone in ((first, "+49 30 1"), (second, "+49 30 2")):
        somebody.page.get_by_label("Phone").fill(phone)
        somebody.page.get_by_role("button", name="Save", exact=True).click()
        somebody.page.wait_for_load_state("networkidle")
    expect(second.page.get_by_role("alert").first).to_contain_text("Somebody else changed this")
    first.open("/contact/list")
    expect(first.page.get_by_role("table")).to_contain_text("+49 30 1")


@pytest.mark.promise("0.2")
def test_what_was_sold_is_told_as_figures_and_as_a_file(office: BackOffice, visit: Visit) -> None:
    house = office.house()
    performance = f"performances/{house.performance_id}"
    customer = office.client(office.account())
    booking = customer.call(calls.hold(performance, best=2))
    payment = customer.call(calls.pay(booking.name))
    customer.call(calls.simulate(payment.name))
    customer.wait_for_payment(payment.name, timeout=60)

    somebody = visit(f"/reports?performance={performance}", office.account(Role.STAFF))
    row = somebody.page.locator("#sales tbody tr")
    expect(row).to_contain_text("50.00 EUR")
    expect(somebody.page.locator(".apexcharts-canvas")).to_have_count(1)
    with somebody.page.expect_download() as download:
        somebody.page.get_by_role("link", name="CSV").click()
    (told,) = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert (told["sold"], told["revenue"]) == ("2", "50.00")

    somebody.open("/")
    expect(somebody.page.locator("#performances")).to_contain_text("A Play")
