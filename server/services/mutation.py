"""Run a mutating request once, however often it is sent.

The answer is stored under (scope, ``request_id``) in the transaction that has the effect, so either both exist or
neither does. The row is claimed *before* the work: a second call with the same id waits on the unique index until
the first one commits (and then gets its answer) or rolls back (and then does the work itself). A refused request
leaves no row, so it may be mended and sent again.

What staff change is put on record in the same transaction; see ``staff_recording``. A request that is repeated makes
no second record, and one that is refused makes none.

The seat ledger keeps its own results, with its own rows; this is for everything else.
"""

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.db.models.accounts import RequestResult
from server.domain import staff_actions
from server.errors import FieldFault, InvalidArgument
from server.interceptors.authentication import optional_caller
from server.services.fingerprints import fingerprint
from server.services.staff_recording import with_answer
from server.services.standing import STAFF

Answer = TypeVar("Answer", bound=Message)


async def once(
    database: Database,
    request: Message,
    answer: type[Answer],
    work: Callable[[Session], Answer],
    *,
    scope: str,
    key: bytes = b"",
    keep: Callable[[Answer], Answer] | None = None,
) -> Answer:
    """Run ``work`` in a transaction and return its answer; give the first answer again to a repeated request.

    Example::

        caller_ = caller()
        return await once(database, request, Category, lambda s: to_category(create(s, title)), scope=caller_.scope)

    Args:
        database: where to run.
        request: the request with its ``request_id``; an empty one means that nothing is remembered.
        answer: the type of the answer, by which a stored one is read.
        work: does everything in the session it is given and makes the answer. It may run again when PostgreSQL
            asks for a retry, so it must have no effect elsewhere.
        scope: whose ids these are: ``caller().scope``, or the address of an anonymous caller.
        key: of the fingerprint, for requests that hold a password.
        keep: makes what is stored from the answer, where the answer holds a secret that must not be.

    Raises:
        InvalidArgument: REQUEST_ID_REUSED, the id came earlier with another request.
        RowlockError: whatever ``work`` raises; then nothing is stored.
    """
    request_id: str = request.request_id  # type: ignore[attr-defined]
    work = recorded(request, work)
    if not request_id:
        return await database.transaction(work)
    mark = fingerprint(request, key)

    def remembered(session: Session) -> Answer:
        claim = insert(RequestResult).values(scope=scope, request_id=request_id, fingerprint=mark, answer=b"")
        if session.execute(claim.on_conflict_do_nothing().returning(RequestResult.scope)).first() is None:
            return answer.FromString(_stored(session, scope, request_id, mark))
        made = work(session)
        stored = made if keep is None else keep(made)
        session.execute(
            update(RequestResult)
            .where(RequestResult.scope == scope, RequestResult.request_id == request_id)
            .values(answer=stored.SerializeToString())
        )
        return made

    return await database.transaction(remembered)


def recorded(request: Message, work: Callable[[Session], Answer]) -> Callable[[Session], Answer]:
    """``work``, and behind it, in the same transaction, the record of it if the current caller is staff."""
    who = optional_caller()
    if who is None or who.role not in STAFF:
        return work

    def and_record(session: Session) -> Answer:
        made = work(session)
        staff_actions.write(session, [with_answer(request, who, made)])
        return made

    return and_record


def _stored(session: Session, scope: str, request_id: str, mark: bytes) -> bytes:
    row = session.execute(
        select(RequestResult.fingerprint, RequestResult.answer).where(
            RequestResult.scope == scope, RequestResult.request_id == request_id
        )
    ).one()
    if row.fingerprint != mark:
        raise InvalidArgument(
            "REQUEST_ID_REUSED",
            "this request_id was used for another request",
            fields=[FieldFault("request_id", "was used for another request; take a new one")],
        )
    return bytes(row.answer)
