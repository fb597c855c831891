"""Printable tickets: one page each, with the code as a QR symbol of vectors, sharp on any printer and screen.

The page is A5, landscape: two fit on a sheet of A4. Everything a person at the door needs can be read on it without
a scanner, too.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Final

import segno
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A5, landscape
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from server.tickets.admission import Admission, short_name
from server.tickets.calendar_entries import calendar_entry
from server.tickets.fonts import Fonts, fonts

__all__ = ["Admission", "calendar_entry", "tickets_pdf"]

_WIDTH, _HEIGHT = landscape(A5)
_MARGIN: Final = 12 * mm
_CODE_SIZE: Final = 62 * mm
_QUIET: Final = 4
"""Light modules around the symbol, without which scanners do not find it."""
_TEXT_WIDTH: Final = _WIDTH - 3 * _MARGIN - _CODE_SIZE
_INK: Final = HexColor("#111111")
_PALE: Final = HexColor("#5f6670")
_LINE: Final = HexColor("#c9ced6")
_CODE_LINE: Final = 36
_ONE_AT_A_TIME: Final = Lock()
"""The library keeps its place in a font while it embeds glyphs: two documents at once would mix them up."""


def tickets_pdf(admissions: Sequence[Admission], *, font_file: Path | None = None) -> bytes:
    """A PDF document with a page for each ticket. The same tickets make the same bytes.

    It takes some ten milliseconds a ticket: call it off the event loop. Several threads may; they take turns.

    Args:
        admissions: at least one.
        font_file: a TrueType font for scripts that the usual one lacks.

    Raises:
        FontError: the font cannot be used.
    """
    with _ONE_AT_A_TIME:
        return _tickets_pdf(admissions, fonts(font_file))


def _tickets_pdf(admissions: Sequence[Admission], chosen: Fonts) -> bytes:
    document = BytesIO()
    canvas = Canvas(document, pagesize=(_WIDTH, _HEIGHT), invariant=1, pageCompression=1)
    first = admissions[0]
    canvas.setTitle(f"{first.event}: {'ticket' if len(admissions) == 1 else f'{len(admissions)} tickets'}")
    canvas.setCreator("Rowlock")
    for admission in admissions:
        _draw_ticket(canvas, chosen, admission)
        canvas.showPage()
    canvas.save()
    return document.getvalue()


def _draw_ticket(canvas: Canvas, chosen: Fonts, admission: Admission) -> None:
    top = _HEIGHT - _MARGIN
    top = _draw_lines(canvas, chosen.bold, _fit(chosen, admission.event, size=24, most=3), top, _INK)
    start = admission.local_start
    when = f"{start:%A}, {start.day} {start:%B %Y}, {start:%H:%M} ({admission.time_zone})"
    top = _draw_lines(canvas, chosen.regular, _fit(chosen, when, size=12, most=2), top - 2 * mm, _INK)
    where = ", ".join(part for part in (admission.venue, admission.hall) if part)
    top = _draw_lines(canvas, chosen.regular, _fit(chosen, where, size=12, most=2), top, _INK)
    if admission.address:
        address = " ".join(admission.address.split())
        top = _draw_lines(canvas, chosen.regular, _fit(chosen, address, size=9, most=2), top, _PALE)
    top -= 5 * mm
    canvas.setStrokeColor(_LINE)
    canvas.line(_MARGIN, top, _MARGIN + _TEXT_WIDTH, top)
    top = _draw_place(canvas, chosen, admission, top - 6 * mm)
    _draw_facts(canvas, chosen, admission, top - 9 * mm)
    _draw_code(canvas, chosen, admission.code)


def _draw_place(canvas: Canvas, chosen: Fonts, admission: Admission, top: float) -> float:
    """Where to go, largest of all: two or three columns, each with its word above it."""
    if admission.area:
        columns = [("Section", admission.section), ("Standing", admission.area)]
    else:
        columns = [("Section", admission.section), ("Row", admission.row), ("Seat", admission.seat)]
    shares = [0.5, 0.25, 0.25] if len(columns) == 3 else [0.5, 0.5]
    left = _MARGIN
    for (word, value), share in zip(columns, shares, strict=True):
        width = _TEXT_WIDTH * share
        canvas.setFillColor(_PALE)
        canvas.setFont(chosen.regular, 9)
        canvas.drawString(left, top, word)
        size = 22.0
        text = chosen.writable(value)
        while size > 7 and stringWidth(text, chosen.bold, size) > width - 3 * mm:
            size -= 0.5
        canvas.setFillColor(_INK)
        canvas.setFont(chosen.bold, size)
        canvas.drawString(left, top - 9 * mm, text)
        left += width
    return top - 9 * mm


def _draw_facts(canvas: Canvas, chosen: Fonts, admission: Admission, top: float) -> None:
    facts = [
        ("Type", f"{admission.ticket_type}, {admission.amount}"),
        ("Booking", short_name(admission.booking)),
        ("Ticket", short_name(admission.ticket)),
    ]
    for word, value in facts:
        canvas.setFillColor(_PALE)
        canvas.setFont(chosen.regular, 9)
        canvas.drawString(_MARGIN, top, word)
        canvas.setFillColor(_INK)
        text, size = _fit(chosen, value, size=9, most=1, width=_TEXT_WIDTH - 18 * mm)
        canvas.setFont(chosen.regular, size)
        canvas.drawString(_MARGIN + 18 * mm, top, text[0])
        top -= 5 * mm


def _draw_code(canvas: Canvas, chosen: Fonts, code: str) -> None:
    """The symbol, and the code below it as text, for a door whose scanner is broken."""
    rows = [bytes(row) for row in segno.make(code, error="m", micro=False, boost_error=False).matrix]
    module = _CODE_SIZE / (len(rows) + 2 * _QUIET)
    left, top = _WIDTH - _MARGIN - _CODE_SIZE, _HEIGHT - _MARGIN
    path = canvas.beginPath()
    for y, row in enumerate(rows):
        for begin, end in _dark_runs(row):
            path.rect(left + (_QUIET + begin) * module, top - (_QUIET + y + 1) * module, (end - begin) * module, module)
    canvas.setFillColorRGB(0, 0, 0)
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.setFillColor(_PALE)
    canvas.setFont("Courier", 6)
    line = top - _CODE_SIZE - 1 * mm
    for begin in range(0, len(code), _CODE_LINE):
        canvas.drawCentredString(left + _CODE_SIZE / 2, line, code[begin : begin + _CODE_LINE])
        line -= 7
    canvas.setFont(chosen.regular, 8)
    canvas.drawCentredString(left + _CODE_SIZE / 2, line - 2 * mm, "Admits one, once. Do not share the code.")


def _dark_runs(row: bytes) -> list[tuple[int, int]]:
    """Dark modules of a row that touch each other, as (first, behind the last): fewer and seamless rectangles."""
    runs: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if not dark:
            continue
        if runs and runs[-1][1] == x:
            runs[-1] = (runs[-1][0], x + 1)
        else:
            runs.append((x, x + 1))
    return runs


def _draw_lines(canvas: Canvas, font: str, fitted: tuple[list[str], float], top: float, color: Color) -> float:
    """Write lines below ``top``; returns where the next may begin."""
    lines, size = fitted
    canvas.setFillColor(color)
    canvas.setFont(font, size)
    for line in lines:
        top -= size * 1.2
        canvas.drawString(_MARGIN, top, line)
    return top - size * 0.3


def _fit(
    chosen: Fonts, text: str, *, size: float, most: int, width: float = _TEXT_WIDTH, least: float = 7
) -> tuple[list[str], float]:
    """Break a text into at most so many lines, smaller if it must be, cut off with an ellipsis if nothing helps."""
    text = chosen.writable(" ".join(text.split()))
    while True:
        lines = _wrap(text, chosen.bold, size, width)
        if len(lines) <= most:
            return lines or [""], size
        if size <= least:
            last = lines[most - 1]
            while last and stringWidth(f"{last}…", chosen.bold, size) > width:
                last = last[:-1]
            return [*lines[: most - 1], f"{last}…"], size
        size -= 1


def _wrap(text: str, font: str, size: float, width: float) -> list[str]:
    """Lines that are not wider than ``width``; a word that is gets broken."""
    lines: list[str] = []
    for word in text.split(" "):
        rest = word
        if lines and stringWidth(f"{lines[-1]} {rest}", font, size) <= width:
            lines[-1] = f"{lines[-1]} {rest}"
            continue
        while stringWidth(rest, font, size) > width and len(rest) > 1:
            cut = len(rest) - 1
            while cut > 1 and stringWidth(rest[:cut], font, size) > width:
                cut -= 1
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines
