"""Accounts over a socket: what their owners, staff and strangers can do with them."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import auth_pb2 as pb
from tests.rpc.auth.conftest import PASSWORD, Client, Person, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "users/0190a000-0000-7000-8000-000000000000"


async def me(client: Client, person: Person) -> pb.User:
    return await client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=person.token)


@pytest.mark.promise("0.5", "2.1", "4.1")
async def test_anybody_opens_an_account_and_logs_in(client: Client) -> None:
    await client.auth.SignUp(
        pb.SignUpRequest(display_name="Ada Lovelace", email="Ada.L@Example.com", password=PASSWORD, locale="en-GB")
    )
    person = await client.log_in("ada.l@example.COM")
    user = await me(client, person)
    assert user.name == person.name
    assert (user.display_name, user.email, user.locale) == ("Ada Lovelace", "Ada.L@Example.com", "en-GB")
    assert user.role == pb.ROLE_CUSTOMER
    assert not user.disabled
    assert not user.email_verified
    assert user.create_time.seconds > 0


async def test_nobody_learns_by_signing_up_whether_an_address_is_known(client: Client) -> None:
    person = await client.sign_up("known@example.com")
    unknown = pb.SignUpRequest(display_name="Eve", email="unknown@example.com", password="another good secret")
    known = pb.SignUpRequest(display_name="Eve", email="KNOWN@example.com", password="another good secret")
    assert await client.auth.SignUp(unknown) == await client.auth.SignUp(known)
    # And nothing of the account that was there has changed.
    assert (await me(client, person)).display_name == "Ada"
    await client.log_in("known@example.com", PASSWORD)
    assert (await refusal(client.log_in("known@example.com", "another good secret"))).reason == "WRONG_CREDENTIALS"


async def test_nobody_learns_by_logging_in_whether_an_address_is_known(client: Client) -> None:
    await client.sign_up("somebody@example.com")
    known = await refusal(client.log_in("somebody@example.com", "wrong password"))
    unknown = await refusal(client.log_in("nobody@example.com", "wrong password"))
    assert known == unknown
    assert (known.code, known.reason) == ("UNAUTHENTICATED", "WRONG_CREDENTIALS")


async def test_common_passwords_are_refused(client: Client) -> None:
    request = pb.SignUpRequest(display_name="Ada", email="common@example.com", password="Password123!")
    refused = await refusal(client.auth.SignUp(request))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "PASSWORD_TOO_COMMON", ("password",))
    assert (await refusal(client.log_in("common@example.com", "Password123!"))).reason == "WRONG_CREDENTIALS"


async def test_signing_up_twice_with_one_request_id(client: Client) -> None:
    request = pb.SignUpRequest(display_name="Ada", email="twice@example.com", password=PASSWORD, request_id="sign-up-1")
    assert await client.auth.SignUp(request) == await client.auth.SignUp(request)
    for changed in ({"password": "another good secret"}, {"email": "thrice@example.com"}):
        other = pb.SignUpRequest()
        other.CopyFrom(request)
        other.MergeFrom(pb.SignUpRequest(**changed))
        refused = await refusal(client.auth.SignUp(other))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    await client.log_in("twice@example.com", PASSWORD)


async def test_another_customer_looks_absent_to_a_customer(client: Client) -> None:
    person, other = await client.sign_up(), await client.sign_up()
    for name in (other.name, ABSENT):
        update = pb.UpdateUserRequest(user=pb.User(name=name, display_name="Mallory"))
        change = pb.ChangePasswordRequest(name=name, current_password=PASSWORD, new_password="another good secret")
        for call in (
            client.auth.GetUser(pb.GetUserRequest(name=name), metadata=person.token),
            client.auth.UpdateUser(update, metadata=person.token),
            client.auth.LogOutEverywhere(pb.LogOutEverywhereRequest(name=name), metadata=person.token),
            client.auth.ChangePassword(change, metadata=person.token),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")
            assert refused.message == f"{name} was not found"
    assert (await me(client, other)).display_name == "Ada"


async def test_staff_read_every_account_and_change_none(client: Client) -> None:
    staff, other = await client.staff(await client.admin()), await client.sign_up()
    found = await client.auth.GetUser(pb.GetUserRequest(name=other.name), metadata=staff.token)
    assert found.email == other.email
    update = pb.UpdateUserRequest(user=pb.User(name=other.name, display_name="Mallory"))
    assert (await refusal(client.auth.UpdateUser(update, metadata=staff.token))).code == "PERMISSION_DENIED"
    absent = client.auth.GetUser(pb.GetUserRequest(name=ABSENT), metadata=staff.token)
    assert (await refusal(absent)).code == "NOT_FOUND"


@pytest.mark.promise("4.1")
async def test_a_user_changes_what_the_mask_names_and_nothing_else(client: Client) -> None:
    person = await client.sign_up()
    before = await me(client, person)
    wanted = pb.User(name="users/me", display_name="Countess", email="ignored@example.com", role=pb.ROLE_ADMIN)
    after = await client.auth.UpdateUser(
        pb.UpdateUserRequest(user=wanted, update_mask=FieldMask(paths=["display_name", "locale"])),
        metadata=person.token,
    )
    assert (after.display_name, after.email, after.role) == ("Countess", person.email, pb.ROLE_CUSTOMER)
    assert after.etag != before.etag
    assert after == await me(client, person)


async def test_without_a_mask_what_is_set_is_changed(client: Client) -> None:
    person = await client.sign_up()
    user = pb.User(name=person.name, locale="pt-BR", role=pb.ROLE_ADMIN, disabled=True)
    after = await client.auth.UpdateUser(pb.UpdateUserRequest(user=user), metadata=person.token)
    assert (after.locale, after.display_name) == ("pt-BR", "Ada")
    assert (after.role, after.disabled) == (pb.ROLE_CUSTOMER, False)


@pytest.mark.parametrize("path", ["role", "etag", "name", "disabled", "email_verified", "nothing", "password_hash"])
async def test_a_path_that_is_unknown_or_forbidden_is_refused(client: Client, path: str) -> None:
    person = await client.sign_up()
    request = pb.UpdateUserRequest(
        user=pb.User(name="users/me", display_name="X", role=pb.ROLE_ADMIN), update_mask=FieldMask(paths=[path])
    )
    refused = await refusal(client.auth.UpdateUser(request, metadata=person.token))
    assert refused.code == "INVALID_ARGUMENT"
    assert [field.partition("[")[0].partition(".")[0] for field in refused.fields] == ["update_mask"]
    assert (await me(client, person)).display_name == "Ada"


async def test_an_update_of_a_state_that_is_gone_is_aborted(client: Client) -> None:
    person = await client.sign_up()
    stale = (await me(client, person)).etag
    request = pb.UpdateUserRequest(user=pb.User(name="users/me", display_name="One", etag=stale))
    await client.auth.UpdateUser(request, metadata=person.token)
    refused = await refusal(client.auth.UpdateUser(request, metadata=person.token))
    assert (refused.code, refused.reason) == ("ABORTED", "ETAG_MISMATCH")


async def test_an_address_belongs_to_one_account_whatever_its_case(client: Client) -> None:
    person, other = await client.sign_up(), await client.sign_up()
    user = pb.User(name="users/me", email=other.email.upper())
    refused = await refusal(client.auth.UpdateUser(pb.UpdateUserRequest(user=user), metadata=person.token))
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "EMAIL_TAKEN")
    user = pb.User(name="users/me", email=person.email.upper())
    same = await client.auth.UpdateUser(pb.UpdateUserRequest(user=user), metadata=person.token)
    assert same.email == person.email.upper()


async def test_changing_an_address_takes_its_verification_away(client: Client) -> None:
    admin = await client.admin()
    assert (await me(client, admin)).email_verified
    user = pb.User(name="users/me", email=f"new-{admin.email}")
    changed = await client.auth.UpdateUser(pb.UpdateUserRequest(user=user), metadata=admin.token)
    assert not changed.email_verified


async def test_a_repeated_update_has_one_effect(client: Client) -> None:
    person = await client.sign_up()
    request = pb.UpdateUserRequest(user=pb.User(name="users/me", display_name="One"), request_id="update-1")
    first = await client.auth.UpdateUser(request, metadata=person.token)
    await client.auth.UpdateUser(
        pb.UpdateUserRequest(user=pb.User(name="users/me", display_name="Two")), metadata=person.token
    )
    assert await client.auth.UpdateUser(request, metadata=person.token) == first
    assert (await me(client, person)).display_name == "Two"
    # The same id of another user is another id.
    other = await client.sign_up()
    assert (await client.auth.UpdateUser(request, metadata=other.token)).name == other.name


async def test_a_list_of_users_goes_on_where_its_page_ended(client: Client) -> None:
    admin = await client.admin()
    people = [await client.sign_up(f"paged{number}@lists.example.com") for number in range(5)]
    request = pb.ListUsersRequest(text="@LISTS.example", page_size=2)
    names, pages = [], 0
    while True:
        answer = await client.auth.ListUsers(request, metadata=admin.token)
        assert answer.total_size == 5
        names += [user.name for user in answer.users]
        pages += 1
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert names == [person.name for person in people]
    assert pages == 3

    for text, role in (("@lists", 0), ("@LISTS.example", pb.ROLE_STAFF)):
        foreign = pb.ListUsersRequest(text=text, page_token=request.page_token, role=role)  # type: ignore[arg-type]
        refused = await refusal(client.auth.ListUsers(foreign, metadata=admin.token))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
        assert refused.fields == ("page_token",)


async def test_a_list_of_users_is_narrowed_by_role_and_text_taken_literally(client: Client) -> None:
    admin = await client.admin()
    await client.sign_up(name="100% _real_")
    for text, expected in (("100%", 1), ("%", 1), ("_real_", 1), ("100_", 0), ("\\", 0)):
        answer = await client.auth.ListUsers(pb.ListUsersRequest(text=text), metadata=admin.token)
        assert answer.total_size == len(answer.users) == expected, text
    admins = await client.auth.ListUsers(pb.ListUsersRequest(role=pb.ROLE_ADMIN, page_size=1000), metadata=admin.token)
    assert admin.name in {user.name for user in admins.users}
    assert {user.role for user in admins.users} == {pb.ROLE_ADMIN}


async def test_customers_do_not_list_users(client: Client) -> None:
    person = await client.sign_up()
    refused = await refusal(client.auth.ListUsers(pb.ListUsersRequest(), metadata=person.token))
    assert (refused.code, refused.facts) == ("PERMISSION_DENIED", {"role": "CUSTOMER"})


@pytest.mark.promise("4.1")
async def test_an_administrator_gives_roles_and_the_old_tokens_end(client: Client) -> None:
    admin, person = await client.admin(), await client.sign_up()
    request = pb.SetUserRoleRequest(name=person.name, role=pb.ROLE_STAFF, request_id="promote-1")
    first = await client.auth.SetUserRole(request, metadata=admin.token)
    assert first.role == pb.ROLE_STAFF
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    again = await client.log_in(person.email)
    assert await client.auth.SetUserRole(request, metadata=admin.token) == first
    assert (await me(client, again)).role == pb.ROLE_STAFF  # the repeated call ended no session
    await client.auth.ListUsers(pb.ListUsersRequest(page_size=1), metadata=again.token)
    refused = await refusal(
        client.auth.SetUserRole(pb.SetUserRoleRequest(name=again.name, role=pb.ROLE_ADMIN), metadata=again.token)
    )
    assert (refused.code, refused.facts) == ("PERMISSION_DENIED", {"role": "STAFF"})


@pytest.mark.parametrize("role", [pb.ROLE_KIOSK, pb.ROLE_GATE, pb.ROLE_PARTNER, pb.ROLE_UNSPECIFIED, 99])
async def test_a_person_gets_no_role_of_a_device(client: Client, role: int) -> None:
    admin, person = await client.admin(), await client.sign_up()
    request = pb.SetUserRoleRequest(name=person.name, role=role)  # type: ignore[arg-type]
    refused = await refusal(client.auth.SetUserRole(request, metadata=admin.token))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", ("role",))


async def test_a_disabled_account_is_shut_out_until_it_is_enabled(client: Client) -> None:
    admin, person = await client.admin(), await client.sign_up()
    disabled = await client.auth.DisableUser(pb.DisableUserRequest(name=person.name), metadata=admin.token)
    assert disabled.disabled
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
    refused = await refusal(client.log_in(person.email))
    assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "ACCOUNT_DISABLED")
    assert (await refusal(client.log_in(person.email, "wrong password"))).reason == "WRONG_CREDENTIALS"
    refresh = client.auth.RefreshToken(pb.RefreshTokenRequest(refresh_token=person.refresh))
    assert (await refusal(refresh)).reason == "ACCOUNT_DISABLED"

    enabled = await client.auth.EnableUser(pb.EnableUserRequest(name=person.name), metadata=admin.token)
    assert not enabled.disabled
    await me(client, await client.log_in(person.email))
    assert (await refusal(me(client, person))).reason == "TOKEN_REVOKED"
