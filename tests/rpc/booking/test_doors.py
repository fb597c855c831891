"""The doors over a socket: who is let in, who is not and what they are told, with a connection and without."""

import asyncio
import base64
import hashlib
import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.timestamp_pb2 import Timestamp
from icalendar import Calendar
from pypdf import PdfReader
from sqlalchemy import text

from rowlock.v1 import auth_pb2
from rowlock.v1 import booking_pb2 as pb
from rowlock.v1 import ticket_pb2 as tickets
from server import clock
from server.db.engine import Database
from server.domain.signing_keys import Keys, PublicKey, keys_of
from server.tickets.codes import read_code, ticket_code
from tests.rpc.auth.conftest import refusal
from tests.rpc.booking.conftest import BoxOffice, Metadata
from tests.staging import Staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

Outcome = tickets.CheckIn.Outcome


@pytest.fixture
def tonight(office: BoxOffice) -> Staged:
    """A performance whose doors are open."""
    return office.stage(start_time=clock.now() + timedelta(hours=1))


@pytest_asyncio.fixture(loop_scope="module")
async def gate(office: BoxOffice) -> Metadata:
    """A scanner with an API key of its own."""
    return await device(office)


async def device(office: BoxOffice, *scopes: str) -> Metadata:
    """A gate, whose key is narrowed to some performances."""
    admin = await office.client.admin()
    request = auth_pb2.CreateApiKeyRequest(
        parent=admin.name, api_key=auth_pb2.ApiKey(display_name="Door", role=auth_pb2.ROLE_GATE, scopes=scopes)
    )
    key = await office.client.auth.CreateApiKey(request, metadata=admin.token)
    token = await office.client.auth.ExchangeApiKey(auth_pb2.ExchangeApiKeyRequest(api_key=key.secret))
    return (("authorization", f"Bearer {token.access_token}"),)


def name(house: Staged) -> str:
    return f"performances/{house.performance_id}"


async def sold(office: BoxOffice, house: Staged, *seats: str, who: Metadata | None = None) -> list[tickets.Ticket]:
    """Tickets, sold at the box office."""
    held = await office.book(house, who or office.staff, *seats)
    await office.bookings.ConfirmBooking(
        pb.ConfirmBookingRequest(name=held.name, method=pb.Booking.CASH), metadata=office.staff
    )
    listed = await office.bookings.ListTickets(tickets.ListTicketsRequest(parent=held.name), metadata=office.staff)
    return list(listed.tickets)


def scan(office: BoxOffice, house: Staged, who: Metadata, **fields: Any) -> Awaitable[tickets.Ticket]:
    return office.bookings.CheckInTicket(tickets.CheckInTicketRequest(performance=name(house), **fields), metadata=who)


# -- Tickets and their documents -----------------------------------------------------------------------------


@pytest.mark.promise("2.10")
async def test_a_ticket_is_a_page_to_print_for_its_owner_only(office: BoxOffice, house: Staged) -> None:
    anna, eve = await office.customer(), await office.customer()
    (ticket,) = await sold(office, house, "Stalls-A-1", who=anna)
    request = tickets.GetTicketDocumentRequest(name=ticket.name)

    document = await office.bookings.GetTicketDocument(request, metadata=anna)

    assert document.content_type == "application/pdf"
    printed = PdfReader(io.BytesIO(document.data)).pages[0].extract_text().replace("\n", "").replace(" ", "")
    assert ticket.code in printed
    assert "APlay" in printed
    assert (await office.bookings.GetTicketDocument(request, metadata=office.staff)).data == document.data
    assert (await refusal(office.bookings.GetTicketDocument(request, metadata=eve))).code == "NOT_FOUND"
    read = tickets.GetTicketRequest(name=ticket.name)
    assert (await refusal(office.bookings.GetTicket(read, metadata=eve))).code == "NOT_FOUND"


async def test_a_ticket_is_an_entry_in_a_calendar_without_its_code(office: BoxOffice, house: Staged) -> None:
    anna = await office.customer()
    (ticket,) = await sold(office, house, "Stalls-A-1", who=anna)
    request = tickets.GetTicketDocumentRequest(name=ticket.name, format=tickets.GetTicketDocumentRequest.ICALENDAR)

    document = await office.bookings.GetTicketDocument(request, metadata=anna)

    assert document.content_type.startswith("text/calendar")
    calendar: Any = Calendar.from_ical(document.data)
    (entry,) = calendar.walk("VEVENT")
    assert entry["SUMMARY"] == "A Play"
    assert ticket.code.encode() not in document.data


