"""Entry lists: what a door needs to know of a performance's tickets, and what has changed since it last asked.

A list's revision is the oldest transaction that was still running when it was read (`pg_snapshot_xmin`): everything
older is in the list. Each ticket carries the transaction that last changed it, so what a later list has to tell is
whatever was changed by that transaction or a younger one. Something may be told twice; nothing is ever left out,
without a counter that all doors and sales would have to queue for.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from server import resources
from server.db.models.catalogue import Performance, TicketType
from server.errors import FieldFault, InvalidArgument, NotFound
from server.states import TicketState
from server.tickets.codes import DIGEST_BYTES

_ENTRIES: Final = text("""
SELECT clock_timestamp(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       coalesce(string_agg(substring(sha256(int8send(t.performance_id) || uuid_send(t.id) || uuid_send(t.nonce))
                                     FROM 1 FOR :digest_bytes), ''::bytea ORDER BY t.place, t.id), ''::bytea),
       coalesce(array_agg(t.place ORDER BY t.place, t.id), '{}'),
       coalesce(array_agg(t.state ORDER BY t.place, t.id), '{}'),
       coalesce(array_agg(t.ticket_type_id ORDER BY t.place, t.id), '{}')
FROM tickets t
WHERE t.performance_id = :performance_id
  AND CASE WHEN :since = 0 THEN t.state <> :void ELSE t.changed_by >= :since END
""")


@dataclass(frozen=True, slots=True)
class Entries:
    """Tickets in four columns.

    Attributes:
        performance_id: whose they are.
        revision: what to ask the next list for.
        since_revision: what was asked for; 0: all.
        create_time: when they were read, by the database's clock.
        digests: ``DIGEST_BYTES`` for each ticket (see ``server.tickets.codes.digest``).
        places: the index of each ticket's place in the hall.
        states: a byte for each ticket, the number of its ``TicketState``.
        ticket_types: what the types of these tickets are called, each once.
        ticket_type_indexes: the index of each ticket's type in ``ticket_types``.
    """

    performance_id: int
    revision: int
    since_revision: int
    create_time: datetime
    digests: bytes
    places: tuple[int, ...]
    states: bytes
    ticket_types: tuple[str, ...]
    ticket_type_indexes: tuple[int, ...]


def entries(session: Session, performance_id: int, since_revision: int) -> Entries:
    """The tickets of a performance that are not void; or, since a revision, all that have changed.

    Raises:
        NotFound: no such performance.
        InvalidArgument: REVISION_IN_FUTURE.
    """
    if session.get(Performance, performance_id) is None:
        raise NotFound.of(resources.performance(performance_id))
    now, revision, digests, places, states, types = session.execute(
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
    # One that is renamed is called by its new name in the next whole list.
    names = {
        one.id: one.display_name
        for one in session.scalars(select(TicketType).where(TicketType.performance_id == performance_id))
    }
    indexes = {type_id: index for index, type_id in enumerate(dict.fromkeys(types))}
    return Entries(
        performance_id=performance_id,
        revision=revision,
        since_revision=since_revision,
        create_time=now,
        digests=bytes(digests),
        places=tuple(places),
        states=bytes(states),
        ticket_types=tuple(names.get(type_id, "") for type_id in indexes),
        ticket_type_indexes=tuple(indexes[type_id] for type_id in types),
    )
