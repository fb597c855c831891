"""Fields of forms that make and change resources: choices, lengths, prices, and what the form was opened with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin.exceptions import ActionFailed, FormValidationError
from starlette_admin.fields import BaseField, IntegerField, StringField

from console.calling import call
from console.columns import Reference
from console.forms import money_of
from console.messages import MessageT, changed
from rowlock_client.rpc import Rpc

Choices = Sequence[tuple[str, str]]
"""Values and what people read, in order."""

MOST_CHOICES: Final = 500
"""A longer list is no list to choose from: the name is typed, with suggestions."""


@dataclass
class OpenedWith(StringField):
    """The etag that a form was opened with: unseen, and sent back, so that no change of somebody else's is lost."""

    name: str = "etag"
    form_template: str = "fields/unseen.html"
    label_template: str = "fields/nothing.html"
    exclude_from_list: bool | None = True
    exclude_from_detail: bool | None = True
    exclude_from_create: bool | None = True
    exclude_from_export: bool | None = True


async def update(
    request: Request, before: MessageT, data: Mapping[str, Any], rpc: Callable[[MessageT, FieldMask], Rpc[MessageT]]
) -> MessageT:
    """Send what a form with an `OpenedWith` changes, and nothing else of the resource.

    Args:
        request: of the browser.
        before: how the resource is now. If that is not how the form showed it, the etags differ and the server refuses.
        data: the form's values, as for `console.messages.fill`.
        rpc: the Update call, of the message and its mask.

    Raises:
        RowlockError: the server refused.
    """
    after, paths = changed(before, plain(data))
    if not paths:
        return before
    after.etag = data["etag"]  # type: ignore[attr-defined] # every resource that can be edited has one
    return await call(request, rpc(after, FieldMask(paths=paths)))


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a form with lines ended as everywhere but in browsers: nobody meant to change that."""
    return {name: value.replace("\r\n", "\n") if isinstance(value, str) else value for name, value in data.items()}


@dataclass
class Choosing(Reference):
    """A choice among resources, read when the form is made. A link's query parameter of its name chooses one.

    Args:
        choices: reads them.
    """

    choices: Callable[[Request], Awaitable[Choices]] | None = field(default=None, compare=False)
    form_template: str = "fields/choosing.html"
    class_: str = "form-control form-select"
    read_only: bool | None = False
    exclude_from_create: bool | None = False
    exclude_from_edit: bool | None = False

    def offered(self, request: Request) -> Choices:
        """Those that were read for this form."""
        read: dict[str, Choices] = getattr(request.state, "choices", {})
        return read.get(self.name, ())

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """What was chosen. The form may have to be shown again, with its choices."""
        await self._read(request)
        return str(form_data.get(self.id) or "").strip()

    async def get_create_default(self, request: Request) -> Any:
        """What a link chose."""
        await self._read(request)
        name = request.query_params.get(self.name, "")
        return (name, name) if name else None

    async def parse_obj(self, request: Request, obj: Any) -> Any:
        """The one that it is."""
        if request.state.action.is_form():
            await self._read(request)
        return await super().parse_obj(request, obj)

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """In a form: the name."""
        return value[0] if request.state.action.is_form() else await super().serialize_value(request, value)

    async def _read(self, request: Request) -> None:
        if self.choices is None:
            return
        if not hasattr(request.state, "choices"):
            request.state.choices = {}
        if self.name not in request.state.choices:
            request.state.choices[self.name] = await self.choices(request)


@dataclass
class Minutes(IntegerField):
    """A length of time in whole minutes; nothing: it is not known."""

    async def parse_obj(self, request: Request, obj: Any) -> int | None:
        """Its minutes."""
        length: timedelta | None = await super().parse_obj(request, obj)
        return None if length is None else round(length.total_seconds() / 60)


def minutes(value: int | None, before: timedelta | None = None) -> timedelta | None:
    """What was entered in a field for minutes. What is shown as it was `before` stays so, to the second."""
    if value is None:
        return None
    return before if before is not None and value == round(before.total_seconds() / 60) else timedelta(minutes=value)


@dataclass
class Lines(StringField):
    """Several texts, one a line."""

    rows: int = 3
    class_: str = "field-textarea form-control"
    form_template: str = "fields/form/textarea.html"
    detail_template: str = "fields/detail/textarea.html"

    async def parse_obj(self, request: Request, obj: Any) -> str:
        """One a line."""
        return "\n".join(await super().parse_obj(request, obj) or ())


def lines(text: str | None) -> list[str]:
    """What was entered in a field for several texts."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def price(text: str, name: str) -> Money:
    """`12.50 EUR` as the API has it.

    Raises:
        FormValidationError: at the field `name`: it is no amount with a currency.
    """
    try:
        return money_of(text, "")
    except ActionFailed:
        raise FormValidationError({name: "Write an amount and its currency, such as 12.50 EUR."}) from None


@dataclass
class Upload(BaseField):
    """A file that is read and not kept.

    Args:
        accept: which files the browser offers.
    """

    accept: str = ""
    form_template: str = "fields/upload.html"
    exclude_from_list: bool | None = True
    exclude_from_detail: bool | None = True
    exclude_from_edit: bool | None = True
    exclude_from_export: bool | None = True

    async def parse_form_data(self, request: Request, form_data: FormData) -> bytes:
        """What is in it; nothing: none was chosen."""
        found = form_data.get(self.id)
        return b"" if found is None or isinstance(found, str) else await found.read()