async def test_a_void_ticket_has_no_document_and_lets_nobody_in(office: BoxOffice, tonight: Staged) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    await office.bookings.CancelBooking(
        pb.CancelBookingRequest(name=ticket.booking, reason="illness"), metadata=office.staff
    )

    request = tickets.GetTicketDocumentRequest(name=ticket.name)
    assert (await refusal(office.bookings.GetTicketDocument(request, metadata=office.staff))).reason == "TICKET_VOID"
    assert (await refusal(scan(office, tonight, office.staff, code=ticket.code))).reason == "TICKET_VOID"


async def test_anybody_with_the_public_keys_can_tell_a_ticket_from_a_forgery(office: BoxOffice, house: Staged) -> None:
    (ticket,) = await sold(office, house, "Stalls-A-1")
    keys = await published(office)

    read = read_code(keys, ticket.code)

    assert read.signed
    assert read.performance_id == house.performance_id
    assert str(read.ticket_id) == ticket.name.rpartition("/")[2]


# -- Doors with a connection ---------------------------------------------------------------------------------


@pytest.mark.promise("2.10")
async def test_a_ticket_lets_in_once_and_then_says_when_and_where(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    first, other = await sold(office, tonight, "Stalls-A-1", "Stalls-A-2")

    let_in = await scan(office, tonight, gate, code=first.code, place="North gate")

    assert let_in.state == tickets.Ticket.CHECKED_IN
    assert (let_in.seat, let_in.check_in_place, let_in.code) == ("Stalls-A-1", "North gate", "")
    again = await refusal(scan(office, tonight, gate, code=first.code, place="South gate"))
    assert (again.code, again.reason) == ("FAILED_PRECONDITION", "ALREADY_CHECKED_IN")
    assert again.facts["check_in_place"] == "North gate"
    assert again.facts["check_in_time"].startswith(str(let_in.check_in_time.ToDatetime().date()))
    assert (await scan(office, tonight, office.staff, name=other.name)).code == other.code


async def test_the_same_scan_sent_twice_ends_as_it_did(office: BoxOffice, tonight: Staged, gate: Metadata) -> None:
    ticket, other = await sold(office, tonight, "Stalls-A-1", "Stalls-A-2")
    again = {"code": ticket.code, "request_id": str(uuid4())}

    first = await scan(office, tonight, gate, **again)

    assert await scan(office, tonight, gate, **again) == first
    refused = {"code": ticket.code, "request_id": str(uuid4())}
    assert {(await refusal(scan(office, tonight, gate, **refused))).reason for _ in range(2)} == {"ALREADY_CHECKED_IN"}
    reused = await refusal(scan(office, tonight, gate, code=other.code, request_id=again["request_id"]))
    assert (reused.code, reused.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    listed = await office.bookings.ListCheckIns(
        tickets.ListCheckInsRequest(parent=name(tonight)), metadata=office.staff
    )
    assert [one.outcome for one in listed.check_ins] == [Outcome.ALREADY_CHECKED_IN, Outcome.ADMITTED]


async def test_a_door_lets_into_its_own_performance_only(office: BoxOffice, tonight: Staged, gate: Metadata) -> None:
    elsewhere = office.stage(start_time=clock.now() + timedelta(hours=1))
    (ticket,) = await sold(office, elsewhere, "Stalls-A-1")

    refused = await refusal(scan(office, tonight, gate, code=ticket.code))

    assert refused.reason == "TICKET_WRONG_PERFORMANCE"
    assert refused.facts["performance"] == name(elsewhere)
    assert (await scan(office, elsewhere, gate, code=ticket.code)).state == tickets.Ticket.CHECKED_IN


async def test_forged_and_unknown_tickets_are_told_apart(
    office: BoxOffice, tonight: Staged, gate: Metadata, database: Database
) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    read = read_code(await published(office), ticket.code)
    stranger = keys_of([Ed25519PrivateKey.generate()])
    ours = (await published(office)).public
    forger = Keys(next(iter(ours)), stranger.signing_key, ours)

    forged = ticket_code(forger, read.performance_id, read.ticket_id, read.nonce)
    refused = await refusal(scan(office, tonight, gate, code=forged))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "TICKET_CODE_INVALID", ("code",))
    made_up = ticket_code(stranger, read.performance_id, read.ticket_id, uuid4())
    assert (await refusal(scan(office, tonight, gate, code=made_up))).code == "NOT_FOUND"
    absent = f"{ticket.booking}/tickets/{uuid4()}"
    assert (await refusal(scan(office, tonight, gate, name=absent))).code == "NOT_FOUND"
    assert (await scan(office, tonight, gate, code=ticket.code)).state == tickets.Ticket.CHECKED_IN


async def test_a_ticket_printed_under_a_key_that_is_gone_lets_in(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    read = read_code(await published(office), ticket.code)
    retired = keys_of([Ed25519PrivateKey.generate()])

    printed = ticket_code(retired, read.performance_id, read.ticket_id, read.nonce)

    assert (await scan(office, tonight, gate, code=printed)).state == tickets.Ticket.CHECKED_IN


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (timedelta(hours=5), ("DOORS_NOT_OPEN", "doors_open_time")),
        (timedelta(hours=-13), ("DOORS_CLOSED", "doors_close_time")),
    ],
)
async def test_doors_have_their_hours(
    office: BoxOffice, gate: Metadata, database: Database, start: timedelta, said: tuple[str, str]
) -> None:
    house = office.stage()
    (ticket,) = await sold(office, house, "Stalls-A-1")
    move(database, house, start)

    refused = await refusal(scan(office, house, gate, code=ticket.code))
    assert (refused.reason, *refused.facts) == said
    move(database, house, timedelta(hours=1))
    assert (await scan(office, house, gate, code=ticket.code)).state == tickets.Ticket.CHECKED_IN


