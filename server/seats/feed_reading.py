"""What a hub reads from the database: boards to begin with, and whatever did not reach it as a frame."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server.db.models.catalogue import Event, Performance
from server.domain.events import readable
from server.seats.board import Board, read_board


@dataclass(frozen=True, slots=True)
class News:
    """What the database says of a performance, where that is not what the hub knows.

    Attributes:
        revision: the database's; None: the performance does not exist.
        rows: (revision, body) of the log from the known revision on, ascending. The known one is among them where it
            is kept, so that a database that was set back is found out.
        board: all states, where the log does not lead from the known revision to this one.
    """

    revision: int | None
    rows: Sequence[tuple[int, bytes]] = ()
    board: Board | None = None


@dataclass(slots=True)
class _Behind:
    revision: int
    rows: list[tuple[int, bytes]] = field(default_factory=list)

    def lead_from(self, known: int) -> bool:
        """Whether no row is missing."""
        return [revision for revision, _ in self.rows if revision > known] == list(range(known + 1, self.revision + 1))


def read_public(session: Session, performance_id: int) -> bool:
    """Whether customers may see a performance. What they may see once they always may."""
    query = select(Performance.id).join(Event, Event.id == Performance.event_id)
    return session.scalar(query.where(Performance.id == performance_id, readable())) is not None


def read_news(session: Session, known: Mapping[int, int], *, most_frames: int) -> dict[int, News]:
    """Compare revisions with the database's, for any number of performances in one statement.

    What is missing is read in the same snapshot: a second statement reads the log for all that are behind, and a
    further one the board of each to which the log does not lead.

    Args:
        session: a transaction that sees one snapshot.
        known: the hub's revision by performance.
        most_frames: a hub that is further behind gets a board.

    Returns:
        Only the performances of which the database says something else.
    """
    news: dict[int, News] = {}
    behind: dict[int, _Behind] = {}
    for performance_id, revision in _differing(session, known):
        if revision is None or revision < known[performance_id]:
            news[performance_id] = News(revision)
        elif revision <= known[performance_id] + most_frames:
            behind[performance_id] = _Behind(revision)
        else:
            news[performance_id] = News(revision, board=read_board(session, performance_id))
    for performance_id, revision, body in _logged(session, {one: known[one] for one in behind}):
        behind[performance_id].rows.append((revision, bytes(body)))
    for performance_id, found in behind.items():
        whole = found.lead_from(known[performance_id])
        board = None if whole else read_board(session, performance_id)
        news[performance_id] = News(found.revision, found.rows, board)
    return news


def read_history(session: Session, performance_id: int, *, up_to: int, most_frames: int) -> list[tuple[int, bytes]]:
    """The frames that led to a revision, as (revision, body), ascending.

    Args:
        session: a transaction.
        performance_id: whose.
        up_to: the last revision wanted.
        most_frames: how many revisions to go back at most; fewer where the log was trimmed.
    """
    rows = session.execute(
        text(
            "SELECT revision, body FROM seat_changes"
            " WHERE performance_id = :id AND revision > :after AND revision <= :up_to ORDER BY revision"
        ),
        {"id": performance_id, "after": up_to - most_frames, "up_to": up_to},
    )
    return [(revision, bytes(body)) for revision, body in rows]


def _differing(session: Session, known: Mapping[int, int]) -> Sequence[tuple[int, int | None]]:
    rows = session.execute(
        text(
            "SELECT w.id, i.revision FROM unnest(CAST(:ids AS bigint[]), CAST(:known AS bigint[])) AS w(id, known)"
            " LEFT JOIN inventories i ON i.performance_id = w.id WHERE i.revision IS DISTINCT FROM w.known"
        ),
        {"ids": list(known), "known": list(known.values())},
    )
    return [(row[0], row[1]) for row in rows]


def _logged(session: Session, known: Mapping[int, int]) -> Iterable[tuple[int, int, memoryview]]:
    if not known:
        return ()
    rows = session.execute(
        text(
            "SELECT c.performance_id, c.revision, c.body"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:known AS bigint[])) AS w(id, known)"
            " JOIN seat_changes c ON c.performance_id = w.id AND c.revision >= w.known"
            " ORDER BY c.performance_id, c.revision"
        ),
        {"ids": list(known), "known": list(known.values())},
    )
    return ((row[0], row[1], row[2]) for row in rows)
