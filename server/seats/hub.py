"""The hub: the seats of every performance that is watched in this process, and all who watch them.

Frames come from the ledger of this process, through Redis from those of others, and from the change log whenever
there is reason to think that something did not come: a gap in the revisions, a silence (every performance is
compared with the database about once a second, all in one statement), a new subscription. ``FeedState`` lets
nothing be told before what precedes it, so whatever is lost on the way, watchers hear everything, once and in order.

Nothing here is the truth: a hub that is killed loses nothing but connections.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final

import structlog

from server import resources
from server.db.engine import Database
from server.errors import FieldFault, InvalidArgument, NotFound, Unavailable
from server.seats import feed_metrics as metrics
from server.seats.board import read_board
from server.seats.feed_comparison import Comparisons
from server.seats.feed_performance import Feed
from server.seats.feed_reading import News, read_history, read_news, read_public
from server.seats.feed_shards import ShardedSubscription
from server.seats.feed_state import FeedState, Heard
from server.seats.feed_subscription import Subscription
from server.seats.feed_timers import Wheel
from server.seats.feed_watcher import Begin, Pace, Watcher
from server.seats.frames import Farewell
from server.seats.write import Published

_LINGER: Final = 30.0
"""Seconds for which a performance that nobody watches is kept, because streams come back when they end."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """The settings of a hub; times in seconds.

    Attributes:
        ring_frames: recent frames kept per performance, which is also how far back a stream may be resumed.
        pending_frames: how many frames a watcher may be behind and is still told each alone, not all in one message.
        poll_interval: how often revisions are compared with the database.
        heartbeat: longest silence on a stream.
        max_age: how long a stream lives.
        age_jitter: share of that by which it may end earlier.
        token_check: how often a token is looked at.
    """

    ring_frames: int = 2048
    pending_frames: int = 1
    poll_interval: float = 1.0
    heartbeat: float = 15.0
    max_age: float = 900.0
    age_jitter: float = 0.2
    token_check: float = 30.0


class Hub:
    """The seat feed of one process. Belongs to one event loop; ``run`` must be running.

    Args:
        database: the truth.
        limits: see there.
        subscription: frames of other processes; None: only the database is asked.
        draining: set when the process begins to end.
    """

    def __init__(
        self,
        database: Database,
        limits: FeedLimits,
        *,
        subscription: Subscription | ShardedSubscription | None = None,
        draining: asyncio.Event | None = None,
    ) -> None:
        self._database = database
        self._limits = limits
        self._subscription = subscription
        self._draining = draining or asyncio.Event()
        self._feeds: dict[int, Feed] = {}
        self._wheel: Wheel[Watcher] = Wheel(min(0.5, limits.heartbeat / 10))
        self._where: dict[Watcher, Feed] = {}
        self._comparisons = Comparisons(
            self._compare,
            lambda: (feed for feed in self._feeds.values() if feed.opening is None),
            limits.poll_interval,
        )
        if subscription is not None:
            subscription.on_frame = self._hear_redis
            subscription.on_subscribed = self._ask_performance

    # --- for services -------------------------------------------------------------------------------------------

    @property
    def watchers(self) -> int:
        """How many streams there are."""
        return len(self._where)

    def watch(
        self,
        performance_id: int,
        resume_revision: int = 0,
        *,
        staff: bool = False,
        still_valid: Callable[[], bool] = lambda: True,
    ) -> Watcher:
        """A watcher of a performance. It joins when its first message is asked for, which raises what is wrong.

        Args:
            performance_id: what to watch.
            resume_revision: the last revision that the caller knows; 0: begin with a snapshot.
            staff: whether the caller may see performances that are not public yet.
            still_valid: whether the caller's token still is.

        Raises (with the first message):
            NotFound: there is no such performance, or it is not for the caller to see.
            InvalidArgument: REVISION_IN_FUTURE.
            Unavailable: the process is ending, or the database cannot be reached.
        """

        async def join(watcher: Watcher) -> Begin:
            return await self._join(watcher, performance_id, resume_revision, staff=staff)

        limits = self._limits
        pace = Pace(
            # Up to two ticks pass between the time at which it is due and the visit.
            heartbeat=(limits.heartbeat - 2 * self._wheel.tick) * random.uniform(0.8, 1),
            token_check=limits.token_check,
            end=time.monotonic() + limits.max_age * random.uniform(1 - limits.age_jitter, 1),
            pending_frames=limits.pending_frames,
        )
        return Watcher(join, self._leave, still_valid, pace)

    def deliver(self, published: Sequence[Published]) -> None:
        """Take in what the ledger of this process has just committed."""
        for one in published:
            feed = self._feeds.get(one.performance_id)
            if feed is not None:
                metrics.FROM_LEDGER.inc()
                self._hear(feed, one.revision, one.body, one.changes)

    async def run(self) -> None:
        """Keep everything going, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._comparisons.run(), name="seat feed comparison")
            group.create_task(self._tick_on(), name="seat feed ticks")
            group.create_task(self._drain(), name="seat feed drain")
            if self._subscription is not None:
                group.create_task(self._subscription.run(), name="seat feed subscription")

    # --- joining and leaving ------------------------------------------------------------------------------------

    async def _join(self, watcher: Watcher, performance_id: int, resume_revision: int, *, staff: bool) -> Begin:
        while True:
            feed = await self._open(performance_id)
            if not staff and not feed.public:
                feed.public = await self._database.read(lambda session: read_public(session, performance_id))
                if not feed.public:
                    raise NotFound.of(resources.performance(performance_id))
            begin = await self._begin(feed, resume_revision)
            self._refuse_when_draining()
            if self._feeds.get(performance_id) is feed:
                break
        feed.watchers.add(watcher)
        self._where[watcher] = feed
        self._wheel.put(watcher, watcher.visit(time.monotonic()))
        metrics.WATCHERS.set(len(self._where))
        return begin

    def _leave(self, watcher: Watcher) -> None:
        feed = self._where.pop(watcher)
        feed.watchers.discard(watcher)
        feed.idle_since = time.monotonic()
        metrics.WATCHERS.set(len(self._where))

    def _refuse_when_draining(self) -> None:
        if self._draining.is_set():
            raise Unavailable("DRAINING", "this server is stopping; another one answers", retry_after=0)

    async def _open(self, performance_id: int) -> Feed:
        """The feed of a performance, read from the database once however many ask for it."""
        self._refuse_when_draining()
        feed = self._feeds.get(performance_id)
        if feed is None:
            feed = self._feeds[performance_id] = Feed(performance_id)
            metrics.PERFORMANCES.set(len(self._feeds))
            # Not the task of any one caller: it goes on when that one goes away.
            feed.opening = _start(self._read_board(feed), "seat feed opening")
        if feed.opening is not None:
            await asyncio.shield(feed.opening)
        return feed

    async def _read_board(self, feed: Feed) -> None:
        performance_id = feed.performance_id
        try:
            board, feed.public = await self._database.read(
                lambda session: (read_board(session, performance_id), read_public(session, performance_id))
            )
            if board is None:
                raise NotFound.of(resources.performance(performance_id))  # noqa: TRY301 - as for other failures
        except BaseException:
            self._forget(feed)
            raise
        if self._subscription is not None:
            # What is committed until then is found by the comparison that follows a new subscription.
            self._subscription.want(performance_id)
        for revision, body in feed.open(FeedState(board, most_frames=self._limits.ring_frames)):
            self._hear(feed, revision, body)

    async def _begin(self, feed: Feed, resume_revision: int) -> Begin:
        state = feed.state
        if not resume_revision:
            return Begin(state)
        if resume_revision > state.revision:
            # Another process may have told the caller of a change that has not come here yet: the database decides.
            await self._comparisons.done(feed)
            if resume_revision > max(state.revision, feed.revision_in_database):
                raise _in_future(resume_revision, state.revision)
        elif resume_revision < state.base and state.revision - resume_revision <= self._limits.ring_frames:
            await self._read_history(feed)
        if resume_revision < state.base:
            return Begin(state, reset=True)
        return Begin(state, resume_revision)

    async def _read_history(self, feed: Feed) -> None:
        """Fill the ring from the log, once, for all who resume from before this process knew the performance."""
        if feed.history is None:
            feed.history = _start(self._prepend_history(feed), "seat feed history")
        await asyncio.shield(feed.history)

    async def _prepend_history(self, feed: Feed) -> None:
        most = self._limits.ring_frames
        try:
            rows = await self._database.read(
                lambda session: read_history(session, feed.performance_id, up_to=feed.state.base, most_frames=most)
            )
        except BaseException:
            feed.history = None
            raise
        feed.state.prepend(rows)

    def _forget(self, feed: Feed) -> None:
        if self._feeds.get(feed.performance_id) is feed:
            del self._feeds[feed.performance_id]
            metrics.PERFORMANCES.set(len(self._feeds))
            if self._subscription is not None:
                self._subscription.drop(feed.performance_id)

    def _end(self, feed: Feed, farewell: Farewell, *, restart: bool = False) -> None:
        """Send everybody away: what this feed knows is of no use any more."""
        self._forget(feed)
        for watcher in feed.watchers:
            watcher.end(farewell, restart=restart)

    # --- hearing ------------------------------------------------------------------------------------------------

    def _hear_redis(self, performance_id: int, revision: int, body: bytes) -> None:
        feed = self._feeds.get(performance_id)
        if feed is None:
            return
        metrics.FROM_REDIS.inc()
        self._hear(feed, revision, body)

    def _hear(self, feed: Feed, revision: int, body: bytes, changes: Iterable[tuple[int, int]] | None = None) -> None:
        if feed.opening is not None:
            feed.keep_unread(revision, body)
            return
        try:
            heard = feed.state.hear(revision, body, changes)
        except ValueError:
            # Whoever sent this is not one of us. The log has the true frame.
            metrics.REFUSED_FRAMES.inc()
            feed.doubtful = True
            self._comparisons.ask(feed)
            return
        if heard is Heard.NEWS:
            feed.wake()
        elif heard is Heard.EARLY:
            self._comparisons.ask(feed)
        elif heard is Heard.CONTRADICTION:
            self._set_back(feed)

    def _set_back(self, feed: Feed) -> None:
        """The database was set back (restored, or failed over with a loss): what was told no longer holds."""
        _log.warning("feed.history_differs", performance=feed.performance_id, revision=feed.state.revision)
        self._end(feed, Farewell.AGE, restart=True)

    # --- comparing with the database ----------------------------------------------------------------------------

    def _ask_performance(self, performance_id: int) -> None:
        feed = self._feeds.get(performance_id)
        if feed is not None:
            feed.doubtful = True
            self._comparisons.ask(feed)

    async def _compare(self, feeds: Iterable[Feed]) -> None:
        """Compare feeds with the database, and take in what they lack."""
        asked = {feed.performance_id: feed for feed in feeds if self._feeds.get(feed.performance_id) is feed}
        if not asked:
            return
        known = {performance_id: feed.state.revision for performance_id, feed in asked.items()}
        early = {performance_id: feed.state.early for performance_id, feed in asked.items()}
        for feed in asked.values():
            feed.doubtful = False
        try:
            news = await self._database.read(
                lambda session: read_news(session, known, most_frames=self._limits.ring_frames)
            )
        except BaseException:
            for feed in asked.values():
                feed.doubtful = True
            raise
        for performance_id, feed in asked.items():
            one = news.get(performance_id, News(known[performance_id]))
            if one.revision is None:
                self._end(feed, Farewell.FINISHED)
            elif one.revision < known[performance_id]:
                self._set_back(feed)
            else:
                feed.revision_in_database = one.revision
                self._take_news(feed, one)
                feed.state.forget_unfounded(one.revision, early[performance_id])

    def _take_news(self, feed: Feed, news: News) -> None:
        state = feed.state
        before = state.revision
        try:
            heard = state.hear_log(news.rows)
        except ValueError:
            # A log that cannot be read is a fault of ours; the seats themselves still say what is true.
            _log.exception("feed.log_unreadable", performance=feed.performance_id)
            self._end(feed, Farewell.AGE, restart=True)
            return
        if heard is Heard.CONTRADICTION:
            self._set_back(feed)
            return
        if state.revision > before:
            metrics.GAPS.inc()
            metrics.FROM_LOG.inc(state.revision - before)
        if news.board is not None and news.board.revision > state.revision:
            state.reset(news.board)
            feed.history = None
            metrics.RESETS.inc()
        if state.revision > before:
            feed.wake()

    # --- time ---------------------------------------------------------------------------------------------------

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(self._wheel.tick)
            now = time.monotonic()
            for watcher in self._wheel.due(now):
                if watcher in self._where and not watcher.ended:
                    self._wheel.put(watcher, watcher.visit(now))
            for feed in [feed for feed in self._feeds.values() if feed.idle_for(now) > _LINGER]:
                self._forget(feed)

    async def _drain(self) -> None:
        await self._draining.wait()
        for watcher in self._where:
            watcher.end(Farewell.DRAIN)


def _start(work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
    """A task that belongs to no call: it has no deadline, and a failure that nobody waits for is no fault."""
    task = asyncio.get_running_loop().create_task(work, name=name, context=Context())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _in_future(asked: int, revision: int) -> InvalidArgument:
    return InvalidArgument(
        "REVISION_IN_FUTURE",
        f"resume_revision {asked} is greater than the performance's revision, {revision}; watch from 0",
        fields=[FieldFault("resume_revision", "is greater than the performance's revision")],
        revision=str(revision),
    )
