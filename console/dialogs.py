"""What an action asks before it is done: the fields of its dialog.

Use::

    @row_action("cancel", "Cancel", confirmation="Cancel this booking?", form=dialog(Text("reason", "Reason")))
    async def cancel(self, request: Request, pk: str) -> None:
        form = await request.form()
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from console.calling import REQUEST_ID

_FIELD = Markup('<div class="mb-2"><label class="form-label" for="ask-{name}">{label}</label>{control}{hint}</div>')
_HINT = Markup('<div class="form-hint">{}</div>')


@dataclass(frozen=True, slots=True)
class Text:
    """A line, or several.

    Args:
        name: in the form.
        label: what people read.
        value: what is there at first, or what makes it of the row.
        required: whether it must be filled in.
        hint: below it.
        lines: more than 1: a larger field.
        kind: of the `input`, such as `number` or `datetime-local`.
    """

    name: str
    label: str
    value: str | Callable[[Any], object] = ""
    required: bool = False
    hint: str = ""
    lines: int = 1
    kind: str = "text"

    def control(self, value: object) -> Markup:
        """The field itself."""
        required = Markup(" required") if self.required else Markup()
        if self.lines > 1:
            shape = Markup('<textarea class="form-control" id="ask-{}" name="{}" rows="{}"{}>{}</textarea>')
            return shape.format(self.name, self.name, self.lines, required, value)
        shape = Markup('<input class="form-control" type="{}" id="ask-{}" name="{}" value="{}"{}>')
        return shape.format(self.kind, self.name, self.name, value, required)


@dataclass(frozen=True, slots=True)
class Choose:
    """One of several, or, with `many`, some of them.

    Args:
        name: in the form.
        label: what people read.
        choices: values and labels, or what makes them of the row.
        value: what is chosen at first, or what makes it of the row.
        many: whether several may be chosen.
        hint: below it.
    """

    name: str
    label: str
    choices: Sequence[tuple[str, str]] | Callable[[Any], Sequence[tuple[str, str]]]
    value: str | Callable[[Any], object] = ""
    many: bool = False
    hint: str = ""

    def options(self, row: Any) -> Sequence[tuple[str, str]]:
        """What there is to choose."""
        return self.choices(row) if callable(self.choices) else self.choices

    def control(self, row: Any, value: object) -> Markup:
        """The field itself."""
        if self.many:
            box = Markup(
                '<label class="form-check"><input class="form-check-input" type="checkbox" name="{}" value="{}">'
                '<span class="form-check-label">{}</span></label>'
            )
            return Markup().join(box.format(self.name, key, label) for key, label in self.options(row))
        option = Markup('<option value="{}"{}>{}</option>')
        options = Markup().join(
            option.format(key, Markup(" selected") if key == str(value) else "", label)
            for key, label in self.options(row)
        )
        return Markup('<select class="form-select" id="ask-{}" name="{}">{}</select>').format(
            self.name, self.name, options
        )


Field = Text | Choose


def dialog(*fields: Field) -> Callable[[Request, Any], str]:
    """What `row_action` takes as `form`: the fields, and what tells the server that it is the same form again.

    Args:
        fields: in their order.
    """

    def form(_: Request, row: Any) -> str:
        mark = Markup('<input type="hidden" name="{}" value="{}">').format(REQUEST_ID, secrets.token_hex(16))
        return str(Markup("<form>{}{}</form>").format(mark, Markup().join(_drawn(field, row) for field in fields)))

    return form


def _drawn(field: Field, row: Any) -> Markup:
    value = field.value(row) if callable(field.value) else field.value
    control = field.control(row, value) if isinstance(field, Choose) else field.control(value)
    hint = _HINT.format(field.hint) if field.hint else Markup()
    return _FIELD.format(name=field.name, label=field.label, control=control, hint=hint)
