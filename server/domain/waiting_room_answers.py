"""What customers ask who join, what they are answered, and the first answer again to a repeated request_id.

Set-based, as joining is: answers are rows of ``request_results`` as for every other call, written in the transaction
that has the effect. What is kept is not the message but what it is made from, which is a tenth of it.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.models.accounts import RequestResult
from server.domain.staff_records import StaffRecord
from server.domain.waiting_room_entries import Entry
from server.errors import FieldFault, InvalidArgument, RowlockError
from server.states import QueueEntryState
from server.waiting_room.tickets import EntryTicket

_KEPT: Final = struct.Struct(">16sqBbqq")
"""Entry, place, whether it came early, state, position (-1: to be looked up), wait in microseconds (-1: none)."""
_MICROSECOND: Final = timedelta(microseconds=1)

Key = tuple[int, UUID]
"""(performance, customer)."""


@dataclass(frozen=True, slots=True)
class RequestMark:
    """The caller's request_id, whose it is, and the digest of the request that came with it."""

    scope: str
    request_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Join:
    """One customer's wish to join a line.

    Attributes:
        ticket: of an earlier place, if there is one.
        request: by which a repetition is known; None: nobody cares.
        estimate: how long somebody at a position will wait, to be kept with the answer; pure.
        record: what is to be recorded of staff who put somebody in line; None: nothing.
    """

    performance_id: int
    customer_id: UUID
    ticket: EntryTicket | None = None
    request: RequestMark | None = None
    estimate: Callable[[int], timedelta | None] = lambda _: None
    record: StaffRecord | None = None

    @property
    def key(self) -> Key:
        """Whose place in which line."""
        return self.performance_id, self.customer_id


@dataclass(frozen=True, slots=True)
class Joined:
    """A place in line.

    ``position`` and ``wait`` are known of whoever came just now; None: look it up, 0: the draw is to come.
    """

    entry: Entry
    position: int | None
    wait: timedelta | None = None


Outcome = Joined | RowlockError


def recall(session: Session, joins: Sequence[Join]) -> dict[int, Outcome]:
    """What those of ``joins`` were answered, by number, whose request_id came before; the rooms are locked already.

    A request_id that came with another request is refused; one that comes twice in the same batch counts once.
    """
    asked = {(mark.scope, mark.request_id) for join in joins if (mark := join.request) is not None}
    if not asked:
        return {}
    rows = session.execute(
        select(RequestResult.scope, RequestResult.request_id, RequestResult.fingerprint, RequestResult.answer).where(
            tuple_(RequestResult.scope, RequestResult.request_id).in_(sorted(asked))
        )
    )
    known = {(scope, request_id): (bytes(mark), bytes(answer)) for scope, request_id, mark, answer in rows}
    first: dict[tuple[str, str], bytes] = {}
    found: dict[int, Outcome] = {}
    for number, join in enumerate(joins):
        if join.request is None:
            continue
        key = (join.request.scope, join.request.request_id)
        sent = join.request.fingerprint
        before, answer = known[key] if key in known else (first.setdefault(key, sent), None)
        if before != sent:
            found[number] = _reused()
        elif answer is not None and len(answer) == _KEPT.size:
            found[number] = _read(join, answer)
    return found


def remember(
    session: Session, joins: Sequence[Join], outcomes: Sequence[Outcome], answered: Mapping[int, Outcome]
) -> None:
    """Keep the answers to requests that were carried out; what was refused leaves nothing."""
    kept = {
        (join.request.scope, join.request.request_id): {
            "scope": join.request.scope,
            "request_id": join.request.request_id,
            "fingerprint": join.request.fingerprint,
            "answer": _packed(outcome),
        }
        for number, (join, outcome) in enumerate(zip(joins, outcomes, strict=True))
        if join.request is not None and isinstance(outcome, Joined) and number not in answered
    }
    if kept:
        session.execute(insert(RequestResult).on_conflict_do_nothing(), [kept[key] for key in sorted(kept)])


def _packed(joined: Joined) -> bytes:
    entry = joined.entry
    wait = -1 if joined.wait is None else joined.wait // _MICROSECOND
    position = -1 if joined.position is None else joined.position
    return _KEPT.pack(entry.id.bytes, entry.place, entry.early, entry.state, position, wait)


def _read(join: Join, answer: bytes) -> Joined:
    entry_id, place, early, state, position, wait = _KEPT.unpack(answer)
    entry = Entry(
        join.performance_id, UUID(bytes=entry_id), join.customer_id, QueueEntryState(state), place, bool(early)
    )
    return Joined(entry, None if position < 0 else position, None if wait < 0 else wait * _MICROSECOND)


def _reused() -> RowlockError:
    said = "this request_id was used for another request"
    return InvalidArgument("REQUEST_ID_REUSED", said, fields=[FieldFault("request_id", said)])
