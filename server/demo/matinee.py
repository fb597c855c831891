"""A third performance, which sells and is then cancelled: everybody gets their money back, and a mail that says so."""

from __future__ import annotations

import asyncio

from rowlock.v1 import event_pb2_grpc, performance_pb2
from rowlock_client import aio, calls
from rowlock_client.errors import RowlockError
from rowlock_client.rpc import Rpc
from server.demo.tally import Tally


async def sell_and_cancel(staff: aio.Client, guests: list[aio.Client], performance: str, tally: Tally) -> None:
    """Have every guest buy two seats, and cancel the performance.

    Args:
        staff: may cancel.
        guests: logged in.
        performance: which one.
        tally: what is told is counted there.
    """
    await asyncio.gather(*(_buy(guest, performance, tally) for guest in guests))
    request = performance_pb2.CancelPerformanceRequest(name=performance, reason="the projector is broken")
    await staff.call(Rpc(event_pb2_grpc.EventServiceStub, "CancelPerformance", request))
    tally.count("performance_cancelled")


async def _buy(guest: aio.Client, performance: str, tally: Tally) -> None:
    try:
        booking = await guest.hold(performance, best=2)
        payment = await guest.pay(booking.name)
        await guest.call(calls.simulate(payment.name), timeout=20)
        tally.count("matinee_sold")
    except RowlockError as error:
        tally.surprises[f"at the matinee: {type(error).__name__}: {error}"] += 1
