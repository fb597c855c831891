"""What a dialog asks before something is done: its form, and reading what was entered there.

Every form carries an id of its own, so that a form that is sent twice is known again: see `console.calling.call`.
"""

import re
import secrets
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from google.type.money_pb2 import Money
from markupsafe import Markup
from starlette.requests import Request
from starlette_admin.exceptions import ActionFailed

from console.calling import REQUEST_ID
from server.domain.currencies import decimal_places

LONGEST_REASON: Final = 500
"""Characters that the API takes as a reason."""

_WHOLE: Final = re.compile(r"[0-9]{1,10}")
_LARGEST: Final = 2**31 - 1
_CURRENCY: Final = r"\s*([A-Za-z]{3})?"
_AMOUNT: Final = re.compile(rf"([0-9]{{1,8}}(?:\.[0-9]{{1,4}}|,[0-9]{{1,2}})?){_CURRENCY}")
# As `console.records.amount` writes it, so that a form takes what it shows.
_GROUPED: Final = re.compile(rf"([0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]{{1,4}})?){_CURRENCY}")


def dialog(*parts: Markup) -> str:
    """The form of a dialog, made of what the other functions here return."""
    return Markup('<form class="mt-3">{}{}</form>').format(identity(), Markup().join(parts))


def identity() -> Markup:
    """The hidden field by which a form is known again, however often it is sent."""
    return hidden(REQUEST_ID, secrets.token_hex(16))


def hidden(name: str, value: str) -> Markup:
    """What is sent along unseen."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, value)


def said(text: str) -> Markup:
    """A sentence between the fields."""
    return Markup('<p class="mb-2">{}</p>').format(text)


def words(
    name: str,
    label: str,
    *,
    required: bool = False,
    value: str = "",
    hint: str = "",
    most: int = LONGEST_REASON,
    kind: str = "text",
) -> Markup:
    """A field for text.

    Args:
        name: of the field.
        label: what people read.
        required: whether it must not be left empty.
        value: what is in it at first.
        hint: below it.
        most: characters at most.
        kind: of the `input`: `text`, `number`, `datetime-local` …
    """
    field = Markup('<input class="form-control" type="{}" id="form-{}" name="{}" value="{}" maxlength="{}"{}>').format(
        kind, name, name, value, most, Markup(" required") if required else ""
    )
    return _labelled(name, label, field, hint)


def paragraphs(name: str, label: str, *, most: int) -> Markup:
    """A larger field for text of up to `most` characters, which must not be left empty."""
    field = Markup('<textarea class="form-control" id="form-{}" name="{}" rows="6" maxlength="{}" required></textarea>')
    return _labelled(name, label, field.format(name, name, most), "")


def choice(name: str, label: str, choices: Iterable[tuple[str, str]], *, hint: str = "") -> Markup:
    """A field for one of several: value and label of each. Nothing is chosen at first: whoever sends it has to."""
    options = Markup().join(Markup('<option value="{}">{}</option>').format(value, shown) for value, shown in choices)
    field = Markup(
        '<select class="form-select" id="form-{}" name="{}" required><option value="">choose …</option>{}</select>'
    ).format(name, name, options)
    return _labelled(name, label, field, hint)


def boxes(name: str, label: str, choices: Iterable[tuple[str, str]]) -> Markup:
    """Boxes to tick, each a value with a label; those that are ticked are sent."""
    ticked = Markup().join(
        Markup(
            '<label class="form-check"><input class="form-check-input" type="checkbox" name="{}" value="{}">'
            '<span class="form-check-label">{}</span></label>'
        ).format(name, value, shown)
        for value, shown in choices
    )
    return Markup('<fieldset class="mb-2"><legend class="form-label">{}</legend>{}</fieldset>').format(label, ticked)


def _labelled(name: str, label: str, field: Markup, hint: str) -> Markup:
    return Markup('<div class="mb-2"><label class="form-label" for="form-{}">{}</label>{}{}</div>').format(
        name, label, field, Markup('<small class="form-hint">{}</small>').format(hint) if hint else ""
    )


async def entered(request: Request, name: str) -> str:
    """What was entered in a field; empty: nothing."""
    return str((await request.form()).get(name) or "").strip()


async def whole_number(request: Request, name: str, label: str) -> int:
    """The number that was entered in a field; 0: nothing.

    Raises:
        ActionFailed: it is none, is less than 0, or is more than the API has room for. `label` is the field's.
    """
    text = await entered(request, name)
    if not text:
        return 0
    if not _WHOLE.fullmatch(text) or int(text) > _LARGEST:
        raise ActionFailed(f"{label}: {text!r} is not a whole number from 0 to {_LARGEST:,}.")
    return int(text)


async def ticked(request: Request, name: str, what: str) -> list[str]:
    """The values of the boxes that were ticked.

    Raises:
        ActionFailed: none was. `what` is what one of them is, such as `ticket`.
    """
    values = [str(value) for value in (await request.form()).getlist(name)]
    if not values:
        raise ActionFailed(f"Choose at least one {what}.")
    return values


async def chosen(request: Request, name: str, kind: object) -> int:
    """The member of an enum of the API that was chosen, as its number.

    Raises:
        ActionFailed: none was.
    """
    value = await entered(request, name)
    numbers: dict[str, int] = dict(kind.items())  # type: ignore[attr-defined] # enums of the API share no type
    if value not in numbers:
        raise ActionFailed("Choose one.")
    return numbers[value]


def money_of(text: str, currency: str) -> Money:
    """`12.50`, `12,50 CHF` or `1,250.00 EUR` as the API has it; in `currency` where none is said.

    Raises:
        ActionFailed: it is no amount; may be a thousand to some and one to others (`1,000 EUR`, `1.000 EUR`); or says
            no currency and there is none.
    """
    text = text.strip()
    found, grouped = _AMOUNT.fullmatch(text), _GROUPED.fullmatch(text)
    read = found or grouped
    code = ((read and read[2]) or currency).upper()
    value = _value(read[1], grouped is not None, decimal_places(code)) if read is not None and code else None
    if value is None:
        example = f"{Decimal('12.5'):.{decimal_places(code)}f}" if code else "12.50 EUR"
        raise ActionFailed(f"{text!r} is not an amount: write {example}.")
    units, rest = divmod(value, 1)
    return Money(currency_code=code, units=int(units), nanos=int(rest * 1_000_000_000))


def _value(number: str, grouped: bool, places: int) -> Decimal | None:
    """A number in a currency with so many decimal places; None: it can be meant in two ways, or is too exact."""
    if grouped and places and "." not in number:
        return None
    value = Decimal(number.replace(",", "") if grouped else number.replace(",", "."))
    return value if -int(value.as_tuple().exponent) <= places else None
