"""Takes lanes of webhook endpoints up and works them off: one message after another, each settled before the next."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from server import clock, resources
from server.db.engine import Database
from server.db.models.catalogue import Performance
from server.db.models.partner import Change
from server.domain import changes as log
from server.domain import deliveries, delivery_lanes
from server.domain.deliveries import Errand, Lane, Said
from server.partners import signing
from server.partners.sending import Sending
from server.partners.snapshots import TEST, Json, places_needed, rfc3339, snapshot, type_of
from server.seats.hall import Hall
from server.seats.halls import Halls

MOST_AT_ONCE: Final = 256
_EACH: Final = 4
"""Lanes of one endpoint in work at once, in one process."""
_MESSAGES: Final = 20
"""Messages of a lane that are read together."""
_GIVEN: Final = 1_000
"""Changes that get their positions together."""
_LEASE: Final = timedelta(seconds=60)
"""Much longer than one message may take."""


class Deliverer:
    """Tells endpoints what changed.

    Args:
        database: where the log and the lanes are.
        sending: sends one message.
        give_up_after: for how long a message is tried.
        halls: gives places their names.
    """

    def __init__(
        self,
        database: Database,
        sending: Sending,
        *,
        give_up_after: timedelta = deliveries.GIVE_UP_AFTER,
        halls: Halls | None = None,
    ) -> None:
        self._database = database
        self._sending = sending
        self._give_up_after = give_up_after
        self._halls = halls or Halls()
        self._busy: Counter[UUID] = Counter()

    async def place(self) -> None:
        """Give changes their positions, and put them into the lanes that they belong to, until none is left."""

        def work(session: Session) -> int:
            placed = log.give_positions(session, _GIVEN)
            delivery_lanes.spread(session, placed)
            return len(placed)

        while await self._database.transaction(work) == _GIVEN:
            pass

    async def take(self, limit: int) -> Sequence[Lane]:
        """Take up lanes that are due."""
        busy = dict(self._busy)
        lanes = await self._database.transaction(
            lambda session: deliveries.take_due(session, limit, _LEASE, _EACH, busy)
        )
        self._busy.update(lane.endpoint_id for lane in lanes)
        return lanes

    def pause(self) -> float | None:
        """Soon after, lanes may be taken up that were left because others of their endpoint were in work."""
        return 0.1 if self._busy and max(self._busy.values()) >= _EACH else None

    async def carry_on(self, lane: Lane) -> None:
        """Deliver what a lane has, up to a page of it, or up to the first message that is not taken."""
        try:
            await self._work_off(lane)
        finally:
            self._busy[lane.endpoint_id] -= 1
            if self._busy[lane.endpoint_id] <= 0:
                del self._busy[lane.endpoint_id]

    async def _work_off(self, lane: Lane) -> None:
        def read(session: Session) -> tuple[Errand | None, dict[int, Hall]]:
            found = deliveries.errand(session, lane, _MESSAGES)
            return found, self._halls_for(session, found.changes if found else ())

        errand, halls = await self._database.read(read)
        if errand is None:
            await self._database.transaction(lambda session: deliveries.stop(session, lane))
        elif lane.performance_id == delivery_lanes.TEST_LANE:
            await self._test(errand)
        elif await self._deliver(errand, halls.get(lane.performance_id)):
            done = deliveries.put_back if len(errand.changes) == _MESSAGES else deliveries.rest
            await self._database.transaction(lambda session: done(session, lane))

    def _halls_for(self, session: Session, changes: Sequence[Change]) -> dict[int, Hall]:
        if not places_needed([change.kind for change in changes]):
            return {}
        performance_id = changes[0].performance_id
        if session.get(Performance, performance_id) is None:
            return {}
        return self._halls.of_performances(session, [performance_id])

    async def _deliver(self, errand: Errand, hall: Hall | None) -> bool:
        """Send messages in order; False: one was not taken, or the lane is somebody else's now."""
        lane = errand.lane
        for number, change in enumerate(errand.changes):
            said = said_of(lane.endpoint_id, change)
            answer = await self._send(errand, said, body_of(change, hall))
            if not answer.taken:
                failed = lane if number == 0 else _from_here(lane)
                await self._database.transaction(
                    lambda session, said=said, answer=answer, failed=failed: deliveries.fail(  # type: ignore[misc]
                        session, failed, said, answer, self._give_up_after
                    )
                )
                return False
            attempt = lane.failure_count + 1 if number == 0 else 1
            ours = await self._database.transaction(
                lambda session, said=said, answer=answer, attempt=attempt: deliveries.settle(  # type: ignore[misc]
                    session, lane, said, answer, attempt=attempt, lease=_LEASE
                )
            )
            if not ours:
                return False
        return True

    async def _test(self, errand: Errand) -> None:
        lane = errand.lane
        if lane.test_id is None:
            await self._database.transaction(lambda session: deliveries.stop(session, lane))
            return
        said = Said(delivery_lanes.test_message_id(lane.test_id), TEST, 0)
        body = _encoded({"type": TEST, "timestamp": rfc3339(clock.now()), "data": {}})
        answer = await self._send(errand, said, body)
        await self._database.transaction(lambda session: deliveries.tested(session, lane, said, answer))

    async def _send(self, errand: Errand, said: Said, body: bytes) -> deliveries.Answer:
        seconds = int(clock.now().timestamp())
        headers = signing.headers(said.message_id, seconds, body, errand.to.secrets)
        return await self._sending.send(errand.to.uri, headers, body)


def said_of(endpoint_id: UUID, change: Change) -> Said:
    """The message about a change."""
    assert change.position is not None  # noqa: S101 - only rows with a position are read
    kind = type_of(change.kind, change.old_state, change.new_state)
    return Said(delivery_lanes.message_id(endpoint_id, change.position), kind, change.position)


def body_of(change: Change, hall: Hall | None) -> bytes:
    """What is sent: the type, the time and the resource, as Standard Webhooks has them, and the place in the log."""
    return _encoded(
        {
            "type": type_of(change.kind, change.old_state, change.new_state),
            "timestamp": rfc3339(change.change_time),
            "position": str(change.position),
            "performance": resources.performance(change.performance_id),
            "data": snapshot(change.kind, change.performance_id, change.data, hall),
        }
    )


def _encoded(message: Json) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _from_here(lane: Lane) -> Lane:
    """The lane, of whose earlier messages nothing failed."""
    return Lane(lane.endpoint_id, lane.performance_id, lane.number, lane.cursor, lane.target, 0, None, lane.test_id)
