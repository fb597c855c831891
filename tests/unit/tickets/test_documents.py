"""Printed tickets and calendar entries: what a person and a scanner find on them."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from icalendar import Calendar
from pypdf import PdfReader

from server.domain.signing_keys import keys_of
from server.tickets.admission import Admission
from server.tickets.calendar_entries import calendar_entry
from server.tickets.codes import ticket_code
from server.tickets.documents import tickets_pdf
from server.tickets.fonts import FontError
from tests.unit.tickets.test_codes import NONCE, TICKET

BOOKING = "performances/42/bookings/0190f2aa-0000-7000-8000-000000000001"


@pytest.fixture
def admission() -> Admission:
    return Admission(
        ticket=f"{BOOKING}/tickets/{TICKET}",
        booking=BOOKING,
        code=ticket_code(keys_of([Ed25519PrivateKey.generate()]), 42, TICKET, NONCE),
        event="Król Ubu: Ağa Bey in Łódź",
        venue="Teatr Nowy",
        address="ul. Więckowskiego 15\n90-725 Łódź",
        hall="Duża Sala",
        start_time=datetime(2027, 7, 1, 18, 30, tzinfo=UTC),
        end_time=datetime(2027, 7, 1, 21, 0, tzinfo=UTC),
        time_zone="Europe/Warsaw",
        section="Stalls",
        row="A",
        seat="12",
        area="",
        ticket_type="Adult",
        price=2550,
        currency="EUR",
        create_time=datetime(2027, 6, 1, 12, 0, tzinfo=UTC),
    )


def words(document: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)


@pytest.mark.promise("2.10")
def test_a_person_reads_everything_on_a_ticket(admission: Admission) -> None:
    text = words(tickets_pdf([admission]))

    for expected in (
        "Król Ubu: Ağa Bey in Łódź",
        "Thursday, 1 July 2027, 20:30 (Europe/Warsaw)",
        "Teatr Nowy, Duża Sala",
        "Stalls",
        "Adult, 25.50 EUR",
        BOOKING.rpartition("/")[2],
    ):
        assert expected in text
    assert admission.code in text.replace("\n", "").replace(" ", "")


def test_there_is_a_page_for_each_ticket_and_the_fonts_are_in_the_document(admission: Admission) -> None:
    document: Any = PdfReader(io.BytesIO(tickets_pdf([admission, replace(admission, seat="13")])))

    assert len(document.pages) == 2
    fonts = document.pages[0]["/Resources"]["/Font"]
    embedded = [font.get_object() for font in fonts.values() if "Roboto" in font.get_object()["/BaseFont"]]
    assert embedded
    assert all("/FontFile2" in font["/FontDescriptor"] for font in embedded)


def test_the_same_tickets_make_the_same_bytes(admission: Admission) -> None:
    assert tickets_pdf([admission]) == tickets_pdf([admission])
    assert calendar_entry([admission]) == calendar_entry([admission])


def test_threads_do_not_mix_up_each_others_letters(admission: Admission) -> None:
    every = [replace(admission, event="".join(chr(0x100 + 7 * n + i) for i in range(25))) for n in range(12)]
    alone = [tickets_pdf([one]) for one in every]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(lambda one: tickets_pdf([one]), every)) == alone
    finally:
        sys.setswitchinterval(interval)


def test_a_letter_that_the_font_lacks_is_seen_to_be_missing(admission: Admission) -> None:
    assert "? Hamlet" in words(tickets_pdf([replace(admission, event="中 Hamlet")]))


def test_texts_of_any_length_stay_on_the_page(admission: Admission) -> None:
    for title in ("X" * 500, "word " * 200, "", "\u202e reversed"):
        document = tickets_pdf([replace(admission, event=title, section="S" * 100, row="R" * 30, address="A" * 900)])
        assert len(PdfReader(io.BytesIO(document)).pages) == 1


def test_a_standing_place_has_no_row(admission: Admission) -> None:
    text = words(tickets_pdf([replace(admission, section="Floor", row="", seat="", area="Front")]))
    assert "Standing" in text
    assert "Row" not in text


def test_a_font_that_cannot_be_used_is_said(admission: Admission, tmp_path: Path) -> None:
    (tmp_path / "none.ttf").write_bytes(b"not a font")
    with pytest.raises(FontError, match="not a TrueType font"):
        tickets_pdf([admission], font_file=tmp_path / "none.ttf")


def test_a_calendar_shows_the_evening_in_the_venues_time_once(admission: Admission) -> None:
    text = calendar_entry([admission, replace(admission, seat="13")])
    calendar: Any = Calendar.from_ical(text)
    (entry,) = calendar.walk("VEVENT")

    assert entry["DTSTART"].dt == admission.start_time
    assert str(entry["DTSTART"].dt.tzinfo) == "Europe/Warsaw"
    assert entry["DTEND"].dt == admission.end_time
    assert entry["SUMMARY"] == admission.event
    assert "seat 12" in entry["DESCRIPTION"]
    assert "seat 13" in entry["DESCRIPTION"]
    assert len(calendar.walk("VTIMEZONE")) == 1
    assert admission.code.encode() not in text, "calendars are shared"
