"""The asyncio client: everything that `rowlock_client.Client` can, awaited, and the streams."""

from rowlock_client.aio.client import Client
from rowlock_client.aio.seats import SeatWatcher
from rowlock_client.aio.stream import ResumingStream, StreamState

__all__ = ["Client", "ResumingStream", "SeatWatcher", "StreamState"]
