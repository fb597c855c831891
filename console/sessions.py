"""Who is signed in: each browser's session has a client of the API with the tokens of its member of staff.

Sessions are kept in the memory of this one process. After a restart everybody signs in again; nothing else is lost.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rowlock.v1 import auth_pb2
from rowlock_client.aio import Client
from rowlock_client.errors import RowlockError

ROLES = (auth_pb2.ROLE_STAFF, auth_pb2.ROLE_ADMIN)
"""Who may come in. What they may do is the server's to say, call by call."""


class NotStaff(Exception):
    """The account is in order, but not one of staff."""


@dataclass(slots=True)
class StaffSession:
    """One signed-in browser.

    Attributes:
        client: calls the API as this member of staff.
        user: who it is, as they were when they signed in.
        last_seen: when the browser last asked for something, by the clock of `Sessions`.
        known: what was read of others lately: a resource's name, what people call it, and until when that is believed.
    """

    client: Client
    user: auth_pb2.User
    last_seen: float
    known: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether to show what only administrators may do."""
        return self.user.role == auth_pb2.ROLE_ADMIN


class Sessions:
    """The sessions of this process.

    Args:
        connection: whose connection all of them share.
        idle_time: a session that is not used for so long has ended.
        clock: monotonic seconds.
    """

    def __init__(
        self, connection: Client, idle_time: timedelta, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._idle_seconds = idle_time.total_seconds()
        self._clock = clock
        self._sessions: dict[str, StaffSession] = {}

    async def begin(self, email: str, password: str) -> str:
        """Sign somebody in; returns what their browser is to show from now on.

        Raises:
            NotStaff: the account has another role.
            RowlockError: the server refused, or cannot be reached.
        """
        self._forget_idle()
        client = self._connection.sharing_connection()
        user = (await client.log_in(email, password)).user
        if user.role not in ROLES:
            await client.log_out()
            raise NotStaff
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = StaffSession(client, user, self._clock())
        return session_id

    def find(self, session_id: str, *, by_hand: bool = True) -> StaffSession | None:
        """The session that a browser shows; None: there is none, or it has ended.

        Args:
            session_id: what the browser shows.
            by_hand: whether a person asked. What a page that lies open asks for by itself keeps no session alive.
        """
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if self._is_idle(session):
            del self._sessions[session_id]
            return None
        if by_hand:
            session.last_seen = self._clock()
        return session

    def is_open(self, session: StaffSession) -> bool:
        """Whether a session has not ended yet; asking keeps it no longer."""
        return not self._is_idle(session) and any(session is one for one in self._sessions.values())

    def forget(self, session_id: str) -> None:
        """End a session here; the server has ended it already."""
        self._sessions.pop(session_id, None)

    async def end(self, session_id: str) -> None:
        """Sign out, here and at the server. Where the server cannot be told, its tokens run out by themselves."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            try:
                await session.client.log_out()
            except RowlockError:
                return

    def _forget_idle(self) -> None:
        for session_id in [known for known, session in self._sessions.items() if self._is_idle(session)]:
            del self._sessions[session_id]

    def _is_idle(self, session: StaffSession) -> bool:
        return self._clock() - session.last_seen > self._idle_seconds
