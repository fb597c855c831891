"""The log of changes: giving positions, reading, deleting what is old.

Triggers write a row for each change, in the transaction that makes it. Transactions commit in another order than that
in which they number their rows, so a reader who remembers a number could miss what commits later with a lower one.
Therefore rows are read by a position that they get afterwards, by ``give_positions``: whoever has the one row of
``change_sequence`` locked gives the next positions to all rows that are committed by then. So

- positions are committed in their order, without gaps: what is below a position that can be read, can be read;
- if one transaction saw what another had done, its rows come later: when its rows are visible, the other's are, too,
  and these have lower numbers. Two changes of one row are such a case, since the second waits for the first's commit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, text, true, tuple_
from sqlalchemy.orm import Session

from server.db.models.catalogue import Event, Performance
from server.db.models.partner import Change, ChangeSequence
from server.errors import FailedPrecondition, InvalidArgument
from server.states import ChangeKind, EventState

_GIVE: Final = text("""
    WITH waiting AS (
        SELECT performance_id, id, row_number() OVER (ORDER BY id) AS n
        FROM (SELECT performance_id, id FROM changes WHERE position IS NULL ORDER BY id LIMIT :limit) w
    )
    UPDATE changes c SET position = :base + w.n
    FROM waiting w WHERE c.performance_id = w.performance_id AND c.id = w.id
    RETURNING c.position, c.performance_id, c.kind, c.customer_id
""")


@dataclass(frozen=True, slots=True)
class Sight:
    """Which changes somebody may see.

    Attributes:
        customer_id: whose bookings, with what belongs to them; None: everybody's.
        scopes: resource names of performances, events and venues; empty: there is no such bound.
        drafts: whether also performances of events that are not published.
    """

    customer_id: UUID | None
    scopes: frozenset[str] = frozenset()
    drafts: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A change that has just been given its position."""

    position: int
    performance_id: int
    kind: ChangeKind
    customer_id: UUID | None


@dataclass(frozen=True, slots=True)
class Read:
    """Changes that were read.

    Attributes:
        changes: the oldest first.
        next_position: up to where everything was looked at.
        more: whether there may be more behind it.
        outdated_position: up to where the log was deleted.
    """

    changes: Sequence[Change] = field(default_factory=tuple)
    next_position: int = 0
    more: bool = False
    outdated_position: int = 0


def give_positions(session: Session, limit: int) -> Sequence[Placed]:
    """Give the next positions to changes that were committed meanwhile; to none if somebody else is at it.

    Args:
        session: a transaction that does nothing else beforehand: its view of the rows must begin after the lock.
        limit: to how many at most.
    """
    sequence = session.scalars(select(ChangeSequence).with_for_update(skip_locked=True)).one_or_none()
    if sequence is None:
        return ()
    rows = session.execute(_GIVE, {"base": sequence.position, "limit": limit}).all()
    sequence.position += len(rows)
    return [Placed(row.position, row.performance_id, ChangeKind(row.kind), row.customer_id) for row in rows]


def read_changes(
    session: Session,
    sight: Sight,
    *,
    after: int,
    limit: int,
    kinds: Collection[int] = (),
    performance_id: int | None = None,
) -> Read:
    """Read changes behind a position.

    Args:
        session: where to read.
        sight: what may be seen.
        after: the position; 0: begin at the oldest that is kept.
        limit: how many at most.
        kinds: of these only; empty: of all.
        performance_id: of this one only; None: of all.

    Raises:
        FailedPrecondition: CHANGES_OUTDATED, some of those that were asked for are deleted.
        InvalidArgument: nothing has that position yet.
    """
    sequence = session.scalars(select(ChangeSequence)).one()
    require_kept(sequence, after)
    wanted = [Change.position > after, Change.position <= sequence.position, _seen(sight)]
    if kinds:
        wanted.append(Change.kind.in_([ChangeKind(kind) for kind in kinds]))
    if performance_id is not None:
        wanted.append(Change.performance_id == performance_id)
    rows = session.scalars(select(Change).where(*wanted).order_by(Change.position).limit(limit + 1)).all()
    more = len(rows) > limit
    shown = rows[:limit]
    last = shown[-1].position if more else sequence.position
    assert last is not None  # noqa: S101 - only rows with a position are read
    return Read(shown, last, more, sequence.outdated_position)


