"""Moves lines before sales: admits who is first, and ends admissions that were not used.

Every step is one transaction of ``server.domain.waiting_room_admission``; what is done here besides is to tell Redis,
which finds out by itself if this process ends before.
"""

from typing import Final

from server.domain.waiting_room_admission import Moved, end_run_out, move_next
from server.domain.waiting_room_entries import line_head
from server.work_metrics import ADMISSIONS
from workers.runtime import WorkerRuntime
from workers.work import Work

_QUEUE: Final = "admissions"


async def move_lines(runtime: WorkerRuntime) -> None:
    """Carry out every step that is due, each line's on its own."""
    most = runtime.settings.sweep_batch_size
    while await runtime.database.transaction(lambda session: end_run_out(session, most)) == most:
        pass
    while (moved := await runtime.database.transaction(lambda session: move_next(session, most))) is not None:
        ADMISSIONS.inc(moved.admitted)
        if moved.admitted or moved.ended:
            await _tell_redis(runtime, moved)


async def _tell_redis(runtime: WorkerRuntime, moved: Moved) -> None:
    head = await runtime.database.read(lambda session: line_head(session, moved.performance_id))
    if head is not None:
        await runtime.line_index.sync(moved.performance_id, head[0])


WORK: Final = Work("move_lines", _QUEUE, lambda settings: settings.admission_sweep_interval, move_lines)
