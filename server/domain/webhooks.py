"""The inbox of providers' messages: each stored once, worked on until it was acted on, or until staff have to.

A message is a hint. It is stored in a transaction of its own and then answered; what it means is found out by a worker
that asks the provider (``server.payments.webhook_handling``). Twice, five at once, early, late or out of order, it has
the effect that asking at that moment has, and asking has none of its own.

A row is taken up as payments are: its `next_attempt_time` moves into the future. What a worker writes down afterwards
counts only if it is still the newest to have taken the row up.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, any_, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import statement_time
from server.db.ids import new_id
from server.db.models.payments import Payment, Refund
from server.db.models.webhooks import ProviderWebhook
from server.domain.due import take_up
from server.domain.rows import Listing, count
from server.errors import InvalidArgument, NotFound
from server.payments.webhook_port import ProviderEvent
from server.states import Provider, RefundState, WebhookState

_LONGEST_OUTCOME: Final = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message as one worker has taken it up; ``number`` counts the attempts."""

    webhook_id: UUID
    provider: Provider
    event: ProviderEvent
    number: int
    create_time: datetime


def receive(
    session: Session, provider: Provider, event: ProviderEvent, body: bytes, headers: Mapping[str, str]
) -> bool:
    """Store a message whose signature was right; return whether it is new.

    Args:
        session: a transaction.
        provider: whose it is.
        event: what it says.
        body: as it came.
        headers: those that are worth keeping.
    """
    deliveries: int = session.execute(
        insert(ProviderWebhook)
        .values(**row_of(provider, event, body, headers), next_attempt_time=func.clock_timestamp())
        .on_conflict_do_update(
            index_elements=["provider", "event_id"],
            set_={"delivery_count": ProviderWebhook.delivery_count + 1, "update_time": func.clock_timestamp()},
        )
        .returning(ProviderWebhook.delivery_count)
    ).scalar_one()
    return deliveries == 1


