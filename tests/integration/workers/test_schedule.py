"""The clock and the workers together: what is due is done within seconds, whoever sends how many messages."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.config import Settings
from server.db.engine import Database
from server.domain.bookings import run_out_holds
from server.payments.wake import PAYMENTS, REFUNDS, Waker, enqueue, redis_broker
from server.states import BookingState
from tests.eventually import eventually
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, hall_document, stage
from workers.broker import worker
from workers.expiry import expire_holds
from workers.housekeeping import delete_outdated_rows, trim_change_log, wind_performances_up
from workers.runtime import WorkerRuntime
from workers.scheduler import start
from workers.works import WORKS


@pytest.fixture
def fast(settings: Settings, fresh_valkey_url: str) -> Settings:
    return settings.model_copy(
        update={
            "redis_url": fresh_valkey_url,
            "redis_key_prefix": f"t{uuid4().hex[:8]}",
            "expiry_sweep_interval": timedelta(milliseconds=100),
            "payment_sweep_interval": timedelta(milliseconds=100),
            "simulator_success_rate": 1.0,
        }
    )


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with desk_on(database) as desk:
        yield desk
    assert_sound(database)


@pytest.fixture
async def runtime(fast: Settings) -> AsyncIterator[WorkerRuntime]:
    runtime = await WorkerRuntime.start(fast)
    yield runtime
    await runtime.close()


@pytest.fixture
def running_worker(fast: Settings) -> Iterator[None]:
    running = worker(fast)
    running.start()
    yield
    running.stop(timeout=60_000)


@pytest.fixture
def house(database: Database) -> Staged:
    return database.run_transaction(lambda s: stage(s, hall_document(rows=30, seats=40), customer_limit=1000))


def held(desk: Desk, house: Staged) -> int:
    return int(desk.one("SELECT held FROM inventories WHERE performance_id = :id", id=house.performance_id))


@pytest.mark.promise("0.12")
async def test_many_holds_that_run_out_together_are_ended_together(
    desk: Desk, house: Staged, fast: Settings, running_worker: None
) -> None:
    await asyncio.gather(*(desk.hold(house, place) for place in range(600)))
    assert held(desk, house) == 600
    desk.one(
        "UPDATE bookings SET hold_expire_time = clock_timestamp() WHERE performance_id = :id", id=house.performance_id
    )

    schedulers = [start(fast), start(fast)]
    try:
        await eventually(lambda: held(desk, house) == 0)
    finally:
        for scheduler in schedulers:
            scheduler.shutdown()

    # One transaction ends many holds.
    assert desk.one("SELECT revision FROM inventories WHERE performance_id = :id", id=house.performance_id) < 600


async def test_the_clock_and_the_worker_bring_a_payment_to_its_end(
    desk: Desk, house: Staged, fast: Settings, running_worker: None
) -> None:
    booking = await desk.hold(house, 3)
    await desk.captured(booking)
    scheduler = start(fast)
    await eventually(lambda: desk.booking(booking).state is BookingState.CONFIRMED)
    scheduler.shutdown()


async def test_workers_that_are_away_find_no_backlog(fast: Settings) -> None:
    broker = redis_broker(fast)
    for _ in range(200):
        enqueue(broker, "expiry", "expire_holds")
    assert broker.do_qsize("expiry") <= 20


async def test_a_wake_up_reaches_the_queue_of_its_work(fast: Settings) -> None:
    broker = redis_broker(fast)
    waker = Waker(broker)
    running = asyncio.create_task(waker.run())
    waker.wake(REFUNDS)
    await eventually(lambda: broker.do_qsize("refunds") == 1)
    assert broker.do_qsize("payments") == 0
    waker.wake(PAYMENTS)
    waker.wake(PAYMENTS)
    await eventually(lambda: broker.do_qsize("payments") == 1)
    running.cancel()
    assert {(work.queue, work.actor) for work in WORKS} >= {(e.queue, e.actor) for e in (PAYMENTS, REFUNDS)}


async def test_every_kind_of_work_may_run_at_any_time_and_twice_at_once(
    desk: Desk, house: Staged, runtime: WorkerRuntime
) -> None:
    for place in range(5):
        desk.let_time_pass(await desk.hold(house, place))
    await desk.captured(await desk.hold(house, 10))

    await asyncio.gather(*(work.run(runtime) for work in WORKS * 2))
    await runtime.payments.finish()
    for work in WORKS:
        await work.run(runtime)
    await runtime.payments.finish()

    assert held(desk, house) == 0
    assert_sound(desk.database, quiet=True)


async def test_more_holds_than_one_sweep_takes(desk: Desk, house: Staged, fast: Settings) -> None:
    runtime = await WorkerRuntime.start(fast.model_copy(update={"sweep_batch_size": 7}))
    for place in range(20):
        desk.let_time_pass(await desk.hold(house, place))
    await expire_holds(runtime)
    await runtime.close()
    assert held(desk, house) == 0
    assert desk.database.run_transaction(lambda s: run_out_holds(s, 10)) == []


async def test_changes_that_nobody_resumes_from_are_trimmed(desk: Desk, house: Staged, fast: Settings) -> None:
    for place in range(3):
        await desk.hold(house, place)
    runtime = await WorkerRuntime.start(fast.model_copy(update={"change_log_retention": timedelta(milliseconds=1)}))
    await asyncio.sleep(0.01)
    await trim_change_log(runtime)
    await runtime.close()
    assert desk.one("SELECT count(*) FROM seat_changes WHERE performance_id = :id", id=house.performance_id) == 0


async def test_old_answers_are_deleted_and_new_ones_kept(desk: Desk, runtime: WorkerRuntime) -> None:
    desk.one(
        "INSERT INTO request_results (scope, request_id, fingerprint, answer, create_time)"
        " VALUES ('x', 'old', '', '', now() - interval '49 h'), ('x', 'new', '', '', now())"
    )
    await delete_outdated_rows(runtime)
    assert desk.one("SELECT string_agg(request_id, ',') FROM request_results WHERE scope = 'x'") == "new"


async def test_a_cancelled_performance_is_wound_up_by_a_worker(
    desk: Desk, house: Staged, runtime: WorkerRuntime
) -> None:
    sold, kept = await desk.hold(house, 1), await desk.hold(house, 2)
    payment = await desk.captured(sold)
    await desk.settle()
    desk.database.run_transaction(
        lambda s: s.execute(
            text("UPDATE performances SET state = 2, wind_up_time = clock_timestamp() WHERE id = :id"),
            {"id": house.performance_id},
        )
    )

    await wind_performances_up(runtime)
    await desk.settle()

    assert {desk.booking(sold).state, desk.booking(kept).state} == {BookingState.CANCELLED}
    assert sum(refund.amount for refund in desk.refunds(payment)) == 2500
    assert_sound(desk.database, quiet=True)
