"""Deliveries to webhook endpoints: what is to be said next, and what came of it.

An endpoint has a lane for each performance (`server.domain.delivery_lanes`). What concerns it there is delivered one
by one, in order of position; a message that is not taken holds up its lane and no other. A worker takes a lane up by
moving ``next_attempt_time`` into the future; whatever it writes afterwards counts only if nobody else has taken the
lane up since (``attempt_count``). A worker that is killed between an answer and its commit so leaves a message that is
sent again, under the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from server.db.clock import database_now, statement_time
from server.db.ids import new_id
from server.db.models.accounts import User
from server.db.models.partner import Change, WebhookDelivery, WebhookEndpoint, WebhookLane
from server.domain import endpoints
from server.domain.changes import next_of_lane
from server.domain.delivery_lanes import TEST_LANE
from server.domain.due import take_up
from server.domain.notifications import NO_PERFORMANCE, notify
from server.resources import webhook_endpoint as endpoint_name
from server.states import DeliveryOutcome, NotificationKind

GIVE_UP_AFTER: Final = timedelta(days=3)
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=1)
GONE: Final = 410

_LONGEST_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane as one worker has taken it up. ``number`` counts how often that was done."""

    endpoint_id: UUID
    performance_id: int
    number: int
    cursor: int
    target: int
    failure_count: int
    failing_since: datetime | None
    test_id: UUID | None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to send to, and what signs: the secret, and the former one while it still counts."""

    uri: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be said in a lane next: changes in order, or, in the lane of tests, one test."""

    lane: Lane
    to: Destination
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a receiver answered.

    Attributes:
        status: the HTTP status; 0: there was no answer.
        error: why not, or why it does not count.
        text: the beginning of the answer's body.
        milliseconds: how long it took.
        begin: when it was sent.
    """

    status: int
    error: str
    text: str
    milliseconds: int
    begin: datetime

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Said:
    """One message: its id, what it says, and the position that it is about (0: a test)."""

    message_id: str
    type: str
    position: int


def take_due(
    session: Session, limit: int, lease: timedelta, most_each: int, busy: Mapping[UUID, int]
) -> Sequence[Lane]:
    """Take up lanes that are due, of each endpoint only some: a slow one is not to keep all workers busy.

    Args:
        session: a transaction.
        limit: how many at most.
        lease: for how long.
        most_each: lanes of one endpoint at once.
        busy: how many the caller works on already, by endpoint.
    """
    due = session.execute(
        select(WebhookLane.endpoint_id, func.min(WebhookLane.next_attempt_time).label("first"))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookLane.endpoint_id)
        .join(User, User.id == WebhookEndpoint.user_id)
        .where(
            WebhookLane.next_attempt_time <= statement_time(),
            WebhookEndpoint.disable_time.is_(None),
            User.disable_time.is_(None),
        )
        .group_by(WebhookLane.endpoint_id)
        .order_by("first")
    ).all()
    taken: list[Lane] = []
    for row in due:
        room = min(most_each - busy.get(row.endpoint_id, 0), limit - len(taken))
        if room > 0:
            only = WebhookLane.endpoint_id == row.endpoint_id
            taken.extend(map(_lane, take_up(session, WebhookLane, room, lease, only=only)))
    return taken


def errand(session: Session, lane: Lane, limit: int) -> Errand | None:
    """What is to be sent in a lane; None: its endpoint was switched off or deleted."""
    endpoint = session.get(WebhookEndpoint, lane.endpoint_id)
    if endpoint is None or endpoint.disable_time is not None:
        return None
    changes: Sequence[Change] = ()
    if lane.performance_id != TEST_LANE:
        changes = next_of_lane(
            session,
            endpoints.sight_of(endpoint),
            endpoint.kinds,
            lane.performance_id,
            after=lane.cursor,
            target=lane.target,
            limit=limit,
        )
    signing = [endpoint.secret]
    until = endpoint.former_secret_expire_time
    if endpoint.former_secret is not None and until is not None and database_now(session) < until:
        signing.append(endpoint.former_secret)
    return Errand(lane, Destination(endpoint.uri, tuple(map(bytes, signing))), changes)


def settle(session: Session, lane: Lane, said: Said, answer: Answer, *, attempt: int, lease: timedelta) -> bool:
    """Write down that a message was taken, and go on with the lane.

    Args:
        session: a transaction.
        lane: as it was taken up.
        said: the message.
        answer: how it was answered.
        attempt: which attempt at it that was.
        lease: for how long the lane is kept for the next one.

    Returns:
        Whether the lane is still the caller's.
    """
    _record(session, lane, said, answer, attempt=attempt, outcome=DeliveryOutcome.DELIVERED)
    session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == lane.endpoint_id, WebhookEndpoint.failing_since.is_not(None))
        .values(failing_since=None, update_time=WebhookEndpoint.update_time),
        execution_options={"synchronize_session": False},
    )
    return _change(
        session,
        lane,
        cursor=said.position,
        failure_count=0,
        failing_since=None,
        next_attempt_time=func.clock_timestamp() + lease,
    )


def fail(session: Session, lane: Lane, said: Said, answer: Answer, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
    """Write down that a message was not taken, and when it is tried again.

    After ``give_up_after`` it depends: if nothing at all was taken for so long, the endpoint is switched off, and its
    owner is told; if others were, the message is given up, and its performance goes on with the next.

    Args:
        session: a transaction.
        lane: as it was taken up.
        said: the message.
        answer: how it was answered, if at all.
        give_up_after: for how long a message is tried.
    """
    # The endpoint first, then its lanes: the order in which it is switched on and off, too.
    endpoint = session.get(WebhookEndpoint, lane.endpoint_id, with_for_update={"key_share": True})
    if endpoint is None:
        return
    now = database_now(session)
    if endpoint.failing_since is None:
        session.execute(
            update(WebhookEndpoint)
            .where(WebhookEndpoint.id == lane.endpoint_id)
            .values(failing_since=answer.begin, update_time=WebhookEndpoint.update_time),
        )
    since = lane.failing_since or answer.begin
    attempt = lane.failure_count + 1
    hopeless = now - since >= give_up_after
    nothing_taken = now - (endpoint.failing_since or answer.begin) >= give_up_after
    if answer.status == GONE or (hopeless and nothing_taken):
        _record(session, lane, said, answer, attempt=attempt, outcome=DeliveryOutcome.FAILED)
        if _change(session, lane, failing_since=since):
            _switch_off(session, lane.endpoint_id, answer, since)
        return
    if hopeless:
        _record(session, lane, said, answer, attempt=attempt, outcome=DeliveryOutcome.GIVEN_UP)
        _change(
            session,
            lane,
            cursor=said.position,
            failure_count=0,
            failing_since=None,
            next_attempt_time=func.clock_timestamp(),
        )
        return
    _record(session, lane, said, answer, attempt=attempt, outcome=DeliveryOutcome.FAILED)
    _change(
        session,
        lane,
        failure_count=attempt,
        failing_since=since,
        next_attempt_time=func.clock_timestamp() + wait_before(attempt),
    )


def tested(session: Session, lane: Lane, said: Said, answer: Answer) -> None:
    """Write down what came of a test, which is sent once."""
    outcome = DeliveryOutcome.DELIVERED if answer.taken else DeliveryOutcome.FAILED
    _record(session, lane, said, answer, attempt=1, outcome=outcome)
    _change(session, lane, test_id=None, next_attempt_time=None)


def rest(session: Session, lane: Lane) -> None:
    """Let a lane be in which everything up to its target was sent; what came meanwhile is due at once."""
    _change(
        session,
        lane,
        cursor=func.greatest(WebhookLane.cursor, lane.target),
        next_attempt_time=case((WebhookLane.target > lane.target, func.clock_timestamp()), else_=None),
    )


def stop(session: Session, lane: Lane) -> None:
    """Let a lane be whose endpoint is switched off."""
    _change(session, lane, next_attempt_time=None)


def put_back(session: Session, lane: Lane) -> None:
    """Let a lane with more to send be taken up at once, by anybody."""
    _change(session, lane, next_attempt_time=func.clock_timestamp())


def delete_outdated(session: Session, retention: timedelta, limit: int) -> int:
    """Delete records of attempts that are older than ``retention``, at most ``limit``; returns how many."""
    old = session.scalars(
        select(WebhookDelivery.id)
        .where(WebhookDelivery.create_time < statement_time() - retention)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if old:
        session.execute(
            delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)),
            execution_options={"synchronize_session": False},
        )
    return len(old)


def wait_before(failures: int) -> timedelta:
    """How long to wait after so many failures: 5 s, doubled each time, to an hour. Pure."""
    return min(FIRST_WAIT * (1 << min(max(failures - 1, 0), 20)), LONGEST_WAIT)


def _lane(row: WebhookLane) -> Lane:
    return Lane(
        row.endpoint_id,
        row.performance_id,
        row.attempt_count,
        row.cursor,
        row.target,
        row.failure_count,
        row.failing_since,
        row.test_id,
    )


def _record(
    session: Session, lane: Lane, said: Said, answer: Answer, *, attempt: int, outcome: DeliveryOutcome
) -> None:
    # Written only while there is an endpoint: it may be deleted while a message is on its way.
    if session.get(WebhookEndpoint, lane.endpoint_id, with_for_update={"read": True, "key_share": True}) is None:
        return
    session.add(
        WebhookDelivery(
            id=new_id(),
            endpoint_id=lane.endpoint_id,
            performance_id=lane.performance_id,
            position=said.position,
            message_id=said.message_id,
            type=said.type,
            attempt=attempt,
            outcome=outcome,
            status=answer.status,
            error=answer.error[:_LONGEST_TEXT],
            answer=answer.text[:_LONGEST_TEXT],
            milliseconds=answer.milliseconds,
            create_time=answer.begin,
        )
    )


def _change(session: Session, lane: Lane, **values: Any) -> bool:
    """Change a lane that is still the caller's; False: it is not."""
    changed = session.execute(
        update(WebhookLane)
        .where(
            tuple_(WebhookLane.performance_id, WebhookLane.endpoint_id) == (lane.performance_id, lane.endpoint_id),
            WebhookLane.attempt_count == lane.number,
        )
        .values(update_time=func.clock_timestamp(), **values)
        .returning(WebhookLane.endpoint_id),
        execution_options={"synchronize_session": False},
    )
    return changed.first() is not None


def _switch_off(session: Session, endpoint_id: UUID, answer: Answer, since: datetime) -> None:
    """Switch an endpoint off, and tell its owner."""
    if answer.status == GONE:
        reason = "the receiver answered 410 Gone"
    else:
        reason = (
            f"nothing was taken since {since:%Y-%m-%d %H:%M} UTC; the last attempt: {answer.error or answer.status}"
        )
    endpoint = endpoints.switch_off(session, endpoint_id, reason[:_LONGEST_TEXT])
    if endpoint is None:
        return
    notify(
        session,
        NotificationKind.WEBHOOK_ENDPOINT_OFF,
        recipient_id=endpoint.user_id,
        email=None,
        performance_id=NO_PERFORMANCE,
        subject=endpoint_name(endpoint.user_id, endpoint.id),
        key=f"{NotificationKind.WEBHOOK_ENDPOINT_OFF.name}/{new_id()}",
        data={"uri": endpoint.uri, "reason": endpoint.disable_reason},
    )
