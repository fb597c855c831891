"""Every List RPC asks the database as often for a full page as for a short one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import Engine, event

from server import call as served_call
from server.config import Settings
from server.db.engine import Database
from server.interceptors.method import Method
from tests.paying import desk_on
from tests.rpc.auth.conftest import QUICK, served
from tests.rpc.good_requests import Maker, good_request
from tests.rpc.test_bad_input import LISTS, by_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST: Final = 16
"""Statements of one call, those that begin and limit its transaction included."""

BY_KIND: Final = {"ListNotifications"}
"""What is said of each kind of message is read by a statement of its own: as many as there are kinds on the page."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker(settings: Settings, database: Database) -> AsyncIterator[Maker]:
    async with served(settings.model_copy(update=QUICK), database) as client, desk_on(database) as desk:
        maker = Maker(client, database, desk)
        await maker.begin()
        for _ in range(2):
            await maker.world(spare=False)
        yield maker


@contextmanager
def statements_of(trace: str) -> Iterator[list[str]]:
    """What the call with this trace id asks the database; what goes on beside it does not count."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if served_call.trace_id.get() == trace:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.promise("3.7")
@pytest.mark.mistake("list end point that runs a query per row")
@pytest.mark.parametrize("method", LISTS, ids=by_name)
async def test_a_full_page_takes_as_many_statements_as_a_short_one(maker: Maker, method: Method) -> None:
    world = await maker.shared_world()
    request: Any = good_request(method, world)
    call: Any = maker.channel.unary_unary(method.path, None, method.response_class.FromString)
    counts = []
    for page_size in (1, 1000):
        request.page_size = page_size
        trace = uuid4().hex
        who = (*(world.caller(method) or ()), ("traceparent", f"00-{trace}-{'1' * 16}-01"))
        # Once before it counts: what a process remembers, such as a hall, is read at the first call.
        await call(request.SerializeToString(), metadata=who)
        with statements_of(trace) as seen:
            await call(request.SerializeToString(), metadata=who)
        counts.append(len(seen))
    assert 0 < counts[0] <= counts[1] <= MOST
    assert counts[0] == counts[1] or method.name in BY_KIND
