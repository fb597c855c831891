"""Charges the daily quotas of API keys around what uses them up; see ``server.domain.key_uses``."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from google.protobuf.message import Message

from server.db.engine import Database
from server.db.ids import new_id
from server.domain import key_uses
from server.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, RowlockError
from server.interceptors.authentication import Caller
from server.services.fingerprints import fingerprint
from server.states import KeyQuota

Answer = TypeVar("Answer")

_WITHOUT_EFFECT: Final = (Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied)
"""After these nothing happened. After the others nobody knows, and the charge stays until the request is repeated."""


async def charged(
    database: Database,
    who: Caller,
    quota: KeyQuota,
    *,
    amount: int,
    reference: Callable[[], str],
    work: Callable[[], Awaitable[Answer]],
) -> Answer:
    """Charge the caller's API key, if it has quotas, and do the work.

    Args:
        database: where quotas are.
        who: the caller.
        quota: what is used up.
        amount: how much of it.
        reference: gives what is the same whenever the same request is sent: see ``reference_of``.
        work: is done if the quota allows it; refused, it costs nothing.

    Raises:
        ResourceExhausted: API_KEY_QUOTA_REACHED.
        RowlockError: whatever ``work`` raises.
    """
    key_id = who.key_id
    if key_id is None or not who.has_quotas or amount < 1:
        return await work()
    named = reference()
    new = await database.transaction(lambda session: key_uses.charge(session, key_id, quota, named, amount))
    try:
        return await work()
    except RowlockError as refusal:
        if new and isinstance(refusal, _WITHOUT_EFFECT):
            await database.transaction(lambda session: key_uses.give_back(session, key_id, quota, named))
        raise


def reference_of(request: Message) -> str:
    """What a request is charged as: once, however often it is sent; without a request_id each time it is sent."""
    request_id: str = request.request_id  # type: ignore[attr-defined]
    return f"{request_id}/{fingerprint(request).hex()}" if request_id else str(new_id())
