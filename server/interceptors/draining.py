"""Turns new calls away for a moment before the server stops, so that none is lost in stopping.

gRPC ends calls that have arrived but were not yet taken up when a server stops with CANCELLED, which no client
retries. So for a short time before that every new call is answered with UNAVAILABLE and the request to come back
just after the connection was closed (``grpc-retry-pushback-ms``, which gRPC's own retries obey): whoever calls much
is then waiting, and comes back to another server. Calls under way are not touched.
"""

import random
import time
from typing import Final

from server.errors import Unavailable
from server.interceptors.method import Admit, Context, Method

_LATER: Final = (0.05, 0.25)
"""Seconds after the stop at which callers come back, not all at once."""


class Draining:
    """Whether the process is about to stop."""

    def __init__(self) -> None:
        self._stops_at: float | None = None

    def begin(self, seconds: float) -> None:
        """Turn new calls away from now on; the server stops in ``seconds``."""
        self._stops_at = time.monotonic() + seconds

    def guard(self, _method: Method) -> Admit:
        """The guard."""
        return self._admit

    def _admit(self, _context: Context) -> None:
        if self._stops_at is not None:
            wait = max(0.0, self._stops_at - time.monotonic()) + random.uniform(*_LATER)
            raise Unavailable("DRAINING", "this server is stopping; another one answers", retry_after=wait)
