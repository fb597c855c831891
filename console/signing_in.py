"""Signing in and out, and who is asking."""

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.exceptions import LoginFailed

from console.calling import sentence
from console.narrowing import worded
from console.sessions import NotStaff, Sessions
from rowlock.v1 import auth_pb2
from rowlock_client.errors import RowlockError

UNATTENDED = "x-unattended"
"""The header with which a page asks for something that nobody pressed a button for."""

STREAM = "application/x-ndjson"
"""What a page asks for that opens a stream, and opens it again whenever it breaks off."""

_COOKIE_KEY = "id"


class RowlockAccounts(AuthProvider):
    """Lets those in who have a Rowlock account of staff, with their e-mail address and password."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions

    async def login(
        self,
        username: str,
        password: str,
        remember_me: bool,
        request: Request,
    ) -> Response | None:
        """Begin a session."""
        if not username or not password:
            raise LoginFailed("Enter your e-mail address and your password.")
        try:
            session_id = await self._sessions.begin(username, password)
        except NotStaff:
            raise LoginFailed("This account is not one of staff.") from None
        except RowlockError as error:
            raise LoginFailed(sentence(error)) from error
        # Another id than before: nobody can have planted it.
        request.session.clear()
        request.session[_COOKIE_KEY] = session_id
        return None

    async def logout(self, request: Request) -> Response | None:
        """End the session."""
        await self._sessions.end(request.session.get(_COOKIE_KEY, ""))
        request.session.clear()
        return None

    async def authenticate(self, request: Request) -> AdminUser | None:
        """Who is asking; None: they have to sign in."""
        by_hand = UNATTENDED not in request.headers and request.headers.get("accept") != STREAM
        session = self._sessions.find(request.session.get(_COOKIE_KEY, ""), by_hand=by_hand)
        if session is None:
            return None
        request.state.staff = session
        request.state.is_signed_in = lambda: self._sessions.is_open(session)
        role = worded(auth_pb2.Role.Name(session.user.role).removeprefix("ROLE_"))
        return AdminUser(username=f"{session.user.display_name or session.user.email} ({role})")

    def sign_out_here(self, request: Request) -> None:
        """Forget a session that the server says is over."""
        self._sessions.forget(request.session.get(_COOKIE_KEY, ""))
        request.session.clear()
