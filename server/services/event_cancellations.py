"""EventService: cancelling performances, and beginning at once to wind them up."""

import asyncio
from collections.abc import Iterable
from contextvars import Context as VariableContext

import structlog
from sqlalchemy.orm import Session

from rowlock.v1 import performance_pb2 as pb
from server import resources
from server.domain import cancellation, cancellation_progress, performances
from server.domain.cancellation_progress import Progress
from server.services.catalogue_messages import performance_message
from server.services.event_parts import Context, EventServiceParts
from server.services.wire import money, timestamp

_log = structlog.get_logger(__name__)


class CancellationMethods(EventServiceParts):
    """CancelPerformance, what it has in common with CancelEvent, and how far either has come."""

    async def CancelPerformance(self, request: pb.CancelPerformanceRequest, context: Context) -> pb.Performance:
        """Cancel a performance; its bookings are wound up afterwards."""
        performance_id = resources.parse_performance(request.name)
        cancelled: list[int] = []

        def work(session: Session) -> pb.Performance:
            done = cancellation.cancel(session, performance_id, request.etag, request.reason)
            cancelled[:] = [performance_id] if done else []
            return performance_message(performances.get(session, performance_id, staff=True))

        answer = await self._once(request, pb.Performance, work)
        self._wind_up(cancelled)
        return answer

    async def GetCancellationProgress(
        self, request: pb.GetCancellationProgressRequest, context: Context
    ) -> pb.CancellationProgress:
        """Say how far cancelled performances have been wound up."""
        if request.name.startswith("events/"):
            event_id = resources.parse_event(request.name)
            found = await self._database.read(lambda session: cancellation_progress.of_event(session, event_id))
        else:
            performance_id = resources.parse_performance(request.name)
            found = await self._database.read(
                lambda session: cancellation_progress.of_performance(session, performance_id)
            )
        return _progress_message(request.name, found)

    def _wind_up(self, performance_ids: Iterable[int]) -> None:
        """Wind performances up beside the calls; if this process ends before, a worker goes on."""
        for performance_id in performance_ids:
            # A context of its own: the deadline of the call that began it says nothing here.
            task = asyncio.create_task(self._wound_up(performance_id), context=VariableContext())
            self._winding_up.add(task)
            task.add_done_callback(self._winding_up.discard)

    async def _wound_up(self, performance_id: int) -> None:
        try:
            finished = await cancellation.wind_up(self._ledger, self._database, performance_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, a worker goes on where this stopped
            _log.warning("winding_up_left_to_workers", performance=performance_id, error=repr(error))
        else:
            _log.info("wound_up", performance=performance_id, finished=finished)


def _progress_message(name: str, progress: Progress) -> pb.CancellationProgress:
    return pb.CancellationProgress(
        name=name,
        performances=progress.performances,
        performances_left=progress.performances_left,
        bookings=progress.bookings,
        bookings_left=progress.bookings_left,
        bookings_checked_in=progress.bookings_checked_in,
        refunds=[
            pb.CancellationProgress.RefundTally(
                due=tally.due,
                due_amount=money(tally.due_amount, tally.currency),
                done=tally.done,
                done_amount=money(tally.done_amount, tally.currency),
                failed=tally.failed,
                failed_amount=money(tally.failed_amount, tally.currency),
            )
            for tally in progress.refunds
        ],
        cash_due=[money(due.amount, due.currency) for due in progress.cash_due],
        cancel_time=timestamp(progress.cancel_time),
        finished=progress.finished,
    )
