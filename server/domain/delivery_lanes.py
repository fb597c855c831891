"""Lanes: which endpoints are to be told of what, and how far.

An endpoint has a lane for each performance, and one for tests. A lane says how far its endpoint was told
(``cursor``), how far it is to be told (``target``), and when somebody looks after it next (``next_attempt_time``);
`server.domain.deliveries` does the telling.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import case, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.ids import new_id
from server.db.models.catalogue import Performance
from server.db.models.partner import Change, ChangeSequence, WebhookEndpoint, WebhookLane
from server.domain import endpoints
from server.domain.changes import Placed, Sight, require_kept
from server.resources import event, performance, venue
from server.states import ChangeKind

TEST_LANE: Final = 0
"""``performance_id`` of the lane in which tests go."""

_IDS: Final = UUID("0b9f6a0e-4b51-5c5e-8f63-6a7cf0a3d1c8")


def message_id(endpoint_id: UUID, position: int) -> str:
    """The ``webhook-id`` of a change at an endpoint: the same however often it is sent."""
    return f"msg_{uuid5(_IDS, f'{endpoint_id}/{position}').hex}"


def test_message_id(test_id: UUID) -> str:
    """The ``webhook-id`` of a test."""
    return f"msg_test_{test_id.hex}"


def spread(session: Session, placed: Sequence[Placed]) -> int:
    """Put changes that have just got their positions into the lanes of the endpoints that they concern.

    Returns:
        How many lanes have something to be sent now.
    """
    if not placed:
        return 0
    known = session.scalars(select(WebhookEndpoint)).all()
    if not known:
        return 0
    names = _names_covering(session, {one.performance_id for one in placed})
    lanes: dict[tuple[int, UUID], list[int]] = defaultdict(list)
    for endpoint in known:
        sight, kinds = endpoints.sight_of(endpoint), frozenset(endpoint.kinds)
        for one in placed:
            if concerns(sight, kinds, one, names.get(one.performance_id, frozenset())):
                lanes[one.performance_id, endpoint.id].append(one.position)
    off = {endpoint.id for endpoint in known if endpoint.disable_time is not None}
    rows = [
        {
            "performance_id": performance_id,
            "endpoint_id": endpoint_id,
            "cursor": min(positions) - 1,
            "target": max(positions),
            "next_attempt_time": None if endpoint_id in off else func.clock_timestamp(),
        }
        for (performance_id, endpoint_id), positions in sorted(lanes.items())
    ]
    for row in rows:
        _extend(session, row)
    return len(rows)


def concerns(sight: Sight, kinds: Collection[int], one: Placed, names: frozenset[str]) -> bool:
    """Whether an endpoint may be told of a change; drafts are looked at when it is sent. Pure.

    Args:
        sight: what it may see.
        kinds: what it wants; empty: everything.
        one: the change.
        names: what covers its performance: its own name, its event's and its venue's.
    """
    if kinds and one.kind not in kinds:
        return False
    if sight.scopes and sight.scopes.isdisjoint(names):
        return False
    return sight.customer_id is None or one.kind is ChangeKind.PERFORMANCE or one.customer_id == sight.customer_id


def ask_for_test(session: Session, endpoint: WebhookEndpoint) -> str:
    """Have a test sent; returns its ``webhook-id``.

    Raises:
        FailedPrecondition: WEBHOOK_ENDPOINT_DISABLED.
    """
    endpoints.require_on(endpoint)
    test_id = new_id()
    _make_due(session, TEST_LANE, endpoint.id, new={"test_id": test_id}, known={"test_id": test_id})
    return test_message_id(test_id)


def replay(session: Session, endpoint: WebhookEndpoint, after: int, performance_id: int | None) -> int:
    """Have everything behind a position sent again; returns for how many performances.

    Raises:
        FailedPrecondition: CHANGES_OUTDATED, WEBHOOK_ENDPOINT_DISABLED.
        InvalidArgument: nothing has that position yet.
    """
    endpoints.require_on(endpoint)
    # Locked: no position is given, and no lane made longer, between what is read here and what is written.
    sequence = session.scalars(select(ChangeSequence).with_for_update()).one()
    require_kept(sequence, after)
    sight, kinds = endpoints.sight_of(endpoint), frozenset(endpoint.kinds)
    query = select(Change.performance_id, Change.kind, Change.customer_id, func.max(Change.position)).where(
        Change.position > after
    )
    if sight.customer_id is not None:
        query = query.where(or_(Change.customer_id == sight.customer_id, Change.kind == ChangeKind.PERFORMANCE))
    if performance_id is not None:
        query = query.where(Change.performance_id == performance_id)
    found = session.execute(query.group_by(Change.performance_id, Change.kind, Change.customer_id)).all()
    names = _names_covering(session, {row[0] for row in found})
    targets: dict[int, int] = {}
    for one in (Placed(row[3] or 0, row[0], row[1], row[2]) for row in found):
        if concerns(sight, kinds, one, names.get(one.performance_id, frozenset())):
            targets[one.performance_id] = max(one.position, targets.get(one.performance_id, 0))
    for owner, target in sorted(targets.items()):
        _begin_anew(session, endpoint.id, owner, after, target)
    return len(targets)


def _extend(session: Session, row: dict[str, Any]) -> None:
    """Make a lane, or make one longer. One that is empty begins right before what is new."""
    lane = insert(WebhookLane).values(row)
    idle = WebhookLane.next_attempt_time.is_(None)
    session.execute(
        lane.on_conflict_do_update(
            index_elements=[WebhookLane.performance_id, WebhookLane.endpoint_id],
            set_={
                "target": func.greatest(WebhookLane.target, lane.excluded.target),
                "next_attempt_time": case((idle, lane.excluded.next_attempt_time), else_=WebhookLane.next_attempt_time),
            },
        )
    )


def _begin_anew(session: Session, endpoint_id: UUID, performance_id: int, after: int, target: int) -> None:
    _make_due(
        session,
        performance_id,
        endpoint_id,
        new={"cursor": after, "target": target},
        known={
            "cursor": func.least(WebhookLane.cursor, after),
            "target": func.greatest(WebhookLane.target, target),
            "failure_count": 0,
            "failing_since": None,
        },
    )


def _make_due(
    session: Session, performance_id: int, endpoint_id: UUID, *, new: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """Have a lane looked at now; ``new`` is what it begins with, ``known`` what changes of one that is there."""
    now = func.clock_timestamp()
    lane = insert(WebhookLane).values(
        performance_id=performance_id, endpoint_id=endpoint_id, next_attempt_time=now, **new
    )
    # Whoever is just sending finds by the count that the lane is no longer theirs.
    changed = {**known, "next_attempt_time": now, "attempt_count": WebhookLane.attempt_count + 1}
    session.execute(
        lane.on_conflict_do_update(index_elements=[WebhookLane.performance_id, WebhookLane.endpoint_id], set_=changed)
    )


def _names_covering(session: Session, performance_ids: Collection[int]) -> dict[int, frozenset[str]]:
    rows = session.execute(
        select(Performance.id, Performance.event_id, Performance.venue_id).where(Performance.id.in_(performance_ids))
    )
    return {row.id: frozenset((performance(row.id), event(row.event_id), venue(row.venue_id))) for row in rows}
