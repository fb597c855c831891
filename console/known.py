"""What people call customers and performances, instead of the names that the API has for them.

Read one by one, a few at a time, and remembered for a while in the session of whoever reads: a list asks for those
that it has not seen yet.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from console.calling import call, session_of
from console.local_times import in_local
from rowlock.v1 import auth_pb2, performance_pb2
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.errors import RowlockError, Unauthenticated
from rowlock_client.rpc import Rpc

_SECONDS: Final = 300.0
_AT_ONCE: Final = 8
_KEPT: Final = 1000
"""How many a session may remember before those that are believed no longer are forgotten."""
_MOST: Final = 100
"""How many are read for one page. Beyond that a page shows names as the API has them."""


async def labels(request: Request, names: Iterable[str]) -> Mapping[str, str]:
    """What people call these users and performances; one that cannot be read is called by its name."""
    known = session_of(request).known
    now = time.monotonic()
    wanted = {name for name in names if name}
    missing = [name for name in sorted(wanted) if name not in known or known[name][1] < now][:_MOST]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def learn(name: str) -> None:
        async with gate:
            try:
                known[name] = (await _label(request, name), now + _SECONDS)
            except Unauthenticated:
                raise
            except RowlockError:
                return

    await asyncio.gather(*map(learn, missing))
    found = {name: known[name][0] if name in known else name for name in wanted}
    if len(known) > _KEPT:
        for name in [name for name, (_, until) in known.items() if until < now]:
            del known[name]
    return found


def performance_label(performance: performance_pb2.Performance) -> str:
    """Its event, and when it begins by the clock on the venue's wall."""
    return f"{performance.event_title}, {local_start(performance):%a %d %b %Y %H:%M}"


def local_start(performance: performance_pb2.Performance) -> datetime:
    """When it begins, by the clock on the venue's wall."""
    return in_local(performance.start_time.ToDatetime(UTC), performance.time_zone)


def user_label(user: auth_pb2.User) -> str:
    """Their name and their e-mail address."""
    return f"{user.display_name} ({user.email})" if user.display_name else user.email


async def _label(request: Request, name: str) -> str:
    if name.startswith("users/"):
        return user_label(await call(request, Rpc(AuthServiceStub, "GetUser", auth_pb2.GetUserRequest(name=name))))
    wanted = performance_pb2.GetPerformanceRequest(name=name)
    return performance_label(await call(request, Rpc(EventServiceStub, "GetPerformance", wanted)))
