"""The contract keeps its own rules: those that buf cannot know."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import grpc
import pytest
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from protovalidate import Validator

from buf.validate import validate_pb2
from rowlock.v1 import errors_pb2

PROTOS = Path(__file__).parents[2] / "protos" / "rowlock" / "v1"
REASONS = list(errors_pb2.ErrorReason.keys())
READS = ("Get", "List", "Watch", "Export")
# These prove who calls by what they carry, work once, or are asked again without harm: they need no request_id.
WITHOUT_REQUEST_ID = {
    "VerifyEmail",
    "LogIn",
    "RefreshToken",
    "LogOut",
    "ConfirmPasswordReset",
    "ChangePassword",
    "ExchangeApiKey",
    "HandleProviderWebhook",
}


def files() -> list[FileDescriptor]:
    return [import_module(f"rowlock.v1.{path.stem}_pb2").DESCRIPTOR for path in sorted(PROTOS.glob("*.proto"))]


def methods() -> list[MethodDescriptor]:
    return [method for file in files() for service in file.services_by_name.values() for method in service.methods]


@cache
def requested() -> dict[str, Descriptor]:
    """Every message of ours that a request can carry, by name."""
    found: dict[str, Descriptor] = {}

    def visit(message: Descriptor) -> None:
        if message.full_name.startswith("rowlock.v1.") and message.full_name not in found:
            found[message.full_name] = message
            for field in message.fields:
                if field.message_type is not None:
                    visit(field.message_type)

    for method in methods():
        visit(method.input_type)
    return found


def fields() -> Iterator[FieldDescriptor]:
    for message in requested().values():
        if not message.GetOptions().map_entry:
            yield from message.fields


def rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def is_bounded(field: FieldDescriptor, rule: validate_pb2.FieldRules) -> bool:
    """Whether a value of this field cannot be of any size."""
    numbers = {
        FieldDescriptor.TYPE_INT32: rule.int32,
        FieldDescriptor.TYPE_INT64: rule.int64,
        FieldDescriptor.TYPE_DOUBLE: rule.double,
    }
    if field.type == FieldDescriptor.TYPE_STRING:
        return rule.string.HasField("max_len")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rule.bytes.HasField("max_len")
    if field.type == FieldDescriptor.TYPE_ENUM:
        return rule.enum.defined_only or len(getattr(rule.enum, "in")) > 0
    if field.type in numbers:
        number = numbers[field.type]
        return number.HasField("gte") or number.HasField("gt")
    return True


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_every_rpc_has_an_http_path(method: MethodDescriptor) -> None:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    assert rule.WhichOneof("pattern"), "no google.api.http"
    assert bool(rule.body) == (rule.WhichOneof("pattern") in {"post", "patch"})


def test_no_two_rpcs_share_an_http_path() -> None:
    paths = []
    for method in methods():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        assert verb is not None
        paths.append((verb, re.sub(r"\{[\w.]+=(.*?)\}", r"\1", getattr(rule, verb))))
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_every_rpc_that_changes_something_takes_a_request_id(method: MethodDescriptor) -> None:
    expected = not method.name.startswith(READS) and method.name not in WITHOUT_REQUEST_ID
    assert ("request_id" in method.input_type.fields_by_name) == expected


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_the_rules_of_every_request_compile(method: MethodDescriptor) -> None:
    request = getattr(
        import_module(method.input_type.file.name.removesuffix(".proto").replace("/", ".") + "_pb2"),
        method.input_type.name,
    )
    Validator().collect_violations(request())


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: field.full_name)
def test_every_field_of_a_request_says_how_it_behaves(field: FieldDescriptor) -> None:
    behaviour = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    assert len(behaviour) > 0 or field.containing_oneof is not None


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: field.full_name)
def test_every_field_of_a_request_is_bounded(field: FieldDescriptor) -> None:
    rule = rules(field)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        assert rule.map.HasField("max_pairs")
        assert is_bounded(entry.fields_by_name["key"], rule.map.keys)
        assert is_bounded(entry.fields_by_name["value"], rule.map.values)
    elif field.is_repeated:
        assert rule.repeated.HasField("max_items")
        assert field.type != FieldDescriptor.TYPE_STRING or is_bounded(field, rule.repeated.items)
    else:
        assert is_bounded(field, rule)


def test_rules_over_a_whole_message_are_named_after_a_field() -> None:
    for message in requested().values():
        for rule in message.GetOptions().Extensions[validate_pb2.message].cel:
            path, _, reason = rule.id.rpartition(".")
            assert reason
            reached: Descriptor | None = message
            for name in path.split("."):
                assert reached is not None
                reached = reached.fields_by_name[name].message_type


def test_every_error_reason_says_its_code_and_every_reason_named_exists() -> None:
    text = (PROTOS / "errors.proto").read_text()
    codes = "|".join(code.name for code in grpc.StatusCode if code not in {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN})
    described = re.findall(rf"\n  // (?:{codes})\. [^\n]+(?:\n  // [^\n]+)*\n  ([A-Z_]+) = \d+;", text)
    assert described == REASONS[1:]
    for path in PROTOS.glob("*.proto"):
        for named in re.findall(r"Errors:((?:[^\n]|\n  //)*)", path.read_text()):
            unknown = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", named)).difference(REASONS)
            assert not unknown, f"{path.name}: {unknown}"
