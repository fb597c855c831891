"""Verification and reset over a socket: what is mailed to whom, what a code does, and what nobody learns."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import Engine, event

from rowlock.v1 import auth_pb2 as pb
from server.config import Settings
from server.db.engine import Database
from server.domain.passwords import PasswordHasher
from server.states import CodePurpose, NotificationKind
from tests.rpc.auth.conftest import PASSWORD, QUICK, Client, Person, refusal, served
from tests.rpc.auth.mailbox import code_in_mail, mails_to

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW_PASSWORD = "another good secret"
VERIFICATION, RESET = NotificationKind.EMAIL_VERIFICATION, NotificationKind.PASSWORD_RESET


def fresh_address() -> str:
    return f"p{uuid4().hex}@example.com"


async def is_verified(client: Client, person: Person) -> bool:
    return (await client.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=person.token)).email_verified


async def verify(client: Client, code: str) -> None:
    await client.auth.VerifyEmail(pb.VerifyEmailRequest(code=code))


async def ask_for_reset(client: Client, email: str, request_id: str = "") -> pb.RequestPasswordResetResponse:
    return await client.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=email, request_id=request_id))


async def resend(client: Client, email: str, request_id: str = "") -> pb.ResendVerificationResponse:
    return await client.auth.ResendVerification(pb.ResendVerificationRequest(email=email, request_id=request_id))


async def reset(client: Client, code: str, password: str = NEW_PASSWORD) -> None:
    await client.auth.ConfirmPasswordReset(pb.ConfirmPasswordResetRequest(code=code, new_password=password))


@pytest.mark.promise("2.2")
async def test_an_address_is_verified_by_the_code_that_was_mailed_to_it(client: Client) -> None:
    person = await client.sign_up()
    assert await mails_to(client.database, person.email) == [VERIFICATION]
    assert not await is_verified(client, person)

    code = await code_in_mail(client.database, person.email, CodePurpose.VERIFY_EMAIL)
    await verify(client, code)

    assert await is_verified(client, person)
    refused = await refusal(verify(client, code))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "CODE_INVALID", ("code",))


@pytest.mark.promise("2.2")
async def test_a_forgotten_password_is_reset_by_mail_and_every_session_ends(
    client: Client, another_server: Callable[[], Any]
) -> None:
    person = await client.sign_up()
    elsewhere = await client.log_in(person.email)
    await ask_for_reset(client, person.email.upper())
    code = await code_in_mail(client.database, person.email, CodePurpose.RESET_PASSWORD)

    async with another_server() as other:
        await reset(client, code)
        # Where it was done at once, and elsewhere within seconds.
        for server, session in ((client, person), (client, elsewhere)):
            answer = await refusal(server.auth.GetUser(pb.GetUserRequest(name="users/me"), metadata=session.token))
            assert answer.reason == "TOKEN_REVOKED"
        for token in (person.refresh, elsewhere.refresh):
            again = await refusal(other.auth.RefreshToken(pb.RefreshTokenRequest(refresh_token=token)))
            assert again.reason == "TOKEN_REVOKED"

    assert (await refusal(client.log_in(person.email, PASSWORD))).reason == "WRONG_CREDENTIALS"
    assert await is_verified(client, await client.log_in(person.email, NEW_PASSWORD))
    assert (await refusal(reset(client, code))).reason == "CODE_INVALID"
    assert NotificationKind.PASSWORD_CHANGED in await mails_to(client.database, person.email)


async def test_a_password_that_is_refused_leaves_the_code_unused(client: Client) -> None:
    person = await client.sign_up()
    await ask_for_reset(client, person.email)
    code = await code_in_mail(client.database, person.email, CodePurpose.RESET_PASSWORD)
    for common in ("Password123!", person.email):
        refused = await refusal(reset(client, code, common))
        assert (refused.reason, refused.fields) == ("PASSWORD_TOO_COMMON", ("new_password",))
    await reset(client, code)
    await client.log_in(person.email, NEW_PASSWORD)


async def test_a_code_of_one_mail_does_not_do_the_work_of_the_other(client: Client) -> None:
    person = await client.sign_up()
    await ask_for_reset(client, person.email)
    verification = await code_in_mail(client.database, person.email, CodePurpose.VERIFY_EMAIL)
    resetting = await code_in_mail(client.database, person.email, CodePurpose.RESET_PASSWORD)
    assert (await refusal(reset(client, verification))).reason == "CODE_INVALID"
    assert (await refusal(verify(client, resetting))).reason == "CODE_INVALID"
    await client.log_in(person.email, PASSWORD)


async def test_a_changed_password_makes_a_reset_link_useless(client: Client) -> None:
    person = await client.sign_up()
    await ask_for_reset(client, person.email)
    code = await code_in_mail(client.database, person.email, CodePurpose.RESET_PASSWORD)
    change = pb.ChangePasswordRequest(name="users/me", current_password=PASSWORD, new_password=NEW_PASSWORD)
    await client.auth.ChangePassword(change, metadata=person.token)
    assert (await refusal(reset(client, code, "a third good secret"))).reason == "CODE_INVALID"
    await client.log_in(person.email, NEW_PASSWORD)
    assert NotificationKind.PASSWORD_CHANGED in await mails_to(client.database, person.email)


async def test_a_new_address_is_to_be_verified_and_the_old_one_is_told(client: Client) -> None:
    person = await client.sign_up()
    await verify(client, await code_in_mail(client.database, person.email, CodePurpose.VERIFY_EMAIL))
    await ask_for_reset(client, person.email)
    old_code = await code_in_mail(client.database, person.email, CodePurpose.RESET_PASSWORD)
    new = fresh_address()

    update = pb.UpdateUserRequest(user=pb.User(name="users/me", email=new), request_id="move")
    for _ in range(2):  # the second one is a repetition
        moved = await client.auth.UpdateUser(update, metadata=person.token)
        assert (moved.email, moved.email_verified) == (new, False)

    assert await mails_to(client.database, person.email) == [VERIFICATION, RESET, NotificationKind.EMAIL_CHANGED]
    assert await mails_to(client.database, new) == [VERIFICATION]
    # Whoever reads the old mailbox gets in no more.
    assert (await refusal(reset(client, old_code))).reason == "CODE_INVALID"
    await verify(client, await code_in_mail(client.database, new, CodePurpose.VERIFY_EMAIL))
    assert await is_verified(client, person)


async def test_another_spelling_of_an_address_is_no_new_one(client: Client) -> None:
    person = await client.sign_up()
    await verify(client, await code_in_mail(client.database, person.email, CodePurpose.VERIFY_EMAIL))
    update = pb.UpdateUserRequest(user=pb.User(name="users/me", email=person.email.capitalize()))
    assert (await client.auth.UpdateUser(update, metadata=person.token)).email_verified
    assert await mails_to(client.database, person.email.capitalize()) == []


@pytest.mark.promise("4.1")
async def test_who_signs_up_with_a_known_address_is_answered_by_a_mail_to_its_owner(client: Client) -> None:
    person = await client.sign_up()
    again = pb.SignUpRequest(display_name="Eve", email=person.email, password=NEW_PASSWORD)
    await client.auth.SignUp(again)
    assert (await client.log_in(person.email)).name == person.name
    assert await mails_to(client.database, person.email) == [VERIFICATION, NotificationKind.ACCOUNT_EXISTS]


async def test_nothing_is_mailed_to_addresses_that_nobody_has_or_that_need_nothing(client: Client) -> None:
    unknown, verified = fresh_address(), await client.sign_up()
    await verify(client, await code_in_mail(client.database, verified.email, CodePurpose.VERIFY_EMAIL))
    disabled, admin = await client.sign_up(), await client.admin()
    await client.auth.DisableUser(pb.DisableUserRequest(name=disabled.name), metadata=admin.token)
    for email in (unknown, verified.email, disabled.email):
        assert await resend(client, email) == pb.ResendVerificationResponse()
    for email in (unknown, disabled.email):
        assert await ask_for_reset(client, email) == pb.RequestPasswordResetResponse()
    assert await mails_to(client.database, unknown) == []
    assert await mails_to(client.database, verified.email) == [VERIFICATION]
    assert await mails_to(client.database, disabled.email) == [VERIFICATION]


async def test_one_request_id_sends_one_mail(client: Client) -> None:
    person = await client.sign_up()
    for _ in range(2):
        await resend(client, person.email, "again-1")
        await ask_for_reset(client, person.email, "reset-1")
    assert sorted(await mails_to(client.database, person.email)) == [VERIFICATION, VERIFICATION, RESET]


_END_OF_SAVEPOINT = "end of the savepoint: one is kept, the other taken back"
_TIME_LEFT: Final = re.compile(r"(?<=statement_timeout = )\d+")  # what is left of the caller's deadline


@contextmanager
def work_counted() -> Iterator[list[str]]:
    """What every server of this process does in the block: SQL statements and password hashes, in order."""
    done: list[str] = []

    def statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        words = " ".join(text.split()).partition(" sa_savepoint")[0]
        words = _TIME_LEFT.sub("", words)
        done.append(_END_OF_SAVEPOINT if words in {"RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"} else words)

    computed = PasswordHasher.hash

    def hashed(self: PasswordHasher, password: str) -> str:
        done.append("password hash")
        return computed(self, password)

    event.listen(Engine, "before_cursor_execute", statement)
    patch = pytest.MonkeyPatch()
    patch.setattr(PasswordHasher, "hash", hashed)
    try:
        yield done
    finally:
        patch.undo()
        event.remove(Engine, "before_cursor_execute", statement)


ASKED_BY_ADDRESS: dict[str, Callable[[Client, str], Awaitable[Any]]] = {
    "SignUp": lambda client, email: client.auth.SignUp(
        pb.SignUpRequest(display_name="Eve", email=email, password=NEW_PASSWORD, request_id=uuid4().hex)
    ),
    "ResendVerification": lambda client, email: resend(client, email, uuid4().hex),
    "RequestPasswordReset": lambda client, email: ask_for_reset(client, email, uuid4().hex),
}


@pytest.mark.parametrize("name", ASKED_BY_ADDRESS)
async def test_a_known_address_takes_the_same_work_as_an_unknown_one(client: Client, name: str) -> None:
    known, unknown = (await client.sign_up()).email, fresh_address()
    ask = ASKED_BY_ADDRESS[name]
    with work_counted() as for_known:
        answer_for_known = await ask(client, known)
    with work_counted() as for_unknown:
        answer_for_unknown = await ask(client, unknown)
    assert answer_for_known == answer_for_unknown
    assert len(for_known) > 3
    assert for_known == for_unknown


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(settings: Settings, database: Database) -> AsyncIterator[Client]:
    changes = {**QUICK, "rate_limits": True, "rate_limit_credentials": "10000/minute", "rate_limit_mail": "3/hour"}
    limited = settings.model_copy(update={**changes, "redis_key_prefix": f"t{uuid4().hex[:8]}"})
    async with served(limited, database) as client:
        yield client


async def test_one_address_is_mailed_only_so_often_whether_or_not_it_is_known(guarded: Client) -> None:
    known, unknown = (await guarded.sign_up()).email, fresh_address()  # a sign-up sends a mail, and so counts
    await resend(guarded, unknown)
    answers = {}
    for email in (known, unknown):
        await resend(guarded, email)
        await ask_for_reset(guarded, email.upper())
        answers[email] = [await refusal(resend(guarded, email)), await refusal(ask_for_reset(guarded, email))]
    assert answers[known] == answers[unknown]
    assert {answer.code for answer in answers[known]} == {"RESOURCE_EXHAUSTED"}
    assert {answer.reason for answer in answers[known]} == {"RATE_LIMITED"}
    await resend(guarded, fresh_address())  # others are not concerned
