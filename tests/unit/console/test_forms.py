"""The dialogs of the console: what they show is escaped, what is entered in them is read as it was meant."""

import re
from urllib.parse import urlencode

import pytest
from google.type.money_pb2 import Money
from starlette.requests import Request
from starlette.types import Message
from starlette_admin.exceptions import ActionFailed

from console.forms import boxes, choice, dialog, hidden, money_of, said, whole_number, words
from console.records import amount

EVIL = "\"><script>alert(1)</script>'"


def test_nothing_that_people_wrote_becomes_markup() -> None:
    form = dialog(
        said(EVIL),
        hidden("etag", EVIL),
        words("note", EVIL, value=EVIL, hint=EVIL),
        choice("method", EVIL, [(EVIL, EVIL)], hint=EVIL),
        boxes("seats", EVIL, [(EVIL, EVIL)]),
    )
    assert "<script" not in form
    assert EVIL[:2] not in re.sub(r"<[^<>]*>", "", form)


def test_every_dialog_is_another_one() -> None:
    ids = {re.search(r'name="request_id" value="([0-9a-f]{32})"', dialog())[1] for _ in range(2)}  # type: ignore[index]
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("text", "currency", "money"),
    [
        ("5", "EUR", Money(currency_code="EUR", units=5)),
        (" 12.50 ", "EUR", Money(currency_code="EUR", units=12, nanos=500_000_000)),
        ("12,50", "EUR", Money(currency_code="EUR", units=12, nanos=500_000_000)),
        ("0.001 kwd", "EUR", Money(currency_code="KWD", nanos=1_000_000)),
        ("7 CHF", "", Money(currency_code="CHF", units=7)),
        ("1,234,567.80 EUR", "", Money(currency_code="EUR", units=1_234_567, nanos=800_000_000)),
        ("1,250 JPY", "", Money(currency_code="JPY", units=1250)),
    ],
)
def test_an_amount_is_read_as_it_was_meant(text: str, currency: str, money: Money) -> None:
    assert money_of(text, currency) == money


@pytest.mark.parametrize(
    "text", ["", "-5", "1.234,50", "1e3", "5 €", "5 EURO", "1,000", "1.000", "1,000 KWD", "0.5 JPY", "\u0665"]
)
def test_what_is_no_amount_is_told(text: str) -> None:
    with pytest.raises(ActionFailed, match="not an amount"):
        money_of(text, "EUR")


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("units", [0, 7, 1000, 12_345_678])
def test_a_form_takes_the_amount_that_it_shows(units: int, currency: str) -> None:
    money = Money(currency_code=currency, units=units)
    assert money_of(amount(money), "") == money


def test_an_amount_without_any_currency_is_told() -> None:
    with pytest.raises(ActionFailed, match=r"write 12\.50 EUR"):
        money_of("5", "")


@pytest.mark.parametrize(("text", "number"), [("", 0), ("7", 7), ("2147483647", 2**31 - 1)])
async def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert await whole_number(sent(bound=text), "bound", "Bound") == number


@pytest.mark.parametrize("text", ["1e3", "-1", "1.5", "2147483648", "\u00b2"])
async def test_what_is_no_whole_number_is_told(text: str) -> None:
    with pytest.raises(ActionFailed, match="is not a whole number"):
        await whole_number(sent(bound=text), "bound", "Bound")


def sent(**form: str) -> Request:
    """A request with a form."""
    body = urlencode(form).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)
