"""The dialogs of the console: what they show is escaped, what is entered in them is read as it was meant."""

import re

import pytest
from google.type.money_pb2 import Money
from starlette_admin.exceptions import ActionFailed

from console.forms import boxes, choice, dialog, hidden, money_of, said, words

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
    ],
)
def test_an_amount_is_read_as_it_was_meant(text: str, currency: str, money: Money) -> None:
    assert money_of(text, currency) == money


@pytest.mark.parametrize("text", ["", "-5", "1.234,50", "1e3", "5 €", "5 EURO"])
def test_what_is_no_amount_is_told(text: str) -> None:
    with pytest.raises(ActionFailed, match="not an amount"):
        money_of(text, "EUR")


def test_an_amount_without_any_currency_is_told() -> None:
    with pytest.raises(ActionFailed, match=r"write 12\.50 EUR"):
        money_of("5", "")
