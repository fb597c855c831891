"""What Prometheus can ask about the seat feed of one process."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

WATCHERS: Final = Gauge("rowlock_feed_watchers", "Watchers of seats")
PERFORMANCES: Final = Gauge("rowlock_feed_performances", "Performances whose seats are kept in memory")
FRAMES: Final = Counter("rowlock_feed_frames", "Frames taken in, by how they came", ("source",))
GAPS: Final = Counter("rowlock_feed_gaps_healed", "Times that missing frames were read from the change log")
RESETS: Final = Counter("rowlock_feed_resets", "Boards read anew because the change log did not reach back")
SNAPSHOTS: Final = Counter("rowlock_feed_snapshots", "Snapshots given to watchers, by cause", ("cause",))
JOINED: Final = Counter("rowlock_feed_joined_messages", "Messages that told a watcher several revisions at once")
FAREWELLS: Final = Counter("rowlock_feed_farewells", "Streams that the server ended, by reason", ("reason",))
FAN_OUT: Final = Histogram(
    "rowlock_feed_fan_out_seconds",
    "From a frame's arrival in this process, which is its commit where it was made here, to its last watcher",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
PUBLICATION: Final = Histogram(
    "rowlock_feed_publication_seconds",
    "How long Redis took to take the frames of one turn, which is what other processes wait in addition",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
POLL_FAILURES: Final = Counter("rowlock_feed_poll_failures", "Comparisons with the database that failed")
SUBSCRIBED: Final = Gauge("rowlock_feed_subscribed", "1 while frames of other processes come through Redis")
REFUSED_FRAMES: Final = Counter("rowlock_feed_refused_frames", "Frames from Redis that could not be read")
PUBLISHED: Final = Counter("rowlock_feed_published", "Frames given to Redis for other processes")
DROPPED: Final = Counter("rowlock_feed_dropped", "Frames not given to Redis; other processes read them from the log")

FROM_LEDGER: Final = FRAMES.labels("ledger")
FROM_REDIS: Final = FRAMES.labels("redis")
FROM_LOG: Final = FRAMES.labels("log")
FIRST_SNAPSHOTS: Final = SNAPSHOTS.labels("first")
TOO_OLD_SNAPSHOTS: Final = SNAPSHOTS.labels("resumed_too_late")
SLOW_SNAPSHOTS: Final = SNAPSHOTS.labels("slow")
