"""A second performance, with a waiting room before it: everybody comes at once, and is let in a few at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import waiting_room_pb2, waiting_room_pb2_grpc
from rowlock.v1.waiting_room_pb2 import QueueEntry
from rowlock_client import aio, calls
from rowlock_client.errors import FailedPrecondition, RowlockError
from rowlock_client.rpc import Rpc
from server.demo.tally import Tally

ADMITTED_AT_ONCE: Final = 12
INTERVAL: Final = timedelta(seconds=1)

_WaitingRooms: Final = waiting_room_pb2_grpc.WaitingRoomServiceStub
_LOOK_EVERY: Final = 0.4


async def open_waiting_room(staff: aio.Client, performance: str) -> None:
    """Have a performance sell only to those who are admitted."""
    interval = Duration()
    interval.FromTimedelta(INTERVAL)
    room = waiting_room_pb2.WaitingRoom(
        name=f"{performance}/waitingRoom", enabled=True, admit_count=ADMITTED_AT_ONCE, admit_interval=interval
    )
    mask = FieldMask(paths=["enabled", "admit_count", "admit_interval"])
    request = waiting_room_pb2.UpdateWaitingRoomRequest(waiting_room=room, update_mask=mask)
    await staff.call(Rpc(_WaitingRooms, "UpdateWaitingRoom", request))


class Queuer:
    """Somebody who waits, is admitted, and buys.

    Args:
        name: tells them apart.
        client: logged in.
        performance: what they want to see.
        tally: what is told is counted there.
    """

    def __init__(self, name: str, client: aio.Client, performance: str, tally: Tally) -> None:
        self._name, self._client = name, client
        self._performance, self._tally = performance, tally

    async def shop(self) -> None:
        """Try the door, wait in line, book with the admission, pay; then try to use the admission again."""
        try:
            if await self._is_let_in(""):
                self._tally.surprises["a seat was held without an admission"] += 1
                return
            entry = await self._wait()
            booking = await self._client.hold(self._performance, best=1, admission_token=entry.admission_token)
            if await self._is_let_in(entry.admission_token):
                self._tally.surprises["an admission was used twice"] += 1
            payment = await self._client.pay(booking.name)
            await self._client.call(calls.simulate(payment.name), timeout=20)
            self._tally.count("queued_and_bought")
        except RowlockError as error:
            self._tally.surprises[f"in the line: {type(error).__name__}: {error}"] += 1

    async def _is_let_in(self, token: str) -> bool:
        try:
            await self._client.hold(self._performance, best=1, admission_token=token)
        except FailedPrecondition as error:
            if not error.reason.startswith("ADMISSION_"):
                raise
            return False
        return True

    async def _wait(self) -> QueueEntry:
        request = waiting_room_pb2.JoinQueueRequest(parent=self._performance)
        entry: QueueEntry = await self._client.call(Rpc(_WaitingRooms, "JoinQueue", request))
        while entry.state == QueueEntry.WAITING:
            await asyncio.sleep(_LOOK_EVERY)
            look = waiting_room_pb2.GetQueueEntryRequest(name=entry.name)
            entry = await self._client.call(Rpc(_WaitingRooms, "GetQueueEntry", look))
        return entry
