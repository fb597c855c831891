"""Doors by way of the client library and the terminal: with a connection, and without one for a while."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner, Result

from rowlock.v1.booking_pb2 import Booking, ConfirmBookingRequest
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock.v1.ticket_pb2 import CheckIn, EntryList, EntryListContent, Ticket
from rowlock_client import Client, Rpc
from rowlock_client.doors import NotGenuineError, OfflineDoor, Verdict, code_performance
from rowlock_client.errors import FailedPrecondition
from server import clock
from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from server.domain.signing_keys import shared_keys
from server.services.check_in_messages import ENTRY_LIST_PURPOSE
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.threaded_server import ThreadedServer, threaded_server

PASSWORD = "correct horse battery"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running
    assert_sound(database)


@pytest.fixture(scope="module")
def boss(server: ThreadedServer, database: Database) -> str:
    """The e-mail address of somebody who may do everything."""
    email = "boss@example.org"
    password_hash = PasswordHasher(memory_kib=64, passes=1).hash(PASSWORD)
    database.run_transaction(
        lambda s: accounts.ensure_admin(s, email=email, display_name="Boss", password_hash=password_hash)
    )
    return email


@pytest.fixture
def staff(server: ThreadedServer, boss: str) -> Iterator[Client]:
    with Client(server.address) as client:
        client.log_in(boss, PASSWORD)
        yield client


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1)))


@pytest.fixture
def run(server: ThreadedServer, boss: str, tmp_path: Path) -> Run:
    environment = {"ROWLOCK_SERVER": server.address, "ROWLOCK_TOKEN_FILE": str(tmp_path / "tokens.json")}

    def invoke(*arguments: str, given: str = "") -> Result:
        return CliRunner(env=environment).invoke(build(arguments[0]), list(arguments), input=given)

    assert invoke("log-in", "--email", boss, given=f"{PASSWORD}\n").exit_code == 0
    return invoke


def sold(client: Client, house: Staged, *seats: str) -> list[Ticket]:
    held = client.hold(f"performances/{house.performance_id}", *seats)
    client.call(Rpc(BookingServiceStub, "ConfirmBooking", ConfirmBookingRequest(name=held.name, method=Booking.COMP)))
    return list(client.tickets(held.name).tickets)


def opened(client: Client, house: Staged, device: str = "north-1") -> OfflineDoor:
    door = OfflineDoor(f"performances/{house.performance_id}", device=device, keys=client.jwks())
    door.learn(client.entry_list(door.performance))
    return door


def test_a_door_without_a_connection_lets_the_right_people_in(staff: Client, house: Staged, database: Database) -> None:
    one, used = sold(staff, house, "Stalls-A-1", "Stalls-A-2")
    elsewhere = database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1)))
    (foreign,) = sold(staff, elsewhere, "Stalls-A-1")
    staff.check_in(f"performances/{house.performance_id}", used.code, place="South")

    door = opened(staff, house)
    (late,) = sold(staff, house, "Stalls-B-1")

    assert door.scan(one.code) is Verdict.ADMITTED
    assert door.scan(one.code.lower()) is Verdict.ALREADY_CHECKED_IN
    assert door.scan(used.code) is Verdict.ALREADY_CHECKED_IN
    assert door.scan(foreign.code) is Verdict.WRONG_PERFORMANCE
    assert door.scan("A" * 178) is Verdict.NOT_A_TICKET
    assert door.scan(late.code) is Verdict.NOT_LISTED
    door.learn(staff.entry_list(door.performance, since_revision=door.revision))
    assert door.scan(late.code) is Verdict.ADMITTED

    assert door.hand_in(staff) == []
    assert door.scans == []
    with pytest.raises(FailedPrecondition, match="ALREADY_CHECKED_IN"):
        staff.check_in(door.performance, one.code)


def test_a_list_that_does_not_tell_ticket_types_lets_in_all_the_same(
    staff: Client, house: Staged, database: Database
) -> None:
    (ticket,) = sold(staff, house, "Stalls-A-1")
    door = opened(staff, house)
    assert door.decide(ticket.code).ticket_type == "Adult"

    content = EntryListContent.FromString(staff.entry_list(door.performance).content)
    del content.ticket_types[:], content.ticket_type_indexes[:]
    keys = database.run_transaction(shared_keys)
    signature = keys.signing_key.sign(ENTRY_LIST_PURPOSE + content.SerializeToString())
    older = OfflineDoor(door.performance, device="south-1", keys=staff.jwks())
    older.learn(EntryList(content=content.SerializeToString(), signature=signature, key_id=keys.signing_kid))

    assert older.decide(ticket.code).ticket_type == ""
    assert older.scan(ticket.code) is Verdict.ADMITTED


def test_two_doors_that_cannot_know_of_each_other_show_their_conflict_later(staff: Client, house: Staged) -> None:
    (ticket,) = sold(staff, house, "Stalls-A-1")
    north, south = opened(staff, house, "north-1"), opened(staff, house, "south-1")
    assert north.scan(ticket.code, place="North") is Verdict.ADMITTED
    assert south.scan(ticket.code, place="South") is Verdict.ADMITTED

    assert south.hand_in(staff) == []
    (conflict,) = north.hand_in(staff)

    assert conflict.outcome == CheckIn.ALREADY_CHECKED_IN
    assert (conflict.place, conflict.first_check_in_place) == ("North", "South")
    assert staff.check_ins(north.performance, only_conflicts=True).total_size == 1


def test_a_list_that_was_changed_or_is_of_another_performance_is_not_believed(
    staff: Client, house: Staged, database: Database
) -> None:
    sold(staff, house, "Stalls-A-1")
    door = opened(staff, house)
    genuine = staff.entry_list(door.performance)
    other = database.run_transaction(stage)

    changed = EntryList(content=genuine.content[:-1] + b"\x02", signature=genuine.signature, key_id=genuine.key_id)
    nobodys = EntryList(content=genuine.content, signature=genuine.signature, key_id="?")
    for wrong in (changed, nobodys, staff.entry_list(f"performances/{other.performance_id}")):
        with pytest.raises(NotGenuineError):
            door.learn(wrong)


@pytest.mark.promise("2.10")
def test_tickets_are_saved_as_documents(run: Run, staff: Client, house: Staged, tmp_path: Path) -> None:
    first, _ = sold(staff, house, "Stalls-A-1", "Stalls-A-2")

    saved = run("tickets", first.booking, "--pdf", "--ics", "--to", str(tmp_path / "out"))

    assert saved.exit_code == 0, saved.output
    files = sorted((tmp_path / "out").iterdir())
    assert [file.suffix for file in files] == [".ics", ".pdf", ".pdf"]
    assert len(PdfReader(BytesIO(files[1].read_bytes())).pages) == 1
    entry = files[0].read_text()
    assert "seat 1" in entry
    assert "seat 2" in entry
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_a_scanner_that_types_opens_the_door(run: Run, staff: Client, house: Staged) -> None:
    one, two = sold(staff, house, "Stalls-A-1", "Stalls-A-2")
    performance = f"performances/{house.performance_id}"
    assert code_performance(one.code) == performance

    answered = run(
        "check-in", "-p", performance, "--place", "North", "-", given=f"{one.code}\n\nnonsense\n{one.code}\n"
    )

    assert answered.exit_code == 1
    lines = answered.output.splitlines()
    assert lines[0].startswith("OK   Stalls-A-1")
    assert "TICKET_CODE_INVALID" in lines[1]
    assert "North (ALREADY_CHECKED_IN)" in lines[2]
    assert run("check-in", two.code).exit_code == 0
    assert "Stalls-A-2 may come in again" in run("undo-check-in", two.name, "--reason", "wrong door").output
    assert run("check-in", two.name).output.startswith("OK")
    listed = run("check-ins", performance).output
    assert "already checked in" in listed
    assert "undone" in listed
    assert "Nothing was scanned" in run("check-ins", performance, "--conflicts").output
