"""What AuthService refuses as malformed, and how it names it. ``tests/rpc/test_bad_input.py`` tries every field."""

import pytest
from google.protobuf.message import Message

from rowlock.v1 import auth_pb2 as pb
from tests.rpc.auth.conftest import PASSWORD, Client, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
