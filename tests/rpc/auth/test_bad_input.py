"""Every field of every request of AuthService, filled with what nobody should send."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rowlock.v1 import auth_pb2 as pb
from server.interceptors.method import Method, methods_of
from server.services.unserved import UNSERVED
from tests.rpc.auth.conftest import PASSWORD, Client, Person, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = [
    method
    for method in methods_of(pb.DESCRIPTOR.services_by_name["AuthService"])
    if method.path not in UNSERVED and method.name != "GetJwks"
]
STRINGS = {
    "empty": "",
    "10 kB": "x" * 10_240,
    "NUL": "a\0b",
    "newline": "a\nb",
    "right-to-left override": "\u202egnp.exe",
    "only spaces": "   ",
    "quotes": "'; DROP TABLE users; --",
    "a path": "../../etc/passwd",
    "malformed id": "users/not-a-uuid",
    "upper case id": "users/0190A000-0000-7000-8000-000000000000",
    "absent id": "users/0190a000-0000-7000-8000-000000000000",
    "absent key": "users/me/apiKeys/0190a000-0000-7000-8000-000000000000",
    "another kind of name": "performances/1",
    "an astral character": "\U0001f3ad",
}
NUMBERS = [-1, -(2**31), 2**31 - 1]
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "FAILED_PRECONDITION", "ALREADY_EXISTS", "ABORTED"}
BETRAYALS = ("Traceback", "sqlalchemy", "psycopg", "SELECT ", "INSERT ", "UPDATE ", ".py", "site-packages")


@dataclass
class Fault:
    """A request with one wrong field."""

    path: str
    what: str
    request: Message


def example(method: Method, person: Person) -> Message:
    """A request that would be served."""
    requests: dict[str, Message] = {
        "SignUp": pb.SignUpRequest(display_name="Ada", email="bad-input@example.com", password=PASSWORD),
        "VerifyEmail": pb.VerifyEmailRequest(code="x" * 43),
        "ResendVerification": pb.ResendVerificationRequest(email=person.email),
        "RequestPasswordReset": pb.RequestPasswordResetRequest(email=person.email),
        "ConfirmPasswordReset": pb.ConfirmPasswordResetRequest(code="x" * 43, new_password=PASSWORD),
        "LogIn": pb.LogInRequest(email=person.email, password=PASSWORD),
        "RefreshToken": pb.RefreshTokenRequest(refresh_token=person.refresh),
        "LogOut": pb.LogOutRequest(refresh_token=person.refresh),
        "LogOutEverywhere": pb.LogOutEverywhereRequest(name=person.name),
        "ChangePassword": pb.ChangePasswordRequest(
            name="users/me", current_password="not the password", new_password="another good secret"
        ),
        "GetUser": pb.GetUserRequest(name=person.name),
        "UpdateUser": pb.UpdateUserRequest(user=pb.User(name=person.name, display_name="New")),
        "ListUsers": pb.ListUsersRequest(),
        "SetUserRole": pb.SetUserRoleRequest(name=person.name, role=pb.ROLE_CUSTOMER),
        "DisableUser": pb.DisableUserRequest(name=person.name),
        "EnableUser": pb.EnableUserRequest(name=person.name),
        "CreateApiKey": pb.CreateApiKeyRequest(
            parent=person.name, api_key=pb.ApiKey(display_name="Door", role=pb.ROLE_GATE)
        ),
        "ListApiKeys": pb.ListApiKeysRequest(parent="users/-"),
        "RevokeApiKey": pb.RevokeApiKeyRequest(name=f"{person.name}/apiKeys/0190a000-0000-7000-8000-000000000000"),
        "ExchangeApiKey": pb.ExchangeApiKeyRequest(api_key="rlk_x"),
    }
    return requests[method.name]


def faults(method: Method, person: Person) -> Iterator[Fault]:
    """Every field in turn, with every wrong value that its type can hold."""
    good = example(method, person)
    for path, parents, field in fields(good.DESCRIPTOR):
        for what, value in wrong_values(field):
            request = type(good)()
            request.CopyFrom(good)
            target: Any = request
            for parent in parents:
                target = getattr(target, parent)
            if field.is_repeated:
                getattr(target, field.name).extend([value] * (1001 if what == "1,001 times" else 1))
            elif field.message_type is not None:
                getattr(target, field.name).CopyFrom(value)
            else:
                setattr(target, field.name, value)
            yield Fault(path, what, request)


def fields(descriptor: Any, *parents: str) -> Iterator[tuple[str, tuple[str, ...], FieldDescriptor]]:
    for field in descriptor.fields:
        path = ".".join((*parents, field.name))
        if field.message_type is not None and not field.is_repeated and field.message_type.file is descriptor.file:
            yield from fields(field.message_type, *parents, field.name)
        else:
            yield path, parents, field


def wrong_values(field: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    if field.message_type is not None:
        empty: Any = GetMessageClass(field.message_type)
        if field.message_type.name == "Timestamp":
            for seconds, nanos in ((-(2**63), 0), (2**63 - 1, 0), (-62_135_596_800, 0), (253_402_300_800, 0), (0, -1)):
                yield f"{seconds} s {nanos} ns", empty(seconds=seconds, nanos=nanos)
        elif field.message_type.name == "FieldMask":
            for path in ("nothing", "role", "name", "", "a.b", "*", "display_name.x"):
                yield f"mask {path!r}", empty(paths=[path])
    elif field.type == FieldDescriptor.TYPE_STRING:
        yield from STRINGS.items()
        if field.is_repeated:
            yield "1,001 times", "venues/1"
    elif field.type in {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_ENUM}:
        for number in NUMBERS:
            yield str(number), number


async def outcome(call: Awaitable[object]) -> tuple[str, str]:
    """The status of a call, and what it says to people."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_wrong_values_are_refused_or_harmless(client: Client, method: Method) -> None:
    admin, person = await client.admin(), await client.sign_up()
    call = client.channel.unary_unary(
        method.path, request_serializer=type(example(method, person)).SerializeToString, response_deserializer=None
    )
    tried = 0
    for fault in faults(method, person):
        tried += 1
        code, message = await outcome(call(fault.request, metadata=admin.token, timeout=10))
        told = f"{method.name} {fault.path} {fault.what}: {code} {message}"
        assert code in {"OK", *REFUSALS}, told
        assert not [word for word in BETRAYALS if word in message], told
    assert tried


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        ("SignUp", pb.SignUpRequest(email="a@example.com", password=PASSWORD), "display_name"),
        ("SignUp", pb.SignUpRequest(display_name="A\nB", email="a@example.com", password=PASSWORD), "display_name"),
        ("SignUp", pb.SignUpRequest(display_name="A", email="no address", password=PASSWORD), "email"),
        ("SignUp", pb.SignUpRequest(display_name="A", email="a@b@c", password=PASSWORD), "email"),
        ("SignUp", pb.SignUpRequest(display_name="A", email=f"{'x' * 250}@e.com", password=PASSWORD), "email"),
        ("SignUp", pb.SignUpRequest(display_name="A", email="a@example.com", password="short"), "password"),
        ("SignUp", pb.SignUpRequest(display_name="A", email="a@example.com", password="x" * 129), "password"),
        ("SignUp", pb.SignUpRequest(display_name="A", email="a@example.com", password=PASSWORD, locale="??"), "locale"),
        (
            "SignUp",
            pb.SignUpRequest(display_name="A", email="a@example.com", password=PASSWORD, request_id="no good"),
            "request_id",
        ),
        ("LogIn", pb.LogInRequest(password=PASSWORD), "email"),
        ("LogIn", pb.LogInRequest(email="a@example.com"), "password"),
        ("RefreshToken", pb.RefreshTokenRequest(), "refresh_token"),
        ("RefreshToken", pb.RefreshTokenRequest(refresh_token="x" * 513), "refresh_token"),
        ("LogOut", pb.LogOutRequest(), "refresh_token"),
        ("GetUser", pb.GetUserRequest(), "name"),
        ("GetUser", pb.GetUserRequest(name="users/1"), "name"),
        ("ListUsers", pb.ListUsersRequest(page_size=-1), "page_size"),
        ("ListUsers", pb.ListUsersRequest(page_token="edited"), "page_token"),
        ("UpdateUser", pb.UpdateUserRequest(), "user"),
        ("RevokeApiKey", pb.RevokeApiKeyRequest(name="users/me"), "name"),
        ("ExchangeApiKey", pb.ExchangeApiKeyRequest(), "api_key"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(client: Client, call: str, request_: Message, field: str) -> None:
    admin = await client.admin()
    refused = await refusal(getattr(client.auth, call)(request_, metadata=admin.token))
    assert refused.code == "INVALID_ARGUMENT"
    assert field in refused.fields


async def test_bytes_that_are_no_text_or_no_message_are_refused(client: Client) -> None:
    call = client.channel.unary_unary("/rowlock.v1.AuthService/LogIn", None, None)
    for raw in (b"\x0a\x02\xc3\x28", b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x05abc"):
        assert (await refusal(call(raw))).code == "INVALID_ARGUMENT"
