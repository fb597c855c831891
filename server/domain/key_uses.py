"""What API keys may do in a day: places claimed, places sold.

A request is charged before it is carried out, and given back its charge if it is refused. If the process ends in
between, the charge stays: a quota may so be used up a little early, but never be overdrawn. A request that is sent
again is found by its reference and charged once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.db.clock import database_now
from server.db.models.accounts import ApiKey
from server.db.models.partner import KeyCharge, KeyUse
from server.errors import ResourceExhausted
from server.states import KeyQuota

_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Use:
    """What a key has used up today."""

    held_places: int = 0
    sold_places: int = 0


def charge(session: Session, key_id: UUID, quota: KeyQuota, reference: str, amount: int) -> bool:
    """Charge a request.

    Args:
        session: a transaction of its own.
        key_id: the key by which it came.
        quota: what it uses up.
        reference: the same whenever the same request is sent.
        amount: how much.

    Returns:
        Whether it was charged now: not if it was before, or if there is no bound.

    Raises:
        ResourceExhausted: API_KEY_QUOTA_REACHED.
    """
    key = session.get(ApiKey, key_id)
    most = 0 if key is None else _most(key, quota)
    if key is None or not most:
        return False
    key_id = key.family_id or key.id
    now = database_now(session)
    today = now.astimezone(UTC).date()
    row = insert(KeyCharge).values(key_id=key_id, quota=quota, reference=reference, day=today, amount=amount)
    if session.execute(row.on_conflict_do_nothing().returning(KeyCharge.amount)).first() is None:
        return False
    session.execute(insert(KeyUse).values(key_id=key_id, quota=quota, day=today, used=0).on_conflict_do_nothing())
    mine = (KeyUse.key_id == key_id, KeyUse.quota == quota, KeyUse.day == today)
    used = session.scalar(
        update(KeyUse)
        .where(*mine, KeyUse.used + amount <= most)
        .values(used=KeyUse.used + amount)
        .returning(KeyUse.used)
    )
    if used is None:
        before = session.scalar(select(KeyUse.used).where(*mine)) or 0
        raise ResourceExhausted(
            "API_KEY_QUOTA_REACHED",
            f"the API key has {quota.name.lower().replace('_', ' ')} left for {most - before} today, not for {amount}",
            retry_after=_until_tomorrow(now, today),
            quota=quota.name,
            limit=str(most),
            used=str(before),
        )
    return True


def give_back(session: Session, key_id: UUID, quota: KeyQuota, reference: str) -> None:
    """Undo a charge: the request was refused."""
    key = session.get_one(ApiKey, key_id)
    key_id = key.family_id or key.id
    gone = session.execute(
        delete(KeyCharge)
        .where(KeyCharge.key_id == key_id, KeyCharge.quota == quota, KeyCharge.reference == reference)
        .returning(KeyCharge.day, KeyCharge.amount)
    ).first()
    if gone is not None:
        session.execute(
            update(KeyUse)
            .where(KeyUse.key_id == key_id, KeyUse.quota == quota, KeyUse.day == gone.day)
            .values(used=KeyUse.used - gone.amount)
        )


def used_today(session: Session, keys: Collection[ApiKey]) -> dict[UUID, Use]:
    """What keys have used up today, each together with those that it is a successor of."""
    families = {key.id: key.family_id or key.id for key in keys}
    today = database_now(session).astimezone(UTC).date()
    rows = session.execute(
        select(KeyUse.key_id, KeyUse.quota, KeyUse.used).where(
            KeyUse.key_id.in_(set(families.values())), KeyUse.day == today
        )
    ).all()
    used = {(row.key_id, row.quota): int(row.used) for row in rows}
    return {
        key_id: Use(used.get((family, KeyQuota.HELD_PLACES), 0), used.get((family, KeyQuota.SOLD_PLACES), 0))
        for key_id, family in families.items()
    }


def delete_outdated(session: Session, limit: int = 10_000) -> int:
    """Delete what was used up days ago; returns how many charges."""
    first = func.date(func.timezone("UTC", func.clock_timestamp() - _KEPT))
    old = session.execute(
        select(KeyCharge.key_id, KeyCharge.quota, KeyCharge.reference)
        .where(KeyCharge.day < first)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if old:
        key = tuple_(KeyCharge.key_id, KeyCharge.quota, KeyCharge.reference)
        session.execute(
            delete(KeyCharge).where(key.in_([tuple(row) for row in old])),
            execution_options={"synchronize_session": False},
        )
    session.execute(delete(KeyUse).where(KeyUse.day < first), execution_options={"synchronize_session": False})
    return len(old)


def _most(key: ApiKey, quota: KeyQuota) -> int:
    return key.held_places_per_day if quota is KeyQuota.HELD_PLACES else key.sold_places_per_day


def _until_tomorrow(now: datetime, today: date) -> float:
    return (datetime.combine(today + timedelta(days=1), time(), UTC) - now).total_seconds()
