"""Tidies: changes that nobody resumes from any more, old answers, ended sessions. Winds up cancelled performances.

The record of what staff did goes only where the installation says how long it is kept.
"""

from typing import Final

from server.domain import staff_actions
from server.domain.cancellation import performances_to_wind_up, wind_up
from server.domain.housekeeping import delete_outdated
from server.seats.change_log import trim
from workers.runtime import WorkerRuntime
from workers.work import Work

QUEUE: Final = "housekeeping"
_ROWS_AT_ONCE: Final = 5_000


async def trim_change_log(runtime: WorkerRuntime) -> None:
    """Delete changes that are older than watchers may resume from."""
    retention = runtime.settings.change_log_retention
    while (
        await runtime.database.transaction(lambda session: trim(session, retention=retention, limit=_ROWS_AT_ONCE))
        == _ROWS_AT_ONCE
    ):
        pass


async def delete_outdated_rows(runtime: WorkerRuntime) -> None:
    """Delete old answers to repeated requests, ended sessions and used-up codes."""
    most, answers_after = runtime.settings.sweep_batch_size, runtime.settings.request_result_retention
    while await runtime.database.transaction(
        lambda session: delete_outdated(session, answers_after=answers_after, limit=most)
    ):
        pass


async def delete_outdated_staff_actions(runtime: WorkerRuntime) -> None:
    """Delete records of what staff did that are older than the installation keeps them; by default it keeps all."""
    retention, most = runtime.settings.staff_action_retention, runtime.settings.sweep_batch_size
    while (
        retention
        and await runtime.database.transaction(lambda session: staff_actions.delete_outdated(session, retention, most))
        == most
    ):
        pass


async def wind_performances_up(runtime: WorkerRuntime) -> None:
    """Go on with cancelled performances whose bookings are not all cancelled yet."""
    for performance_id in await runtime.database.transaction(performances_to_wind_up):
        await wind_up(runtime.ledger, runtime.database, performance_id)


TRIM: Final = Work("trim_change_log", QUEUE, lambda settings: settings.change_log_sweep_interval, trim_change_log)
DELETE: Final = Work(
    "delete_outdated_rows", QUEUE, lambda settings: settings.housekeeping_interval, delete_outdated_rows
)
DELETE_STAFF_ACTIONS: Final = Work(
    "delete_outdated_staff_actions",
    QUEUE,
    lambda settings: settings.housekeeping_interval,
    delete_outdated_staff_actions,
)
WIND_UP: Final = Work(
    "wind_performances_up", QUEUE, lambda settings: settings.payment_sweep_interval, wind_performances_up
)
