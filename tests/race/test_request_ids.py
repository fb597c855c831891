"""Two processes get the same request at the same moment: one effect. The control shows that there is a race."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowlock.v1.auth_pb2 import SetUserRoleRequest, User
from server.db.engine import Database
from server.db.models import accounts
from server.services.mutation import once
from server.states import Role

pytestmark = pytest.mark.race

_barrier: Barrier | None = None


def _meet(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches a worker process only when the process is made
    _barrier = barrier


def _effect(session: Session) -> User:
    """Something that no constraint keeps from happening twice."""
    user_id = uuid4()
    session.add(
        accounts.User(
            id=user_id,
            email="a@example.com",
            email_key=f"{user_id}@example.com",
            display_name="Ada",
            password_hash="x",
            role=Role.CUSTOMER,
        )
    )
    return User(name=f"users/{user_id}")


def _call(url: str, request_id: str) -> str:
    async def call() -> str:
        database = Database(url, threads=1)
        try:
            await database.read(lambda session: session.scalar(select(1)))  # connected before the race
            assert _barrier is not None
            _barrier.wait(60)
            request = SetUserRoleRequest(name="users/1", request_id=request_id)
            return (await once(database, request, User, _effect, scope="one")).name
        finally:
            database.close()

    return asyncio.run(call())


async def _race(database: Database, request_id: str) -> tuple[list[str], int]:
    """What two processes were answered, and how many effects there were."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    url = database.engine.url.render_as_string(hide_password=False)
    with ProcessPoolExecutor(2, mp_context=context, initializer=_meet, initargs=(barrier,)) as pool:
        loop = asyncio.get_running_loop()
        answers = await asyncio.gather(*(loop.run_in_executor(pool, _call, url, request_id) for _ in range(2)))
    effects = await database.read(lambda session: session.scalar(select(func.count()).select_from(accounts.User)))
    return answers, effects or 0


async def test_two_processes_with_one_request_id_have_one_effect(fresh_database: Database) -> None:
    answers, effects = await _race(fresh_database, "the-same")
    assert effects == 1
    assert answers[0] == answers[1]


async def test_control_without_a_request_id_there_are_two(fresh_database: Database) -> None:
    answers, effects = await _race(fresh_database, "")
    assert effects == 2
    assert answers[0] != answers[1]