def require_kept(sequence: ChangeSequence, after: int) -> None:
    """Return if everything behind ``after`` is still there.

    Raises:
        FailedPrecondition: CHANGES_OUTDATED.
        InvalidArgument: nothing has that position yet.
    """
    if after > sequence.position:
        raise InvalidArgument.of("after_position", "is behind the last change")
    if 0 < after < sequence.outdated_position:
        raise FailedPrecondition(
            "CHANGES_OUTDATED",
            "changes behind that position were deleted, because they are old",
            outdated_position=str(sequence.outdated_position),
        )


def next_of_lane(
    session: Session, sight: Sight, kinds: Collection[int], performance_id: int, *, after: int, target: int, limit: int
) -> Sequence[Change]:
    """The next changes of one performance for an endpoint, the oldest first. What was deleted is passed over.

    Args:
        session: where to read.
        sight: what the endpoint may be told.
        kinds: of these only; empty: of all.
        performance_id: the performance.
        after: the position behind which to begin.
        target: the last position to be looked at.
        limit: how many at most.
    """
    query = (
        select(Change)
        .where(
            Change.performance_id == performance_id,
            Change.position > after,
            Change.position <= target,
            _seen(sight),
            Change.kind.in_([ChangeKind(kind) for kind in kinds]) if kinds else true(),
        )
        .order_by(Change.position)
        .limit(limit)
    )
    return session.scalars(query).all()


def delete_outdated(session: Session, retention: timedelta, limit: int) -> int:
    """Delete changes that are older than ``retention``, at most ``limit``, the oldest first; returns how many."""
    sequence = session.scalars(select(ChangeSequence).with_for_update()).one()
    old = session.execute(
        select(Change.performance_id, Change.id, Change.position)
        .where(Change.position.is_not(None))
        .order_by(Change.position)
        .limit(limit)
        .add_columns((Change.change_time < func.clock_timestamp() - retention).label("old"))
    ).all()
    # In order of position only: so everything behind the last one that was deleted is still there.
    gone = []
    for row in old:
        if not row.old:
            break
        gone.append(row)
    if gone:
        session.execute(
            delete(Change).where(tuple_(Change.performance_id, Change.id).in_([(row[0], row[1]) for row in gone])),
            execution_options={"synchronize_session": False},
        )
        sequence.outdated_position = gone[-1].position
    return len(gone)


def _seen(sight: Sight) -> ColumnElement[bool]:
    """The condition on changes that somebody sees."""
    conditions: list[ColumnElement[bool]] = []
    if sight.customer_id is not None:
        conditions.append(or_(Change.customer_id == sight.customer_id, Change.kind == ChangeKind.PERFORMANCE))
    if sight.scopes:
        conditions.append(Change.performance_id.in_(select(Performance.id).where(or_(*_covered(sight.scopes)))))
    if not sight.drafts:
        published = exists().where(
            Performance.id == Change.performance_id,
            Event.id == Performance.event_id,
            Event.state != EventState.DRAFT,
        )
        conditions.append(or_(Change.kind != ChangeKind.PERFORMANCE, published))
    return and_(true(), *conditions)


def _covered(scopes: Collection[str]) -> list[ColumnElement[bool]]:
    columns = {"performances": Performance.id, "events": Performance.event_id, "venues": Performance.venue_id}
    by_word: dict[str, list[int]] = {}
    for scope in scopes:
        word, _, number = scope.partition("/")
        by_word.setdefault(word, []).append(int(number))
    return [columns[word].in_(numbers) for word, numbers in by_word.items()]
