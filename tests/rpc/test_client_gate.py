"""`rowlock gate` against a real server: with a connection, without one, and when it comes back."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from rowlock.v1.auth_pb2 import GetJwksResponse
from rowlock.v1.ticket_pb2 import Ticket
from rowlock_client import Client, aio, calls
from rowlock_client.cli.gate_answers import Outcome
from rowlock_client.cli.gate_facts import fetch
from rowlock_client.cli.gate_keeper import Gate
from rowlock_client.cli.gate_link import Link
from rowlock_client.cli.gate_store import GateStore
from rowlock_client.doors import Verdict
from rowlock_client.errors import FailedPrecondition
from server import clock
from server.cli import build
from server.config import Settings
from server.db.engine import Database
from server.db.models.catalogue import Event
from server.domain import accounts
from server.domain.passwords import PasswordHasher
from tests.gates import PATIENCE, Terminal, gate_key, sold
from tests.invariants import assert_sound
from tests.staging import Staged, stage
from tests.threaded_server import ThreadedServer, threaded_server

PASSWORD = "correct horse battery"
DYING_GATE = Path(__file__).with_name("dying_gate.py")
Lines = Callable[..., Result]


@pytest.fixture
def server(settings: Settings, database: Database) -> Iterator[ThreadedServer]:
    with threaded_server(settings) as running:
        yield running
    assert_sound(database)


@pytest.fixture
def staff(server: ThreadedServer, database: Database) -> Iterator[Client]:
    password_hash = PasswordHasher(memory_kib=64, passes=1).hash(PASSWORD)
    database.run_transaction(
        lambda s: accounts.ensure_admin(s, email="boss@example.org", display_name="Boss", password_hash=password_hash)
    )
    with Client(server.address) as client:
        client.log_in("boss@example.org", PASSWORD)
        yield client


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1)))


@pytest.fixture
def environment(server: ThreadedServer, staff: Client, tmp_path: Path) -> dict[str, str]:
    """Of a device with a key of the role GATE."""
    return {
        "ROWLOCK_SERVER": server.address,
        "ROWLOCK_TOKEN_FILE": str(tmp_path / "home" / "tokens.json"),
        "ROWLOCK_API_KEY": gate_key(staff),
    }


@pytest.fixture
def lines(environment: dict[str, str]) -> Lines:
    """Runs a gate on lines, patiently: a machine that stands still is no lost connection."""

    def run(*arguments: str, given: str = "") -> Result:
        options = () if "--hand-in" in arguments else ("--patience", "60")
        runner = CliRunner(env=environment)
        return runner.invoke(build("gate"), ["gate", "--plain", *options, *arguments], input=given)

    return run


@contextmanager
def standing_still(server: ThreadedServer) -> Iterator[None]:
    """The server's loop does nothing within the block, as if its machine stood still; connections stay open."""
    go_on = threading.Event()
    server.run_soon(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


def name_of(house: Staged) -> str:
    return f"performances/{house.performance_id}"


async def caught_up(gate: Gate) -> Link:
    """How it stands after it has tried to catch up."""
    await gate.link.catch_up()
    return gate.link.state


@pytest.mark.promise("2.10")
def test_lines_are_answered_by_lines(lines: Lines, staff: Client, house: Staged, database: Database) -> None:
    one, two, back = sold(staff, house, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    elsewhere = database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1)))
    (foreign,) = sold(staff, elsewhere, "Stalls-A-1")
    (given_back,) = sold(staff, house, "Stalls-B-1")
    staff.cancel(given_back.booking, reason="ill")
    staff.check_in(name_of(house), back.code, place="South")

    scanned = [one.code, two.code.lower(), one.code, "nonsense", "Ａ" * 2000, back.code, foreign.code, given_back.code]
    ended = lines(name_of(house), "--gate", "North", given="\r\n".join(scanned) + "\t\n")

    assert ended.exit_code == 1, ended.output
    said = ended.output.splitlines()
    assert said[0].startswith("OK   ADMITTED  Stalls · row A · seat 1  Adult")
    assert said[1].startswith("OK   ADMITTED  Stalls · row A · seat 2")
    assert said[2].startswith("NO   ALREADY USED")
    assert said[2].endswith("North")
    assert said[3] == "NO   NOT A TICKET  no code of this house"
    assert "far too long" in said[4]
    assert "South" in said[5]
    assert "WRONG PERFORMANCE" in said[6]
    assert "A Play — The House" in said[6]
    assert said[7].startswith("NO   REFUNDED")
    assert len(said) == 8
    assert staff.check_ins(name_of(house)).total_size == 7


