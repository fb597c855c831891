"""A span for each handing over of changes to Redis, linked to the batches that made them."""

from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.trace import Link, SpanKind, get_current_span

from server import tracing
from server.redis_clients import RedisClient
from server.seats.feed_publication import Publisher
from server.seats.write import Published

_MOST_LINKS: Final = 128


class TracedPublisher(Publisher):
    """The same, with spans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._links: list[Link] = []

    def publish(self, published: Sequence[Published]) -> None:
        """Deliver what one batch changed, and remember which batch that was."""
        batch = get_current_span().get_span_context()
        if batch.is_valid and len(self._links) < _MOST_LINKS:
            self._links.append(Link(batch))
        super().publish(published)

    async def _send(self, redis: RedisClient, batch: Sequence[Published]) -> None:
        links, self._links = self._links, []
        with tracing.tracer().start_as_current_span(
            "seats publish", kind=SpanKind.PRODUCER, links=links, attributes={"rowlock.frames": len(batch)}
        ):
            await super()._send(redis, batch)
