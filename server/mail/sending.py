"""Works off messages that are due: reads what they say, makes the mail, hands it over, writes the answer down.

Transactions are short, and the mail server is never inside one. ``server.domain.notification_queue`` says what is known
of a message if this process dies at any line.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.orm import Session

from server import clock, tracing
from server.db.engine import Database
from server.db.models.notifications import Notification
from server.domain import notification_queue as queue
from server.domain.notification_facts import CODE_PURPOSES, Facts, load
from server.domain.notification_queue import Attempt, attempt_of, is_hopeless, wait_before
from server.errors import Aborted, DeadlineExceeded, RowlockError, Unavailable
from server.mail.attaching import Attacher
from server.mail.composing import AddressError, Letterhead, Mail, compose
from server.mail.pace import Outage, Pace
from server.mail.post import Outcome, Post, PutOff, Refused, Taken, Uncertain, Unreachable
from server.mail.rendering import Renderer, Words
from server.seats.halls import Halls
from server.states import BookingState, NotificationKind
from server.work_metrics import MAILS

_LONGEST_WRITE_PAUSE: Final = 10.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MailPatience:
    """How long to wait.

    Args:
        answer: for one answer of the mail server.
        first_wait: before a mail that was put off is tried again; doubled each time.
        give_up_after: until a mail that is put off again and again is left to staff.
        repeat_uncertain: whether a mail that may have been taken is sent again by itself.
    """

    answer: timedelta = timedelta(seconds=60)
    first_wait: timedelta = timedelta(seconds=30)
    give_up_after: timedelta = timedelta(days=3)
    repeat_uncertain: bool = False

    @property
    def lease(self) -> timedelta:
        """After how long another worker takes over: longer than a whole conversation with the slowest server."""
        return self.answer * 8


@dataclass(frozen=True, slots=True)
class Due:
    """A message that was taken up, and what it says."""

    attempt: Attempt
    facts: Facts


class Sender:
    """Sends messages. Belongs to one event loop.

    Args:
        database: where they are.
        post: the way to the mail server; None: there is none, and everything waits.
        renderer: makes words.
        letterhead: whom mails come from.
        attacher: makes the files that go with a mail.
        halls: names places.
        patience: how long to wait.
        pace: how fast mails may leave.
    """

    def __init__(
        self,
        database: Database,
        post: Post | None,
        *,
        renderer: Renderer,
        letterhead: Letterhead,
        attacher: Attacher,
        halls: Halls,
        patience: MailPatience,
        pace: Pace,
    ) -> None:
        self._database = database
        self._post = post
        self._renderer = renderer
        self._letterhead = letterhead
        self._attacher = attacher
        self._halls = halls
        self._patience = patience
        self._pace = pace
        self._outage = Outage()
        self._warned = False

    async def take(self, limit: int) -> Sequence[Due]:
        """Take up to ``limit`` due messages up; fewer or none while the mail server is away."""
        if self._post is None:
            self._warn()
            return ()
        room = self._outage.room(limit)
        if room == 0:
            return ()
        self._post.close_idle()
        lease, repeat = self._patience.lease, self._patience.repeat_uncertain
        rows = await self._database.transaction(
            lambda session: queue.take_due(session, room, lease, repeat_uncertain=repeat)
        )
        return await self._with_facts(rows) if rows else ()

    async def carry_on(self, due: Due) -> None:
        """Bring one message as far as it can be brought now."""
        attempt, facts = due.attempt, due.facts
        if is_outdated(facts, clock.now()):
            await self._write(lambda session: queue.outdated(session, attempt))
            return
        if not facts.email:
            await self._give_up(attempt, queue.NO_ADDRESS)
            return
        try:
            words, mail = await self._make(due)
        except AddressError as error:
            await self._give_up(attempt, f"ADDRESS: {error}")
        except Exception as error:  # noqa: BLE001 - a template of the installation's own may fail in any way
            _log.exception("mail.not_made", notification=str(attempt.id))
            await self._put_off(attempt, f"NOT_MADE: {type(error).__name__}: {error}")
        else:
            await self._deliver(attempt, words, mail)

    async def close(self) -> None:
        """Take leave of the mail server."""
        if self._post is not None:
            await self._post.close()

    async def _with_facts(self, rows: Sequence[Notification]) -> Sequence[Due]:
        """Read what they say; one that cannot be read must not hold the others up."""
        attempts = [attempt_of(row) for row in rows]
        try:
            facts = await self._database.transaction(lambda session: load(session, rows, self._halls, codes=True))
        except (Unavailable, Aborted, DeadlineExceeded):
            raise  # the database's fault, not theirs
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row, it is written into it
            if len(rows) > 1:
                return [due for row in rows for due in await self._with_facts([row])]
            _log.exception("mail.not_made", notification=str(attempts[0].id))
            await self._put_off(attempts[0], f"NOT_MADE: {type(error).__name__}: {error}")
            return ()
        return [Due(attempt, one) for attempt, one in zip(attempts, facts, strict=True)]

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "mail.no_server", effect="mails wait in the database", mend="set ROWLOCK_SMTP_URL; see docs/mail.md"
            )

    async def _make(self, due: Due) -> tuple[Words, Mail]:
        facts = due.facts
        files = await self._attacher.files(facts)

        def make() -> tuple[Words, Mail]:
            words = self._renderer.render(facts)
            mail = compose(
                self._letterhead,
                message_id=due.attempt.id,
                recipient=facts.email,
                name=facts.name,
                subject=words.subject,
                text=words.text,
                html=words.html,
                attachments=files(),
            )
            return words, mail

        # Milliseconds of templates, tens of them with tickets: not on the loop on which the ledger works.
        return await asyncio.to_thread(make)

    async def _deliver(self, attempt: Attempt, words: Words, mail: Mail) -> None:
        assert self._post is not None, "nothing is taken up without"  # noqa: S101
        await self._pace.turn()
        lease = self._patience.lease

        async def hand_over() -> bool:
            return await self._database.transaction(
                lambda session: queue.hand_over(session, attempt, lease, subject=words.subject, body=words.inbox)
            )

        with tracing.span("mail deliver", kind="client"):
            outcome = await self._post.deliver(mail, hand_over)
        MAILS.labels(type(outcome).__name__.lower()).inc()
        await self._write_down(attempt, outcome)

    async def _write_down(self, attempt: Attempt, outcome: Outcome) -> None:
        if isinstance(outcome, Unreachable):
            wait = timedelta(seconds=self._outage.failed(outcome.reason))
            await self._write(lambda session: queue.put_off(session, attempt, outcome.reason, wait))
            return
        if not isinstance(outcome, Uncertain):
            self._outage.worked()
        match outcome:
            case Taken():
                _log.debug("mail.sent", notification=str(attempt.id))
                await self._write(lambda session: queue.sent(session, attempt))
            case Refused(reason):
                await self._give_up(attempt, reason)
            case PutOff(reason):
                await self._put_off(attempt, reason)
            case Uncertain(reason):
                _log.error("mail.uncertain", notification=str(attempt.id), reason=reason)
                await self._doubt(attempt)

    async def _doubt(self, attempt: Attempt) -> None:
        """Leave it to staff; or to the next attempt, which knows by the mark that it is a repetition."""
        if not self._patience.repeat_uncertain:
            await self._write(lambda session: queue.uncertain(session, attempt))

    async def _put_off(self, attempt: Attempt, reason: str) -> None:
        if is_hopeless(attempt, clock.now(), self._patience.give_up_after):
            await self._give_up(attempt, reason)
            return
        wait = wait_before(attempt.number, self._patience.first_wait)
        _log.info("mail.put_off", notification=str(attempt.id), code=_code(reason), seconds=wait.total_seconds())
        await self._write(lambda session: queue.put_off(session, attempt, reason, wait))

    async def _give_up(self, attempt: Attempt, reason: str) -> None:
        _log.error("mail.failed", notification=str(attempt.id), code=_code(reason))
        await self._write(lambda session: queue.refused(session, attempt, reason))

    async def _write(self, work: Callable[[Session], None]) -> None:
        """Write an outcome down, however long the database takes to come back: it is known only here."""
        pause, left = 0.1, self._patience.lease.total_seconds()
        while True:
            try:
                await self._database.transaction(work)
            except RowlockError:
                if left <= 0:
                    raise
                await asyncio.sleep(pause)
                left -= pause
                pause = min(pause * 2, _LONGEST_WRITE_PAUSE)
            else:
                return


def is_outdated(facts: Facts, now: datetime) -> bool:
    """Whether what a mail says, or the code in it, is of no use any more. Pure."""
    if facts.kind in CODE_PURPOSES and facts.code is None:
        return True  # the account was shut, or has another address now
    if facts.kind is NotificationKind.BOOKING_CONFIRMED:
        return facts.booking is None or facts.booking.state is not BookingState.CONFIRMED
    end = facts.data.get("expire_time")
    return end is not None and datetime.fromisoformat(str(end)) <= now


def _code(reason: str) -> str:
    """The first word of a reason: the rest may have somebody's address in it, which is not for logs."""
    return reason.split(" ", 1)[0].rstrip(":")