def test_without_a_connection_scans_are_kept_and_handed_in_once(
    lines: Lines, server: ThreadedServer, staff: Client, house: Staged
) -> None:
    one, two = sold(staff, house, "Stalls-A-1", "Stalls-A-2")
    assert lines(name_of(house), "--gate", "North").exit_code == 0

    alone = lines(name_of(house), "--gate", "North", "--offline", "--json", given=f"{one.code}\n{one.code}\n")
    answers = [json.loads(line) for line in alone.stdout.splitlines()]
    assert [one["outcome"] for one in answers] == ["ADMITTED", "ALREADY_USED"]
    assert [one["ticket_type"] for one in answers] == ["Adult", "Adult"], "as it was sold, not where it is"
    assert "2 scans wait" in alone.stderr
    again = lines(name_of(house), "--gate", "North", "--offline", given=one.code)
    assert "ALREADY USED" in again.output, "what was let in before it ended is known"
    assert staff.check_ins(name_of(house)).total_size == 0

    assert "3 scans were handed in, 0 of them conflicts." in lines("--hand-in").output
    assert "0 scans" in lines("--hand-in").output
    on_record = staff.check_ins(name_of(house)).check_ins
    assert sorted(one.admitted for one in on_record) == [False, False, True]
    assert {one.place for one in on_record} == {"North"}
    online = lines(name_of(house), "--gate", "South", given=f"{one.code}\n{two.code}\n").output.splitlines()
    assert online[0].startswith("NO   ALREADY USED")
    assert online[1].startswith("OK   ADMITTED")


@pytest.mark.promise("2.10")
def test_scans_that_are_handed_in_again_have_no_second_effect(
    lines: Lines, environment: dict[str, str], staff: Client, house: Staged
) -> None:
    one, _ = sold(staff, house, "Stalls-A-1", "Stalls-A-2")
    assert lines(name_of(house), "--gate", "North").exit_code == 0
    assert lines(name_of(house), "--gate", "North", "--offline", given=one.code).exit_code == 0
    (file,) = Path(environment["ROWLOCK_TOKEN_FILE"]).parent.glob("gates/*/*/scans.jsonl")
    before = file.read_bytes()
    assert "1 scans were handed in" in lines("--hand-in").output

    file.write_bytes(before)  # killed before it could note that the server has them

    assert "1 scans were handed in, 0 of them conflicts" in lines("--hand-in").output
    assert staff.check_ins(name_of(house)).total_size == 1


