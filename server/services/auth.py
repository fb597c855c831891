"""AuthService: accounts, sessions and API keys. What proves an account to be somebody's is in ``auth_credentials``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy.orm import Session

from rowlock.v1 import auth_pb2 as pb
from rowlock.v1 import auth_pb2_grpc
from server import resources
from server.db.models.accounts import ApiKey
from server.domain import accounts, api_keys, credentials, key_uses, sessions
from server.domain.passwords import require_acceptable
from server.domain.tokens import Tokens
from server.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from server.interceptors.authentication import caller
from server.services.account_messages import (
    api_key_message,
    jwk_message,
    role_number,
    user_message,
)
from server.services.auth_credentials import AccountParts, CredentialMethods, wrong_credentials
from server.services.field_mask import paths_of
from server.services.fingerprints import fingerprint
from server.services.mutation import once
from server.services.paging import page_of
from server.services.wire import length_in, timestamp
from server.states import Role

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_WRITABLE: Final = ("email", "display_name", "locale")
_ALL_USERS: Final = "users/-"
_KEY_OVERLAP: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long refresh tokens live, and for how long a used one is answered again."""

    refresh_token: timedelta = timedelta(days=30)
    reuse_window: timedelta = timedelta(seconds=10)


class AuthService(CredentialMethods, auth_pb2_grpc.AuthServiceServicer):
    """The servicer.

    Args:
        parts: what its methods share.
        tokens: issues access tokens.
        lifetimes: of refresh tokens.
    """

    def __init__(self, parts: AccountParts, tokens: Tokens, lifetimes: Lifetimes) -> None:
        super().__init__(parts)
        self._tokens = tokens
        self._lifetimes = lifetimes

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SignUpResponse:
        """Open an account; says nothing about whether the address was free."""
        await self._mail_limit.admit(request.email)
        require_acceptable(request.password, email=request.email, display_name=request.display_name)
        password_hash = await self._passwords.hash(request.password)

        def work(session: Session) -> pb.SignUpResponse:
            accounts.sign_up(
                session,
                email=request.email,
                display_name=request.display_name,
                locale=request.locale,
                password_hash=password_hash,
            )
            return pb.SignUpResponse()

        return await self._once_by_address(request, pb.SignUpResponse, work)

    async def LogIn(self, request: pb.LogInRequest, context: Context) -> pb.LogInResponse:
        """Begin a session. An unknown address takes as long, and is answered like a wrong password."""
        await self._log_in_limit.admit(request.email)
        known = await self._database.read(lambda session: accounts.find_by_email(session, request.email))
        checked_hash = known.password_hash if known else None
        right = await self._passwords.verify(checked_hash, request.password)
        if known is None or checked_hash is None or not right:
            raise wrong_credentials()
        renewed = await self._passwords.hash(request.password) if self._passwords.is_outdated(checked_hash) else None

        def work(session: Session) -> sessions.SignedIn | None:
            current_hash = checked_hash
            if renewed and credentials.renew_hash(session, known.id, old_hash=checked_hash, new_hash=renewed):
                current_hash = renewed
            return sessions.begin(session, known.id, checked_hash=current_hash, ttl=self._lifetimes.refresh_token)

        begun = await self._database.transaction(work)
        if begun is None:
            raise wrong_credentials()
        access = self._tokens.issue(begun.user.id, begun.user.role, session_id=begun.session_id)
        return pb.LogInResponse(
            access_token=access.text,
            access_expire_time=timestamp(access.expire_time),
            refresh_token=begun.refresh_token,
            refresh_expire_time=timestamp(begun.refresh_expire_time),
            user=user_message(begun.user),
        )

    async def RefreshToken(self, request: pb.RefreshTokenRequest, context: Context) -> pb.RefreshTokenResponse:
        """Replace a refresh token; its reuse ends the session."""
        outcome = await self._database.transaction(
            lambda session: sessions.rotate(
                session,
                request.refresh_token,
                ttl=self._lifetimes.refresh_token,
                reuse_window=self._lifetimes.reuse_window,
            )
        )
        if isinstance(outcome, sessions.Reused):
            self._revocations.add([outcome.session_id])
            raise Unauthenticated("REFRESH_TOKEN_REUSED", "the refresh token was used before; the session has ended")
        access = self._tokens.issue(outcome.user.id, outcome.user.role, session_id=outcome.session_id)
        return pb.RefreshTokenResponse(
            access_token=access.text,
            access_expire_time=timestamp(access.expire_time),
            refresh_token=outcome.refresh_token,
            refresh_expire_time=timestamp(outcome.refresh_expire_time),
            user=user_message(outcome.user),
        )

    async def LogOut(self, request: pb.LogOutRequest, context: Context) -> pb.LogOutResponse:
        """End the session of a refresh token."""
        ended = await self._database.transaction(lambda session: sessions.log_out(session, request.refresh_token))
        self._revocations.add([ended])
        return pb.LogOutResponse()

    async def LogOutEverywhere(
        self, request: pb.LogOutEverywhereRequest, context: Context
    ) -> pb.LogOutEverywhereResponse:
        """End every session of a user."""
        user_id = _own_or(Role.ADMIN, request.name)
        ended: Sequence[UUID] = ()

        def work(session: Session) -> pb.LogOutEverywhereResponse:
            nonlocal ended
            ended = accounts.log_out_everywhere(session, user_id)
            return pb.LogOutEverywhereResponse(ended_count=len(ended))

        answer = await once(self._database, request, pb.LogOutEverywhereResponse, work, scope=caller().scope)
        self._revocations.add(ended)
        return answer

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.User:
        """Read a user."""
        user_id = _own_or(Role.STAFF, request.name)
        return user_message(await self._database.read(lambda session: accounts.get_user(session, user_id)))

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Context) -> pb.User:
        """Change a user's own data."""
        user_id = _own_or(Role.ADMIN, request.user.name, field="user.name")
        paths = paths_of(request.update_mask, request.user, _WRITABLE)
        for path in ("email", "display_name"):
            if path in paths and not getattr(request.user, path):
                raise InvalidArgument.of(f"user.{path}", "cannot be emptied")
        if "email" in paths:
            await self._mail_limit.admit(request.user.email)
        changes = {path: getattr(request.user, path) for path in paths}

        def work(session: Session) -> pb.User:
            return user_message(accounts.update_user(session, user_id, etag=request.user.etag, **changes))

        answer = await once(self._database, request, pb.User, work, scope=caller().scope)
        self._wake_mail()
        return answer

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        """List users, oldest first."""
        page = page_of(request, datetime, UUID)
        role = Role(request.role) if request.role else None
        users, total = await self._database.read(
            lambda session: accounts.list_users(
                session, text=request.text, role=role, after=page.after, limit=page.limit
            )
        )
        shown, next_page_token = page.cut(users, key=lambda user: (user.create_time, user.id))
        return pb.ListUsersResponse(users=map(user_message, shown), next_page_token=next_page_token, total_size=total)

    async def SetUserRole(self, request: pb.SetUserRoleRequest, context: Context) -> pb.User:
        """Give a user another role; the user's sessions end."""
        user_id = resources.parse_user(request.name, caller().user_id)
        role = Role(request.role)
        return await self._change(request, lambda session: accounts.set_role(session, user_id, role, etag=request.etag))

    async def DisableUser(self, request: pb.DisableUserRequest, context: Context) -> pb.User:
        """Shut an account out."""
        user_id = resources.parse_user(request.name, caller().user_id)
        return await self._change(request, lambda session: accounts.disable(session, user_id, etag=request.etag))

    async def EnableUser(self, request: pb.EnableUserRequest, context: Context) -> pb.User:
        """Let a disabled account in again."""
        user_id = resources.parse_user(request.name, caller().user_id)
        return await self._change(request, lambda session: accounts.enable(session, user_id, etag=request.etag))

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        """Make an API key. Its secret is told once: a repeated request gets the key without it."""
        owner_id = resources.parse_user(request.parent, caller().user_id, "parent")
        wanted = request.api_key
        expire_time = wanted.expire_time.ToDatetime(UTC) if wanted.HasField("expire_time") else None
        if Role(wanted.role) in accounts.PEOPLE:
            raise InvalidArgument.of("api_key.role", "must be KIOSK, GATE or PARTNER; people log in")

        def work(session: Session) -> pb.CreateApiKeyResponse:
            made = api_keys.create(
                session,
                owner_id,
                display_name=wanted.display_name,
                role=Role(wanted.role),
                bounds=api_keys.Bounds(
                    wanted.scopes,
                    wanted.permissions,
                    wanted.calls_per_minute,
                    wanted.held_places_per_day,
                    wanted.sold_places_per_day,
                ),
                expire_time=expire_time,
            )
            return pb.CreateApiKeyResponse(api_key=api_key_message(made.key), secret=made.secret)

        return await once(
            self._database,
            request,
            pb.CreateApiKeyResponse,
            work,
            scope=caller().scope,
            keep=lambda answer: pb.CreateApiKeyResponse(api_key=answer.api_key),
        )

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """List API keys, newest first."""
        me = caller().user_id
        owner_id = None if request.parent == _ALL_USERS else resources.parse_user(request.parent, me, "parent")
        page = page_of(request, datetime, UUID, scope=str(owner_id))

        def work(session: Session) -> tuple[Sequence[ApiKey], int, dict[UUID, key_uses.Use]]:
            keys, total = api_keys.list_keys(session, owner_id=owner_id, after=page.after, limit=page.limit)
            return keys, total, key_uses.used_today(session, keys)

        keys, total, used = await self._database.read(work)
        shown, next_page_token = page.cut(keys, key=lambda key: (key.create_time, key.id))
        return pb.ListApiKeysResponse(
            api_keys=[api_key_message(key, used[key.id]) for key in shown],
            next_page_token=next_page_token,
            total_size=total,
        )

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.ApiKey:
        """Make an API key useless, with the tokens got by it."""
        owner_id, key_id = resources.parse_api_key(request.name, caller().user_id)
        answer = await once(
            self._database,
            request,
            pb.ApiKey,
            lambda session: api_key_message(api_keys.revoke(session, owner_id, key_id)),
            scope=caller().scope,
        )
        self._revocations.add([key_id])
        return answer

    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, context: Context) -> pb.RotateApiKeyResponse:
        """Make a successor of an API key. Its secret is told once: a repeated request gets the key without it."""
        overlap = length_in(request, "overlap")

        def work(session: Session) -> pb.RotateApiKeyResponse:
            made, end = api_keys.rotate(session, request.api_key, _KEY_OVERLAP if overlap is None else overlap)
            return pb.RotateApiKeyResponse(
                api_key=api_key_message(made.key), secret=made.secret, former_expire_time=timestamp(end)
            )

        return await once(
            self._database,
            request,
            pb.RotateApiKeyResponse,
            work,
            scope=f"apiKeys/{fingerprint(pb.ExchangeApiKeyRequest(api_key=request.api_key), self._request_key).hex()}",
            key=self._request_key,
            keep=lambda answer: pb.RotateApiKeyResponse(
                api_key=answer.api_key, former_expire_time=answer.former_expire_time
            ),
        )

    async def ExchangeApiKey(self, request: pb.ExchangeApiKeyRequest, context: Context) -> pb.ExchangeApiKeyResponse:
        """Give an access token for an API key."""
        key = await self._database.transaction(lambda session: api_keys.exchange(session, request.api_key))
        access = self._tokens.issue(
            key.user_id,
            key.role,
            key_id=key.id,
            scopes=key.scopes,
            permissions=key.permissions,
            calls_per_minute=key.calls_per_minute,
            family_id=key.family_id,
            has_quotas=bool(key.held_places_per_day or key.sold_places_per_day),
            not_after=key.expire_time,
        )
        return pb.ExchangeApiKeyResponse(
            access_token=access.text,
            access_expire_time=timestamp(access.expire_time),
            role=role_number(key.role),
            scopes=key.scopes,
        )

    async def GetJwks(self, request: pb.GetJwksRequest, context: Context) -> pb.GetJwksResponse:
        """Publish the keys by which tokens are verified."""
        return pb.GetJwksResponse(keys=map(jwk_message, self._tokens.keys.public.values()))

    async def _change(self, request: Message, work: Callable[[Session], accounts.Changed]) -> pb.User:
        """Run an administrator's change of a user once, and note at once what it ended."""
        ended: Sequence[UUID] = ()

        def answered(session: Session) -> pb.User:
            nonlocal ended
            changed = work(session)
            ended = changed.ended
            session.flush()
            return user_message(changed.user)

        answer = await once(self._database, request, pb.User, answered, scope=caller().scope)
        self._revocations.add(ended)
        return answer


def _own_or(role: Role, name: str, field: str = "name") -> UUID:
    """The id of the user that is named, if the caller may see or change it: everybody themselves.

    Args:
        role: who may do it with others: STAFF (and ADMIN), or ADMIN.
        name: ``users/{user}`` or ``users/me``.
        field: where the name stood.

    Raises:
        NotFound: somebody else's account, which customers cannot tell from an absent one.
        PermissionDenied: STAFF, who may see every account, may not change it.
    """
    me = caller()
    user_id = resources.parse_user(name, me.user_id, field)
    if user_id == me.user_id or me.role in {role, Role.ADMIN}:
        return user_id
    if me.role == Role.STAFF:
        raise PermissionDenied("PERMISSION_DENIED", "only an administrator may do this", role=me.role.name)
    raise NotFound.of(name)
