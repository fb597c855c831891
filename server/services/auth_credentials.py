"""AuthService: proving an address, and getting or choosing another password."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy.orm import Session

from rowlock.v1 import auth_pb2 as pb
from server import resources
from server.call import address
from server.db.engine import Database
from server.domain import accounts, credentials, staff_actions
from server.domain.passwords import require_acceptable
from server.errors import NotFound, Unauthenticated
from server.interceptors.authentication import caller
from server.interceptors.revocations import Revocations
from server.payments.wake import MAIL, Waker
from server.services.email_limit import EmailLimit
from server.services.mutation import once
from server.services.password_hashing import PasswordHashing
from server.services.staff_recording import record_of

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True)
class AccountParts:
    """What the methods of AuthService share.

    Attributes:
        database: where accounts are.
        revocations: told at once of what ends here; other processes read it within seconds.
        passwords: hashes and checks passwords.
        log_in_limit: counts tries at passwords by e-mail address.
        mail_limit: counts requests that have mail sent, by e-mail address.
        waker: has mails sent at once.
        request_key: secret bytes for the fingerprints of requests that hold a password.
    """

    database: Database
    revocations: Revocations
    passwords: PasswordHashing
    log_in_limit: EmailLimit
    mail_limit: EmailLimit
    waker: Waker
    request_key: bytes


class CredentialMethods:
    """The methods, and what they share with the rest of AuthService."""

    def __init__(self, parts: AccountParts) -> None:
        self._database = parts.database
        self._revocations = parts.revocations
        self._passwords = parts.passwords
        self._log_in_limit = parts.log_in_limit
        self._mail_limit = parts.mail_limit
        self._waker = parts.waker
        self._request_key = parts.request_key

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, context: Context) -> pb.VerifyEmailResponse:
        """Mark an address as its account's, by a code."""
        await self._database.transaction(lambda session: credentials.verify_email(session, request.code))
        return pb.VerifyEmailResponse()

    async def ResendVerification(
        self, request: pb.ResendVerificationRequest, context: Context
    ) -> pb.ResendVerificationResponse:
        """Mail another verification link; says nothing about whether there is an account."""
        await self._mail_limit.admit(request.email)

        def work(session: Session) -> pb.ResendVerificationResponse:
            credentials.ask_for_verification(session, request.email)
            return pb.ResendVerificationResponse()

        return await self._once_by_address(request, pb.ResendVerificationResponse, work)

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Context
    ) -> pb.RequestPasswordResetResponse:
        """Mail a reset link; says nothing about whether there is an account."""
        await self._mail_limit.admit(request.email)

        def work(session: Session) -> pb.RequestPasswordResetResponse:
            credentials.ask_for_reset(session, request.email)
            return pb.RequestPasswordResetResponse()

        return await self._once_by_address(request, pb.RequestPasswordResetResponse, work)

    async def ConfirmPasswordReset(
        self, request: pb.ConfirmPasswordResetRequest, context: Context
    ) -> pb.ConfirmPasswordResetResponse:
        """Set a new password by a code, and end every session. A refused password leaves the code unused."""
        owner = await self._database.read(lambda session: credentials.owner_by_reset_code(session, request.code))
        require_acceptable(
            request.new_password, email=owner.email, display_name=owner.display_name, field="new_password"
        )
        new_hash = await self._passwords.hash(request.new_password)
        changed = await self._database.transaction(
            lambda session: credentials.reset_password(session, request.code, new_hash)
        )
        self._revocations.add(changed.ended)
        self._wake_mail()
        return pb.ConfirmPasswordResetResponse()

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Context) -> pb.ChangePasswordResponse:
        """Replace the caller's password, and end every session."""
        me = caller()
        user_id = resources.parse_user(request.name, me.user_id)
        if user_id != me.user_id:
            raise NotFound.of(request.name)
        user = await self._database.read(lambda session: accounts.get_user(session, user_id))
        await self._log_in_limit.admit(user.email)
        if not await self._passwords.verify(user.password_hash, request.current_password):
            raise wrong_credentials()
        require_acceptable(request.new_password, email=user.email, display_name=user.display_name, field="new_password")
        new_hash = await self._passwords.hash(request.new_password)
        record = record_of(request)

        def work(session: Session) -> accounts.Changed | None:
            changed = credentials.change_password(session, user_id, old_hash=user.password_hash, new_hash=new_hash)
            if changed is not None and record is not None:
                staff_actions.write(session, [record])
            return changed

        changed = await self._database.transaction(work)
        if changed is None:
            raise wrong_credentials()
        self._revocations.add(changed.ended)
        self._wake_mail()
        return pb.ChangePasswordResponse()

    async def _once_by_address(
        self, request: Message, answer: type[Answer], work: Callable[[Session], Answer]
    ) -> Answer:
        """Make a change of somebody who is not signed in once, and have its mail sent."""
        scope = f"addresses/{address.get()}"
        made = await once(self._database, request, answer, work, scope=scope, key=self._request_key)
        self._wake_mail()
        return made

    def _wake_mail(self) -> None:
        """Have mails sent now; whether there is one to send makes no difference to the caller."""
        self._waker.wake(MAIL)


def wrong_credentials() -> Unauthenticated:
    """The refusal of an address and a password that do not belong together, whichever of them is wrong."""
    return Unauthenticated("WRONG_CREDENTIALS", "the e-mail address or the password is wrong")