def row_of(provider: Provider, event: ProviderEvent, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The columns of a new message, but for when it is due; ``body`` and ``headers`` as they came."""
    said = {fact.name: getattr(event, fact.name) for fact in fields(ProviderEvent)}
    return said | {
        "id": new_id(),
        "provider": provider,
        "headers": dict(headers),
        "body": body,
        "state": WebhookState.RECEIVED,
    }


def take_due(session: Session, limit: int, lease: timedelta) -> Sequence[Message]:
    """Take up messages that are due; nobody else does for the length of ``lease``."""
    return [_message(row) for row in take_up(session, ProviderWebhook, limit, lease)]


def done(session: Session, message: Message, outcome: str) -> None:
    """It was acted on, or there was nothing to do."""
    now = func.clock_timestamp()
    _write(session, message, state=WebhookState.DONE, outcome=outcome, next_attempt_time=None, complete_time=now)


def needs_attention(session: Session, message: Message, outcome: str) -> None:
    """Staff have to look at it; it is due no more."""
    _write(session, message, state=WebhookState.ATTENTION, outcome=outcome, next_attempt_time=None)


def put_off(session: Session, message: Message, outcome: str, wait: timedelta) -> None:
    """It could not be acted on so far: try again after ``wait``."""
    _write(session, message, outcome=outcome, next_attempt_time=func.clock_timestamp() + wait)


def payment_of(session: Session, message: Message) -> Payment | None:
    """The payment that a message is about: by our name for it, or else by the provider's."""
    event = message.event
    found = None
    if event.payment_name is not None:
        try:
            performance_id, _, payment_id = resources.parse_payment(event.payment_name)
        except InvalidArgument:
            return None  # somebody else's books in the same account
        found = session.get(Payment, (performance_id, payment_id))
    elif event.payment_reference is not None:
        found = session.scalars(
            select(Payment)
            .where(
                Payment.provider_reference == event.payment_reference,
                Payment.provider == message.provider,
            )
            .limit(1)
        ).one_or_none()
    return found if found is not None and found.provider is message.provider else None


def refund_of(session: Session, message: Message, payment: Payment) -> Refund | None:
    """Our refund that a message is about; None: it was not made by us, or the message does not say."""
    event, named = message.event, []
    if event.refund_reference is not None:
        of_before = literal(event.refund_reference) == any_(Refund.taken_back)
        named += [Refund.provider_reference == event.refund_reference, of_before]
    if event.refund_id is not None:
        named.append(Refund.provider_key == event.refund_id)
    if not named:
        return None
    return session.scalars(
        select(Refund)
        .where(Refund.performance_id == payment.performance_id, Refund.payment_id == payment.id, or_(*named))
        .limit(1)
    ).one_or_none()


def paid_and_refunded(session: Session, payment: Payment) -> tuple[Payment, int]:
    """A payment as it is now, and how much of it went back or is on its way, as far as we know."""
    current = session.get_one(Payment, (payment.performance_id, payment.id))
    given = session.scalar(
        select(func.coalesce(func.sum(Refund.amount), 0)).where(
            Refund.performance_id == payment.performance_id,
            Refund.payment_id == payment.id,
            Refund.state != RefundState.FAILED,
            or_(Refund.settle_method.is_(None), Refund.provider_reference.is_not(None)),
        )
    )
    return current, int(given or 0)


def page(session: Session, state: WebhookState | None, after: UUID | None, limit: int) -> Listing[ProviderWebhook]:
    """Messages in a state (None: any) for staff, newest first, those behind ``after``."""
    query = select(ProviderWebhook)
    if state is not None:
        query = query.where(ProviderWebhook.state == state)
    rows = query if after is None else query.where(ProviderWebhook.id < after)
    return Listing(session.scalars(rows.order_by(ProviderWebhook.id.desc()).limit(limit)).all(), count(session, query))


def get(session: Session, webhook_id: UUID) -> ProviderWebhook:
    """One message.

    Raises:
        NotFound: no such message.
    """
    found = session.get(ProviderWebhook, webhook_id)
    if found is None:
        raise NotFound.of(resources.provider_webhook(webhook_id))
    return found


def retry(session: Session, webhook_ids: Collection[UUID] | None) -> int:
    """Have messages worked on anew; return how many.

    Args:
        session: a transaction.
        webhook_ids: which ones, whatever their state; None: all that wait for staff.

    Raises:
        NotFound: there is no such message; then none is worked on.
    """
    chosen: ColumnElement[bool] = ProviderWebhook.state == WebhookState.ATTENTION
    if webhook_ids is not None:
        chosen = ProviderWebhook.id.in_(webhook_ids)
        known = set(session.scalars(select(ProviderWebhook.id).where(chosen)))
        if missing := set(webhook_ids) - known:
            raise NotFound.of(resources.provider_webhook(min(missing)))
    return _changed(
        session,
        chosen,
        state=WebhookState.RECEIVED,
        next_attempt_time=func.clock_timestamp(),
        attempt_count=0,
        complete_time=None,
    )


def close(session: Session, webhook_ids: Sequence[UUID], note: str) -> int:
    """Staff have dealt with messages that waited for them; return with how many."""
    chosen = ProviderWebhook.id.in_(webhook_ids) & (ProviderWebhook.state == WebhookState.ATTENTION)
    outcome = func.left(func.concat(ProviderWebhook.outcome, " | closed by staff: ", note), _LONGEST_OUTCOME)
    return _changed(session, chosen, state=WebhookState.DONE, outcome=outcome, complete_time=func.clock_timestamp())


def delete_outdated(session: Session, retention: timedelta, limit: int) -> int:
    """Delete messages that were done with longer ago than ``retention``; return how many."""
    old = (
        select(ProviderWebhook.id)
        .where(
            ProviderWebhook.state == WebhookState.DONE,
            ProviderWebhook.complete_time < statement_time() - retention,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = session.execute(delete(ProviderWebhook).where(ProviderWebhook.id.in_(old)).returning(ProviderWebhook.id))
    return len(gone.all())


def _write(session: Session, message: Message, **values: Any) -> None:
    values["outcome"] = values["outcome"][:_LONGEST_OUTCOME]
    chosen = (
        (ProviderWebhook.id == message.webhook_id)
        & (ProviderWebhook.state == WebhookState.RECEIVED)
        & (ProviderWebhook.attempt_count == message.number)
    )
    _changed(session, chosen, **values)


def _changed(session: Session, chosen: Any, **values: Any) -> int:
    rows = session.execute(
        update(ProviderWebhook)
        .where(chosen)
        .values(update_time=func.clock_timestamp(), **values)
        .returning(ProviderWebhook.id),
        execution_options={"synchronize_session": False},
    )
    return len(rows.all())


def _message(row: ProviderWebhook) -> Message:
    return Message(
        webhook_id=row.id,
        provider=row.provider,
        event=ProviderEvent(**{fact.name: getattr(row, fact.name) for fact in fields(ProviderEvent)}),
        number=row.attempt_count,
        create_time=row.create_time,
    )
