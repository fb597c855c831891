"""Entry lists: what a door needs to know of a performance's tickets, and what has changed since it last asked.

A list's revision is the oldest transaction that was still running when it was read (`pg_snapshot_xmin`): everything
older is in the list. Each ticket carries the transaction that last changed it, so what a later list has to tell is
whatever was changed by that transaction or a younger one. Something may be told twice; nothing is ever left out,
without a counter that all doors and sales would have to queue for.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Performance
from server.errors import FieldFault, InvalidArgument, NotFound
from server.states import TicketState
from server.tickets.codes import DIGEST_BYTES

_ENTRIES: Final = text("""
SELECT clock_timestamp(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       coalesce(string_agg(substring(sha256(int8send(t.performance_id) || uuid_send(t.id) || uuid_send(t.nonce))
                                     FROM 1 FOR :digest_bytes), ''::bytea ORDER BY t.place, t.id), ''::bytea),
       coalesce(array_agg(t.place ORDER BY t.place, t.id), '{}'),
       coalesce(array_agg(t.state ORDER BY t.place, t.id), '{}')
FROM tickets t
WHERE t.performance_id = :performance_id
  AND CASE WHEN :since = 0 THEN t.state <> :void ELSE t.changed_by >= :since END
""")


@dataclass(frozen=True, slots=True)
class Entries:
    """Tickets in three columns; ``digests`` has ``DIGEST_BYTES`` for each (see ``server.tickets.codes.digest``)."""

    performance_id: int
    revision: int
    since_revision: int
    create_time: datetime
    digests: bytes
    places: tuple[int, ...]
    states: bytes


def entries(session: Session, performance_id: int, since_revision: int) -> Entries:
    """The tickets of a performance that are not void; or, since a revision, all that have changed.

    Raises:
        NotFound: no such performance.
        InvalidArgument: REVISION_IN_FUTURE.
    """
    if session.get(Performance, performance_id) is None:
        raise NotFound.of(resources.performance(performance_id))
    now, revision, digests, places, states = session.execute(
        _ENTRIES,
        {
            "performance_id": performance_id,
            "since": since_revision,
            "void": int(TicketState.VOID),
            "digest_bytes": DIGEST_BYTES,
        },
    ).one()
    if since_revision > revision:
        raise InvalidArgument(
            "REVISION_IN_FUTURE",
            "no list has had this revision yet; ask for the whole list",
            fields=[FieldFault("since_revision", "is greater than the revision of the newest list")],
            revision=str(revision),
        )
    return Entries(performance_id, revision, since_revision, now, bytes(digests), tuple(places), bytes(states))
