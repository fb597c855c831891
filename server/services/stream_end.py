"""When a stream says goodbye: at its age, when the server stops, or when its caller's token ends."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rowlock.v1.stream_pb2 import Reconnect
from server.interceptors.authentication import Authenticator, Caller


class StreamEnd:
    """Ends streams in good order.

    Args:
        authenticator: knows when tokens end.
        draining: set when the server begins to stop.
        max_age: seconds that a stream may live.
        jitter: share of that age by which it may end earlier, so that streams do not end together.
    """

    def __init__(self, authenticator: Authenticator, draining: asyncio.Event, *, max_age: float, jitter: float) -> None:
        self._authenticator = authenticator
        self._draining = draining
        self._max_age = max_age
        self._jitter = jitter

    @asynccontextmanager
    async def of(self, caller: Caller) -> "AsyncIterator[asyncio.Future[Reconnect.Reason.ValueType]]":
        """For the length of the block: a future that gets the reason when the stream has to end."""
        loop = asyncio.get_running_loop()
        end: asyncio.Future[Reconnect.Reason.ValueType] = loop.create_future()

        def finish(reason: Reconnect.Reason.ValueType) -> None:
            if not end.done():
                end.set_result(reason)

        age = self._max_age * (1 - random.uniform(0, self._jitter))
        timer = loop.call_later(age, finish, Reconnect.AGE)
        token = loop.create_task(self._authenticator.until_ended(caller))
        token.add_done_callback(lambda task: None if task.cancelled() else finish(Reconnect.TOKEN))
        drain = loop.create_task(self._draining.wait())
        drain.add_done_callback(lambda task: None if task.cancelled() else finish(Reconnect.DRAIN))
        try:
            yield end
        finally:
            timer.cancel()
            token.cancel()
            drain.cancel()
