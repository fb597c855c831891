"""What a request of staff's leaves on record: who, which RPC, what it is about, and the request without secrets.

Whoever makes a change takes the record from here and writes it in the transaction of the change: ``mutation.once`` for
most, the seat ledger, payments, doors and lines for what they combine.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from google.api.field_behavior_pb2 import OUTPUT_ONLY, field_behavior
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from server import resources
from server.domain.staff_records import StaffRecord
from server.interceptors.authentication import Caller, optional_caller
from server.interceptors.method import methods_of
from server.registration import contract
from server.services.standing import STAFF

_NAMES: Final = 100
_LONGEST: Final = 16_000
"""Characters of JSON that are kept of a request."""
_BOUNDS: Final = ((10_000, 200), (2_000, 50), (500, 10), (100, 3))
"""How long texts and lists may be: the first that fit, and the last in any case."""


def record_of(request: Message, *made: str) -> StaffRecord | None:
    """What is to be recorded of the current call; None: nothing, it is not of staff's.

    Args:
        request: the request.
        made: names of what it makes, where they are known beforehand.
    """
    who = optional_caller()
    return None if who is None or who.role not in STAFF else _record(request, who, made)


def with_answer(request: Message, who: Caller, answer: Message) -> StaffRecord:
    """What is to be recorded of a call of staff's that was answered so."""
    return _record(request, who, _made(answer))


def own_name(name: str, me: str) -> str:
    """A name, with the caller's own (``me``) in place of ``users/me``."""
    own = name == resources.ME or name.startswith(f"{resources.ME}/")
    return me + name.removeprefix(resources.ME) if own else name


def _record(request: Message, who: Caller, made: Iterable[str]) -> StaffRecord:
    me = resources.user(who.user_id)
    named = {own_name(name, me): None for name in (*_names_in(request), *made)}
    words, shortened = _as_json(request)
    request_id: str = getattr(request, "request_id", "")
    return StaffRecord(
        actor_id=who.user_id,
        role=who.role,
        key_id=who.key_id,
        method=_methods()[request.DESCRIPTOR.full_name],
        resources=tuple(named)[:_NAMES],
        request=words,
        shortened=shortened,
        request_id=request_id or None,
    )


@cache
def _methods() -> dict[str, str]:
    """The RPC that each kind of request is of."""
    return {
        method.request_class.DESCRIPTOR.full_name: f"{method.service.rpartition('.')[2]}.{method.name}"
        for service in contract()
        for method in methods_of(service)
    }


def _names_in(message: Message) -> Iterator[str]:
    """Every resource name in a request, wherever it stands, in the order of its fields."""
    for field, value in message.ListFields():
        if _is_unsaid(field) or _is_map(field):
            continue
        for one in value if field.is_repeated else (value,):
            if isinstance(one, Message):
                yield from _names_in(one)
            elif isinstance(one, str) and resources.is_name(one):
                yield one


def _made(answer: Any) -> Iterator[str]:
    """The name of an answer, and of the resources in it."""
    parts = (value for field, value in answer.ListFields() if isinstance(value, Message))
    for one in (answer, *parts):
        if "name" in one.DESCRIPTOR.fields_by_name and resources.is_name(one.name):
            yield one.name


def _as_json(request: Message) -> tuple[str, bool]:
    """A request as JSON text without what is not to be said, and whether something long was left out."""
    copy = type(request)()
    copy.CopyFrom(request)
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        copy.ClearField("request_id")
    shortened = False
    words = ""
    for longest_text, longest_list in _BOUNDS:
        shortened = _cut(copy, longest_text, longest_list) or shortened
        words = json.dumps(MessageToDict(copy), ensure_ascii=False)
        if len(words) <= _LONGEST:
            break
    return words, shortened


def _cut(message: Any, longest_text: int, longest_list: int) -> bool:
    """Take out of a message what is not to be said, and what is longer than may be; return whether there was such."""
    cut = False
    for field, value in message.ListFields():
        if _is_unsaid(field):
            message.ClearField(field.name)
        elif _is_map(field) or field.is_repeated:
            cut = _cut_list(field, value, longest_text, longest_list) or cut
        elif isinstance(value, Message):
            cut = _cut(value, longest_text, longest_list) or cut
        elif (kept := _kept(value, longest_text)) != value:
            setattr(message, field.name, kept)
            cut = cut or len(kept) < len(value)
    return cut


def _cut_list(field: FieldDescriptor, values: Any, longest_text: int, longest_list: int) -> bool:
    """As ``_cut``, for what a repeated field or a map holds."""
    cut = len(values) > longest_list
    if _is_map(field):
        for key in list(values)[longest_list:]:
            del values[key]
        return cut
    del values[longest_list:]
    for number, one in enumerate(values):
        if isinstance(one, Message):
            cut = _cut(one, longest_text, longest_list) or cut
        elif (kept := _kept(one, longest_text)) != one:
            values[number] = kept
            cut = cut or len(kept) < len(one)
    return cut


def _kept(value: Any, longest: int) -> Any:
    """What is kept of a value: texts and bytes up to their longest, and no NUL, which PostgreSQL has no room for."""
    if isinstance(value, str):
        cut = value[:longest] + "…" if len(value) > longest + 1 else value
        return cut.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return value[:longest] if isinstance(value, bytes) else value


def _is_unsaid(field: FieldDescriptor) -> bool:
    """Whether a field is a secret that nobody may read again, or one that the server does not read in requests."""
    options = field.GetOptions()
    return bool(options.debug_redact) or OUTPUT_ONLY in options.Extensions[field_behavior]


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
