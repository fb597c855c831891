"""Reads the request and holds it against the rules that stand in the protos (protovalidate).

Handlers get messages that satisfy every rule of the contract and never check shapes themselves. gRPC is given no
deserializer: bytes that are no message would end there as a bland INTERNAL, and here they are an INVALID_ARGUMENT
like any other; and reading comes after the guards, so a caller who may not call cannot make us read.
"""

from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.message import DecodeError, Message
from protovalidate import Validator, Violation

from server.errors import FieldFault, InvalidArgument, ResourceExhausted
from server.interceptors.method import Method
from server.interceptors.well_formed import well_formed

MAX_FAULTS: Final = 50


class Validation:
    """Reads requests and checks them.

    Args:
        max_bytes: largest request, decompressed.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._validator = Validator()

    def warm(self, methods: Iterable[Method]) -> None:
        """Compile the rules of every request now: the first call of each would wait for milliseconds.

        Raises:
            protovalidate.CompilationError: a rule in a proto is not valid.
        """
        for method in methods:
            self._validator.collect_violations(method.request_class())

    def reader(self, method: Method) -> Callable[[bytes], Message]:
        """The function that makes requests of ``method`` out of bytes.

        It raises ``InvalidArgument`` for what is no such message or breaks a rule, ``ResourceExhausted`` for what
        is too large.
        """
        parse = method.request_class.FromString
        violations = self._validator.collect_violations
        check_times = well_formed(method.request_class.DESCRIPTOR)
        max_bytes = self._max_bytes

        def read(raw: bytes) -> Message:
            if len(raw) > max_bytes:
                raise ResourceExhausted(
                    "REQUEST_TOO_LARGE",
                    f"the request has {len(raw)} bytes; {max_bytes} are accepted",
                    limit_bytes=str(max_bytes),
                )
            try:
                request = parse(raw)
            except DecodeError:
                raise _unreadable(method) from None
            if found := violations(request):
                raise refusal(request, found)
            if check_times is not None and (faults := check_times(request)):
                first = faults[0]
                raise InvalidArgument(
                    "INVALID_FIELD", f"{first.field}: {first.description}", fields=faults[:MAX_FAULTS]
                )
            return request

        return read


def refusal(request: Message, violations: list[Violation]) -> InvalidArgument:
    """The error that names each field at fault."""
    faults = [_fault(request, violation) for violation in violations[:MAX_FAULTS]]
    first = faults[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    where = f"{first.field}: " if first.field else ""
    return InvalidArgument("INVALID_FIELD", f"{where}{first.description}{more}", fields=faults)


def _unreadable(method: Method) -> InvalidArgument:
    name = method.request_class.DESCRIPTOR.full_name
    return InvalidArgument(
        "INVALID_FIELD",
        f"the request is not a valid {name}: malformed bytes, text that is not UTF-8, or nesting too deep",
        fields=[FieldFault("", f"not a valid {name}")],
    )


def _fault(request: Message, violation: Violation) -> FieldFault:
    facts = violation.proto
    path = ""
    for element in facts.field.elements if facts.field else ():
        path += f".{element.field_name}" if path else str(element.field_name)
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
    # A rule over a whole message names no field; those of the contract are called "<path of the field>.<rule>".
    if not path and facts.rule_id:
        named = facts.rule_id.rpartition(".")[0]
        if named.partition(".")[0] in request.DESCRIPTOR.fields_by_name:
            path = named
    return FieldFault(path, facts.message or facts.rule_id or "breaks a rule")
