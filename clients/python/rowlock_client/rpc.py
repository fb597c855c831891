"""One call that is to be made, before it is made: which RPC, with which request, and whether it may be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

import grpc
from google.protobuf.message import Message

from rowlock_client.errors import DeadlineExceeded, RowlockError, Unauthenticated
from rowlock_client.retrying import RetryPolicy
from rowlock_client.tokens import Tokens

AnswerT = TypeVar("AnswerT", bound=Message)
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Rpc(Generic[AnswerT]):
    """What is to be called, and how it answers: `AnswerT`.

    Attributes:
        stub: the generated stub class of the service.
        method: the RPC's name.
        request: is copied, never changed.
        sends_token: whether the access token goes with it; not for the calls by which one gets a token.
        repeatable: whether a second time does no harm although it is no read and carries no `request_id`.
    """

    stub: type[Any]
    method: str
    request: Message
    sends_token: bool = True
    repeatable: bool = False


class Attempts(Generic[AnswerT]):
    """The attempts at one call: one request, one `request_id`, one deadline for all of them.

    Args:
        rpc: what is called.
        timeout: seconds for all attempts and pauses together.
        policy: when to try again.
        request_id: instead of a new one, to repeat an earlier call; ignored where the request has none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        rpc: Rpc[AnswerT],
        timeout: float,
        policy: RetryPolicy,
        *,
        request_id: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = type(rpc.request)()
        self.request.CopyFrom(rpc.request)
        self.request_id = self._identify(request_id)
        self._harmless = bool(self.request_id) or rpc.repeatable or rpc.method.startswith(("Get", "List"))
        self._policy = policy
        self._clock = clock
        self._begin = clock()
        self._deadline = self._begin + timeout
        self._failed = 0
        self._before: RowlockError | None = None
        self._renewed = False

    def _identify(self, wanted: str) -> str:
        """Give the request an id, if its kind has one."""
        if "request_id" not in self.request.DESCRIPTOR.fields_by_name:
            return ""
        given: str = wanted or getattr(self.request, "request_id") or uuid4().hex  # noqa: B009 - not of every Message
        setattr(self.request, "request_id", given)  # noqa: B010
        return given

    def remaining(self) -> float:
        """Seconds left for the next attempt.

        Raises:
            DeadlineExceeded: none.
        """
        left = self._deadline - self._clock()
        if left <= 0:
            raise DeadlineExceeded(
                grpc.StatusCode.DEADLINE_EXCEEDED, "no answer came in time", request_id=self.request_id
            )
        return left

    def wants_new_token(self, error: RowlockError, sent: Tokens | None) -> bool:
        """Whether to renew the token and repeat at once: after the first refusal of the one that was sent."""
        if self._renewed or sent is None or not isinstance(error, Unauthenticated):
            return False
        self._renewed = True
        return True

    def pause_after(self, error: RowlockError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            RowlockError: `error` itself, when there should be no further attempt.
        """
        self._failed += 1
        now = self._clock()
        pause = self._policy.pause(error, self._failed, elapsed=now - self._begin, remaining=self._deadline - now)
        if pause is None or not self._harmless:
            # A last attempt that only ran out of time would hide why there were so many.
            raise error from self._before
        self._before = error
        return pause


def metadata_of(tokens: Tokens | None) -> Metadata:
    """What goes with a call."""
    return (("authorization", f"Bearer {tokens.access_token}"),) if tokens else ()