async def test_nobody_is_let_into_a_cancelled_performance(
    office: BoxOffice, tonight: Staged, gate: Metadata, database: Database
) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    database.run_transaction(
        lambda s: s.execute(text("UPDATE performances SET state = 2 WHERE id = :id"), {"id": tonight.performance_id})
    )
    assert (await refusal(scan(office, tonight, gate, code=ticket.code))).reason == "PERFORMANCE_CANCELLED"


async def test_customers_open_no_doors(office: BoxOffice, tonight: Staged, gate: Metadata) -> None:
    anna = await office.customer()
    (ticket,) = await sold(office, tonight, "Stalls-A-1", who=anna)
    calls: list[Callable[[Metadata], Awaitable[Any]]] = [
        lambda who: scan(office, tonight, who, code=ticket.code),
        lambda who: entry_list(office, tonight, who),
        lambda who: upload(office, tonight, who, offline(ticket.code)),
        lambda who: undo(office, ticket, who),
        lambda who: office.bookings.ListCheckIns(tickets.ListCheckInsRequest(parent=name(tonight)), metadata=who),
    ]
    for call in calls:
        assert (await refusal(call(anna))).code == "PERMISSION_DENIED"
    for call in calls[3:]:
        assert (await refusal(call(gate))).code == "PERMISSION_DENIED"


async def test_a_gate_whose_key_is_for_another_performance_opens_nothing_here(
    office: BoxOffice, tonight: Staged
) -> None:
    elsewhere = office.stage(start_time=clock.now() + timedelta(hours=1))
    (here,), (there,) = await sold(office, tonight, "Stalls-A-1"), await sold(office, elsewhere, "Stalls-A-1")
    narrow = await device(office, name(elsewhere))

    calls: list[Awaitable[Any]] = [
        scan(office, tonight, narrow, code=here.code),
        entry_list(office, tonight, narrow),
        upload(office, tonight, narrow, offline(here.code)),
    ]
    for call in calls:
        assert (await refusal(call)).code == "PERMISSION_DENIED"
    assert (await scan(office, elsewhere, narrow, code=there.code)).state == tickets.Ticket.CHECKED_IN