def test_a_question_whose_answer_was_lost_is_settled_by_its_first_answer(
    lines: Lines, environment: dict[str, str], staff: Client, house: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = sold(staff, house, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    assert lines(name_of(house), "--gate", "North").exit_code == 0
    with Client(environment["ROWLOCK_SERVER"], api_key=environment["ROWLOCK_API_KEY"]) as door:
        for ticket in (one, two):
            rpc = calls.check_in(name_of(house), ticket.code, place="North")
            door.call(rpc, request_id=f"lost-{ticket.seat}")
    monkeypatch.setenv("ROWLOCK_TOKEN_FILE", environment["ROWLOCK_TOKEN_FILE"])
    (file,) = Path(environment["ROWLOCK_TOKEN_FILE"]).parent.glob("gates/*/*/scans.jsonl")
    now = clock.now().isoformat()

    def scan(ticket: Ticket) -> dict[str, object]:
        return {"scan_id": f"scan-{ticket.seat}", "code": ticket.code, "time": now, "place": "North", "admitted": True}

    facts: list[dict[str, object]] = [
        # Killed before the answer came: the bearer still stands there.
        {"asked": {"request_id": f"lost-{one.seat}", "code": one.code, "place": "North"}},
        # Let in by the list when the answer did not come: one question that had reached the server, one that had not.
        {"scan": scan(two) | {"digest": "02" * 12, "request_id": f"lost-{two.seat}"}},
        {"scan": scan(three) | {"digest": "03" * 12, "request_id": f"lost-{three.seat}"}},
    ]
    file.write_text("".join(f"{json.dumps(fact)}\n" for fact in facts))

    again = lines(name_of(house), "--gate", "North", given=one.code)

    assert again.output.startswith("OK   ADMITTED  Stalls · row A · seat 1"), again.output
    assert again.stderr == ""
    on_record = staff.check_ins(name_of(house)).check_ins
    assert [one.admitted for one in on_record] == [True] * 3
    assert not any(one.conflict for one in on_record)


def test_a_server_that_does_not_answer_is_not_waited_for(
    lines: Lines, environment: dict[str, str], server: ThreadedServer, staff: Client, house: Staged
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    assert lines(name_of(house), "--gate", "North").exit_code == 0
    gate = Terminal("gate", name_of(house), "--gate", "North", "--patience", "0.1", environment=environment)
    try:
        gate.wait_for("● connected")
        with standing_still(server):
            gate.type(f"{one.code}\r")
            gate.wait_for(r"✓ ADMITTED[\s\S]*decided without connection")
        gate.wait_for("● connected")
        assert gate.end(key="\x03")[0] == 0
    finally:
        gate.close()
    assert [(one.admitted, one.conflict) for one in staff.check_ins(name_of(house)).check_ins] == [(True, False)]


def test_a_gate_that_has_no_list_says_so(lines: Lines, house: Staged) -> None:
    refused = lines(name_of(house), "--offline")

    assert refused.exit_code == 69
    assert "no list of" in refused.stderr


def test_two_gates_that_let_one_ticket_in_alone_are_told_of_the_conflict(
    lines: Lines, staff: Client, house: Staged
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    for name in ("North", "South"):
        assert lines(name_of(house), "--gate", name).exit_code == 0
        assert lines(name_of(house), "--gate", name, "--offline", given=one.code).output.startswith("OK   ADMITTED")

    # Whichever of them is handed in last, by its own gate or by the other one, is told.
    told = "".join(lines(name_of(house), "--gate", name).stderr for name in ("North", "South"))

    assert told.count("conflict: Stalls · row A · seat 1") == 1
    assert "already checked in, first used" in told
    assert staff.check_ins(name_of(house), only_conflicts=True).total_size == 1


def test_of_two_gates_in_a_race_for_one_ticket_one_admits(
    environment: dict[str, str], staff: Client, house: Staged
) -> None:
    tickets = sold(staff, house, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    gates = [
        Terminal("gate", name_of(house), "--gate", name, "--patience", "60", environment=environment)
        for name in ("North", "South")
    ]
    try:
        for gate in gates:
            gate.wait_for("connected")
        for number, ticket in enumerate(tickets, start=1):
            for gate in gates:
                gate.type(f"{ticket.code}\r")
            banner = rf"(ADMITTED|ALREADY USED) [\d:]{{8}}[\s✓✗]*Stalls · row A · seat {number}\b"
            said = [gate.wait_for(banner) for gate in gates]
            assert sorted("ADMITTED" in words for words in said) == [False, True]
    finally:
        for gate in gates:
            gate.close()
    on_record = staff.check_ins(name_of(house)).check_ins
    assert sorted(one.ticket for one in on_record if one.admitted) == sorted(ticket.name for ticket in tickets)


@pytest.mark.parametrize(("key", "number"), [("\x03", 0), ("", signal.SIGTERM), ("", signal.SIGHUP)])
def test_a_terminal_is_left_as_it_was(environment: dict[str, str], house: Staged, key: str, number: int) -> None:
    gate = Terminal("gate", name_of(house), environment=environment, size=(80, 24))
    try:
        gate.wait_for("connected")
        status, written = gate.end(number, key=key)
        assert status == 0
        assert "\x1b[?1049l" in written
        assert "\x1b[?25h" in written
        assert gate.left_as_found()
    finally:
        gate.close()


def test_a_scanner_that_ends_its_codes_with_nothing_or_stammers(
    environment: dict[str, str], staff: Client, house: Staged
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    gate = Terminal("gate", name_of(house), "--patience", "60", environment=environment)
    try:
        gate.wait_for("connected")
        gate.type("]Q1" + one.code + one.code)
        gate.wait_for(r"the same ticket again \(2 times\)")
        assert staff.check_ins(name_of(house)).total_size == 1
    finally:
        gate.close()


def test_staff_take_the_last_admission_back_and_devices_may_not(
    environment: dict[str, str], staff: Client, house: Staged
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    device = Terminal("gate", name_of(house), "--gate", "North", "--patience", "60", environment=environment)
    try:
        device.wait_for("connected")
        device.type(f"{one.code}\r")
        device.wait_for("✓ ADMITTED")
        device.type("\x1a")
        device.wait_for("only staff may")
    finally:
        device.close()
    staff.undo_check_in(one.name, reason="a test")
    at_home = {name: value for name, value in environment.items() if name != "ROWLOCK_API_KEY"}
    runner = CliRunner(env=at_home)
    logged_in = runner.invoke(build("log-in"), ["log-in", "--email", "boss@example.org"], input=f"{PASSWORD}\n")
    assert logged_in.exit_code == 0, logged_in.output
    desk = Terminal("gate", name_of(house), "--gate", "Desk", "--patience", "60", environment=at_home)
    try:
        desk.wait_for("connected")
        desk.type(f"{one.code}\r")
        desk.wait_for("✓ ADMITTED")
        desk.type("\x1a")
        desk.wait_for("Ctrl-Z again")
        desk.type("\x1a")
        desk.wait_for("TAKEN BACK")
        desk.type(f"{one.code}\r")
        desk.wait_for("✓ ADMITTED")
    finally:
        desk.close()
    assert "UNDONE" in str(staff.check_ins(name_of(house)))


def test_staff_take_back_an_admission_that_the_server_has_not_heard_of(
    environment: dict[str, str], server: ThreadedServer, staff: Client, house: Staged
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    at_home = {name: value for name, value in environment.items() if name != "ROWLOCK_API_KEY"}
    runner = CliRunner(env=at_home)
    runner.invoke(build("log-in"), ["log-in", "--email", "boss@example.org"], input=f"{PASSWORD}\n")
    desk = Terminal("gate", name_of(house), "--gate", "Desk", environment=at_home)
    try:
        desk.wait_for("connected")
        server.stop()
        desk.type(f"{one.code}\r")
        desk.wait_for(r"✓ ADMITTED[\s\S]*decided without connection")
        desk.type("\x1a")
        desk.wait_for("Ctrl-Z again")
        desk.type("\x1a")
        desk.wait_for("TAKEN BACK")
        server.start()
        desk.wait_for("● connected")
    finally:
        desk.close()
    assert [one.admitted for one in staff.check_ins(name_of(house)).check_ins] == [False]
    staff.check_in(name_of(house), one.code)


async def test_a_list_that_cannot_be_added_to_is_fetched_anew(
    environment: dict[str, str], staff: Client, house: Staged, tmp_path: Path
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    target, key = environment["ROWLOCK_SERVER"], environment["ROWLOCK_API_KEY"]
    async with aio.Client(target, api_key=key) as client:
        facts = await fetch(client, name_of(house))
        with GateStore(tmp_path / "gate") as store:
            store.save(facts)
            gate = Gate(store, facts, place="North", client=client, fresh=True, patience=60)
            # The database was put back to an earlier time, so that no list has had this revision yet.
            gate.link.door.revision += 1_000_000
            assert await caught_up(gate) is Link.ONLINE
            # The keys were changed meanwhile.
            gate.link.door.trust(GetJwksResponse())
            assert await caught_up(gate) is Link.ONLINE

            assert gate.link.door.decide(one.code).verdict is Verdict.ADMITTED
        with GateStore(tmp_path / "gate") as store:
            kept = store.load()
            assert kept is not None
            alone = Gate(store, kept, place="North", client=None)
            assert (await alone.scan(one.code)).outcome is Outcome.ADMITTED
            assert (await alone.scan(one.code, float("inf"))).outcome is Outcome.ALREADY_USED


@pytest.mark.promise("2.10")
@pytest.mark.fault
def test_the_server_goes_the_gate_is_killed_and_nothing_is_lost(
    environment: dict[str, str], server: ThreadedServer, staff: Client, house: Staged
) -> None:
    one, two, three = sold(staff, house, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    gate = Terminal("gate", name_of(house), "--gate", "North", environment=environment)
    try:
        gate.wait_for("connected")
        gate.type(f"{one.code}\r")
        gate.wait_for("✓ ADMITTED")
        server.stop()
        gate.type(f"{two.code}\r")
        gate.wait_for(r"✓ ADMITTED[\s\S]*seat 2[\s\S]*decided without connection")
        gate.type(f"{one.code}\r")
        gate.wait_for(r"✗ ALREADY USED[\s\S]*North")
        gate.end(signal.SIGKILL)
    finally:
        gate.close()

    second = Terminal("gate", name_of(house), "--gate", "North", environment=environment)
    try:
        second.wait_for("without connection since")
        second.type(f"{two.code}\r")
        second.wait_for(r"✗ ALREADY USED[\s\S]*first used[\s\S]*North")
        second.type(f"{three.code}\r")
        second.wait_for(r"✓ ADMITTED[\s\S]*seat 3")
        server.start()
        second.wait_for(r"● connected")
        assert second.end(key="\x03")[0] == 0
    finally:
        second.close()

    on_record = staff.check_ins(name_of(house)).check_ins
    assert sum(one.admitted for one in on_record) == 3
    assert not any(one.conflict for one in on_record)
    for ticket in (one, two, three):
        with pytest.raises(FailedPrecondition, match="North"):
            staff.check_in(name_of(house), ticket.code)


@pytest.mark.promise("2.10")
@pytest.mark.fault
def test_killed_again_and_again_with_and_without_a_server_everybody_is_let_in_once(
    environment: dict[str, str], lines: Lines, server: ThreadedServer, staff: Client, database: Database
) -> None:
    house = database.run_transaction(lambda s: stage(s, start_time=clock.now() + timedelta(hours=1), customer_limit=50))
    tickets = sold(staff, house, *(f"Stalls-{row}-{number}" for row in "AB" for number in range(1, 11)))
    codes = "".join(f"{ticket.code}\n" for ticket in tickets)
    arguments = ("gate", "--plain", name_of(house), "--gate", "North")
    assert lines(name_of(house), "--gate", "North").exit_code == 0, "it has its list"
    deaths = 0
    for number, line in enumerate((110, 190, 350, 470, 640, 830, 1210)):
        if number % 3 == 1:
            server.stop()
        command = (sys.executable, str(DYING_GATE), str(line), *arguments)
        ended = subprocess.run(
            command,
            input=codes,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        deaths += ended.returncode == -signal.SIGKILL
        if number % 3 == 1:
            server.start()
    assert deaths >= 4, "they are killed while they work"

    lines(name_of(house), "--gate", "North", given=codes)
    lines("--hand-in")

    on_record = [one for page in staff.pages(calls.check_ins(name_of(house))) for one in page.check_ins]
    let_in = [one.ticket for one in on_record if one.admitted]
    assert sorted(let_in) == sorted(ticket.name for ticket in tickets)
    assert not any(one.conflict for one in on_record)


def test_a_second_gate_of_one_name_is_refused(environment: dict[str, str], lines: Lines, house: Staged) -> None:
    gate = Terminal("gate", name_of(house), "--gate", "North", environment=environment)
    try:
        gate.wait_for("connected")
        assert "give another --gate" in lines(name_of(house), "--gate", "North").stderr
    finally:
        gate.close()


def test_a_performance_is_chosen_by_title_or_from_a_list(
    environment: dict[str, str], lines: Lines, house: Staged, database: Database
) -> None:
    def staged_hamlet(session: Session) -> Staged:
        staged = stage(session, start_time=clock.now() + timedelta(hours=2))
        session.get_one(Event, staged.event_id).title = f"Hamlet by {name}"
        return staged

    name = f"Company {house.performance_id}"
    first, second = (database.run_transaction(staged_hamlet) for _ in range(2))

    unclear = lines(f"by {name}")
    assert unclear.exit_code == 2
    assert name_of(first) in unclear.stderr
    assert name_of(second) in unclear.stderr
    assert "no performance with 'nobody'" in lines("nobody").stderr
    gate = Terminal("gate", f"BY {name}", environment=environment)
    try:
        gate.wait_for(rf"1  Hamlet[\s\S]*2  Hamlet[^\n]*{name_of(second)}[\s\S]*Which performance")
        gate.type("7\r")
        gate.wait_for("Which performance")
        gate.type("2\r")
        gate.wait_for("connected")
    finally:
        gate.close()
    assert lines(str(second.performance_id), "--offline").exit_code == 0


def test_who_may_not_let_people_in_is_told_so(environment: dict[str, str], house: Staged) -> None:
    with Client(environment["ROWLOCK_SERVER"]) as customer:
        customer.sign_up("ada@example.org", PASSWORD, "Ada")
    at_home = {name: value for name, value in environment.items() if name != "ROWLOCK_API_KEY"}
    runner = CliRunner(env=at_home)
    assert runner.invoke(build("gate"), ["gate", name_of(house)]).exit_code == 77
    logged_in = runner.invoke(build("log-in"), ["log-in", "--email", "ada@example.org"], input=f"{PASSWORD}\n")
    assert logged_in.exit_code == 0
    assert runner.invoke(build("gate"), ["gate", name_of(house)]).exit_code == 77


def test_a_key_for_a_gate_opens_its_performances_and_no_others(
    environment: dict[str, str], staff: Client, house: Staged, database: Database
) -> None:
    at_home = {name: value for name, value in environment.items() if name != "ROWLOCK_API_KEY"}
    runner = CliRunner(env=at_home)
    runner.invoke(build("log-in"), ["log-in", "--email", "boss@example.org"], input=f"{PASSWORD}\n")

    made = runner.invoke(build("add-gate-key"), ["add-gate-key", "North gate", "--scope", name_of(house)])

    assert made.exit_code == 0, made.output
    assert "rowlock gate --gate 'North gate'" in made.output
    (secret,) = (line.strip() for line in made.output.splitlines() if line.startswith("    "))
    device = CliRunner(env=environment | {"ROWLOCK_API_KEY": secret})
    assert device.invoke(build("gate"), ["gate", name_of(house)]).exit_code == 0
    other = database.run_transaction(stage)
    assert device.invoke(build("gate"), ["gate", name_of(other)]).exit_code == 77


async def test_a_gate_that_is_locked_out_lets_nobody_in_twice(
    environment: dict[str, str], staff: Client, house: Staged, tmp_path: Path
) -> None:
    (one,) = sold(staff, house, "Stalls-A-1")
    target, key = environment["ROWLOCK_SERVER"], environment["ROWLOCK_API_KEY"]
    async with aio.Client(target, api_key=key) as client, aio.Client(target) as nobody:
        facts = await fetch(client, name_of(house))
        with GateStore(tmp_path / "gate") as store:
            store.save(facts)
            gate = Gate(store, facts, place="North", client=client, fresh=True, patience=60)
            assert (await gate.scan(one.code)).outcome is Outcome.ADMITTED, "by its list: not yet connected"
            gate.link.client = nobody
            assert await caught_up(gate) is Link.FORBIDDEN
            assert (await gate.scan(one.code, float("inf"))).outcome is Outcome.NOT_ALLOWED

            gate.link.client = client
            assert await caught_up(gate) is Link.ONLINE
            assert (await gate.scan(one.code, float("inf"))).outcome is Outcome.ALREADY_USED
    assert [one.admitted for one in staff.check_ins(name_of(house)).check_ins] == [False, True]