async def test_staff_take_a_check_in_back_and_the_record_stays(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    assert (await refusal(undo(office, ticket, office.staff))).reason == "TICKET_NOT_CHECKED_IN"
    await scan(office, tonight, gate, code=ticket.code)

    assert (await undo(office, ticket, office.staff)).state == tickets.Ticket.VALID
    assert (await scan(office, tonight, gate, code=ticket.code, place="B")).check_in_place == "B"
    assert (await undo(office, ticket, office.staff)).state == tickets.Ticket.VALID

    listed = await office.bookings.ListCheckIns(
        tickets.ListCheckInsRequest(parent=name(tonight), ticket=ticket.name), metadata=office.staff
    )
    assert [one.outcome for one in listed.check_ins] == [
        Outcome.UNDONE,
        Outcome.ADMITTED,
        Outcome.UNDONE,
        Outcome.ADMITTED,
    ]
    assert listed.check_ins[0].reason == "wrong button"


async def test_a_used_ticket_is_not_given_back(office: BoxOffice, gate: Metadata) -> None:
    house = office.stage(start_time=clock.now() + timedelta(hours=1))
    anna = await office.customer()
    (ticket,) = await sold(office, house, "Stalls-A-1", who=anna)
    await scan(office, house, gate, code=ticket.code)

    for who in (anna, office.staff):
        request = pb.CancelBookingRequest(name=ticket.booking, reason="too loud")
        assert (await refusal(office.bookings.CancelBooking(request, metadata=who))).reason == "ALREADY_CHECKED_IN"


# -- Doors without a connection ------------------------------------------------------------------------------


async def test_an_entry_list_is_verified_without_us_and_then_kept_fresh(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    one, two, three = await sold(office, tonight, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    await scan(office, tonight, gate, code=one.code)

    whole = await verified(office, await entry_list(office, tonight, gate))

    assert known(whole) == {
        digest(one): (0, tickets.Ticket.CHECKED_IN),
        digest(two): (1, tickets.Ticket.VALID),
        digest(three): (2, tickets.Ticket.VALID),
    }
    await scan(office, tonight, gate, code=two.code)
    (four,) = await sold(office, tonight, "Stalls-A-4")
    await office.bookings.CancelBooking(
        pb.CancelBookingRequest(name=four.booking, reason="mistake"), metadata=office.staff
    )
    news = await verified(office, await entry_list(office, tonight, gate, since_revision=whole.revision))
    assert news.since_revision == whole.revision
    assert known(news) == {digest(two): (1, tickets.Ticket.CHECKED_IN), digest(four): (3, tickets.Ticket.VOID)}
    # A list may repeat what came while an older transaction was running, whoever runs it. In the end nothing is new.
    latest = news
    async with asyncio.timeout(60):
        while known(latest):
            assert known(latest).items() <= known(news).items()
            latest = await verified(office, await entry_list(office, tonight, gate, since_revision=latest.revision))
    assert digest(four) not in known(await verified(office, await entry_list(office, tonight, gate)))


async def test_a_list_from_the_future_is_refused(office: BoxOffice, tonight: Staged, gate: Metadata) -> None:
    refused = await refusal(entry_list(office, tonight, gate, since_revision=2**62))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "REVISION_IN_FUTURE")


async def test_offline_scans_count_once_and_conflicts_are_shown(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    once, twice, gone = await sold(office, tonight, "Stalls-A-1", "Stalls-A-2", "Stalls-A-3")
    cancelled = (await sold(office, tonight, "Stalls-B-1"))[0]
    await office.bookings.CancelBooking(
        pb.CancelBookingRequest(name=cancelled.booking, reason="meanwhile"), metadata=office.staff
    )
    north = [
        offline(twice.code, minutes_ago=5, place="North"),
        offline(once.code, minutes_ago=9, place="North"),
        offline(cancelled.code, minutes_ago=8, place="North"),
        offline(gone.code, minutes_ago=7, place="North", admitted=False),
        offline("NOTATICKET", minutes_ago=6, place="North"),
        offline(twice.code, minutes_ago=4, place="North"),
    ]

    first = await upload(office, tonight, gate, *north, device="north-1")

    assert [one.outcome for one in first.check_ins] == [
        Outcome.ADMITTED,
        Outcome.ADMITTED,
        Outcome.TICKET_VOID,
        Outcome.TURNED_AWAY,
        Outcome.UNKNOWN_TICKET,
        Outcome.ALREADY_CHECKED_IN,
    ]
    assert [one.conflict for one in first.check_ins] == [False, False, True, False, True, True]
    assert first.conflict_count == 3
    assert await upload(office, tonight, gate, *north, device="north-1") == first, "accepted once"

    south = await upload(office, tonight, gate, offline(once.code, minutes_ago=30, place="South"), device="south-1")
    assert south.check_ins[0].outcome == Outcome.ALREADY_CHECKED_IN, "the first to be recorded counts"
    assert south.check_ins[0].first_check_in_place == "North"
    conflicts = await office.bookings.ListCheckIns(
        tickets.ListCheckInsRequest(parent=name(tonight), only_conflicts=True), metadata=office.staff
    )
    assert conflicts.total_size == 4
    assert (await scan(office, tonight, gate, code=gone.code)).state == tickets.Ticket.CHECKED_IN
    assert (await office.bookings.GetTicket(tickets.GetTicketRequest(name=once.name), metadata=office.staff)).state == (
        tickets.Ticket.CHECKED_IN
    )


async def test_an_upload_is_idempotent_by_its_request_id_too(
    office: BoxOffice, tonight: Staged, gate: Metadata
) -> None:
    one, two = await sold(office, tonight, "Stalls-A-1", "Stalls-A-2")
    request_id = str(uuid4())
    scans = [offline(one.code)]

    first = await upload(office, tonight, gate, *scans, request_id=request_id)

    assert await upload(office, tonight, gate, *scans, request_id=request_id) == first
    refused = await refusal(upload(office, tonight, gate, offline(two.code), request_id=request_id))
    assert refused.reason == "REQUEST_ID_REUSED"


async def test_the_record_of_the_doors_cannot_be_changed(
    office: BoxOffice, tonight: Staged, gate: Metadata, database: Database
) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    await scan(office, tonight, gate, code=ticket.code)
    for statement in ("DELETE FROM check_ins", "UPDATE check_ins SET outcome = 2"):
        with pytest.raises(Exception, match="only ever added to"):
            database.run_transaction(lambda session, sql=statement: session.execute(text(sql)))  # type: ignore[misc]


async def test_the_list_of_scans_comes_in_pages(office: BoxOffice, tonight: Staged, gate: Metadata) -> None:
    (ticket,) = await sold(office, tonight, "Stalls-A-1")
    await scan(office, tonight, gate, code=ticket.code)
    for _ in range(4):
        await refusal(scan(office, tonight, gate, code=ticket.code))
    seen: list[str] = []
    token = ""
    while True:
        page = await office.bookings.ListCheckIns(
            tickets.ListCheckInsRequest(parent=name(tonight), page_size=2, page_token=token), metadata=office.staff
        )
        assert page.total_size == 5
        seen += [one.name for one in page.check_ins]
        token = page.next_page_token
        if not token:
            break
    assert len(set(seen)) == 5


# -- Words ---------------------------------------------------------------------------------------------------


def move(database: Database, house: Staged, start: timedelta) -> None:
    """Let the performance begin so long from now."""
    database.run_transaction(
        lambda session: session.execute(
            text("UPDATE performances SET start_time = :time WHERE id = :id"),
            {"time": clock.now() + start, "id": house.performance_id},
        )
    )


async def published(office: BoxOffice) -> Keys:
    """What a door knows of the keys: the public halves, from GetJwks."""
    answer = await office.client.auth.GetJwks(auth_pb2.GetJwksRequest())
    return Keys("", Ed25519PrivateKey.generate(), {key.kid: _public(key) for key in answer.keys})


def _public(key: Any) -> Any:
    raw = base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    return PublicKey(key.kid, key.x, Ed25519PublicKey.from_public_bytes(raw))


def digest(ticket: tickets.Ticket) -> bytes:
    """As a door computes it, from the code alone."""
    raw = base64.b32decode(ticket.code + "=" * (-len(ticket.code) % 8))
    return hashlib.sha256(raw[7:47]).digest()[:12]


def known(content: tickets.EntryListContent) -> dict[bytes, tuple[int, int]]:
    digests = [content.digests[n : n + 12] for n in range(0, len(content.digests), 12)]
    return dict(zip(digests, zip(content.places, content.states, strict=True), strict=True))


async def verified(office: BoxOffice, signed: tickets.EntryList) -> tickets.EntryListContent:
    """The content of a list, if its signature is good."""
    keys = await published(office)
    keys.public[signed.key_id].key.verify(signed.signature, b"rowlock entry list\0" + signed.content)
    return tickets.EntryListContent.FromString(signed.content)


def entry_list(office: BoxOffice, house: Staged, who: Metadata, **fields: Any) -> Awaitable[tickets.EntryList]:
    return office.bookings.GetEntryList(tickets.GetEntryListRequest(performance=name(house), **fields), metadata=who)


def undo(office: BoxOffice, ticket: tickets.Ticket, who: Metadata) -> Awaitable[tickets.Ticket]:
    return office.bookings.UndoCheckIn(
        tickets.UndoCheckInRequest(name=ticket.name, reason="wrong button"), metadata=who
    )


def offline(code: str, *, minutes_ago: int = 1, place: str = "", admitted: bool = True) -> tickets.OfflineScan:
    time = Timestamp()
    time.FromDatetime(clock.now() - timedelta(minutes=minutes_ago))
    return tickets.OfflineScan(scan_id=str(uuid4()), code=code, scan_time=time, place=place, admitted=admitted)


def upload(
    office: BoxOffice, house: Staged, who: Metadata, *scans: tickets.OfflineScan, device: str = "door-1", **fields: Any
) -> Awaitable[tickets.UploadOfflineScansResponse]:
    return office.bookings.UploadOfflineScans(
        tickets.UploadOfflineScansRequest(performance=name(house), device=device, scans=scans, **fields), metadata=who
    )
