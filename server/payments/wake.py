"""Wakes a worker at once when there is something to pay or to give back, instead of at the next sweep.

What is to be done stands in the database; a message only says "look now". So it carries nothing, many calls share one,
it is sent beside the call that caused it, and if Redis is away it is simply not sent.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis.exceptions import RedisError

from server.config import Settings
from server.redis_clients import connect_blocking, is_cluster


@dataclass(frozen=True, slots=True)
class Errand:
    """Which actor is to look, and the queue on which it listens."""

    queue: str
    actor: str


PAYMENTS: Final = Errand("payments", "carry_payments_on")
REFUNDS: Final = Errand("refunds", "carry_refunds_on")
WEBHOOKS: Final = Errand("webhooks", "handle_webhooks")
MAIL: Final = Errand("mail", "send_mail")
DELIVERIES: Final = Errand("deliveries", "tell_partners")

_ENOUGH: Final = 20
_PAUSE_AFTER_FAILURE: Final = 1.0

_log = structlog.get_logger(__name__)


def redis_broker(settings: Settings, middleware: list[object] | None = None) -> RedisBroker:
    """The broker of this installation: messages are kept in Redis, where losing them costs a moment."""
    namespace = f"{settings.redis_key_prefix}:work"
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=connect_blocking(settings.redis_url, timeout=settings.redis_timeout.total_seconds()),
        middleware=middleware or [],
        # Its script works on many keys at once. Each begins with the namespace; braces put them all on one shard.
        namespace=f"{{{namespace}}}" if is_cluster(settings.redis_url) else namespace,
        # A message that nobody could process says nothing that the next one does not say again.
        dead_message_ttl=60_000,
    )


def enqueue(broker: RedisBroker, queue: str, actor: str) -> None:
    """Send one message, unless enough of them wait already: workers that were away need no backlog.

    Raises:
        RedisError: Redis is away.
    """
    if broker.do_qsize(queue) < _ENOUGH:
        broker.enqueue(Message(queue_name=queue, actor_name=actor, args=(), kwargs={}, options={}))


class Waker:
    """Sends the messages of one server process. Belongs to one event loop.

    Args:
        broker: where workers listen.
    """

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker
        self._errands: set[Errand] = set()
        self._wanted = asyncio.Event()

    def wake(self, errand: Errand) -> None:
        """Have a worker look now. Neither waits nor raises."""
        self._errands.add(errand)
        self._wanted.set()

    async def run(self) -> None:
        """Send what is wanted, for ever; calls that come while a message is being sent share the next one."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            errands, self._errands = self._errands, set()
            try:
                for errand in errands:
                    await asyncio.to_thread(enqueue, self._broker, errand.queue, errand.actor)
            except (RedisError, OSError) as error:
                _log.warning("payments.wake_failed", error=repr(error), effect="the next sweep finds what is due")
                await asyncio.sleep(_PAUSE_AFTER_FAILURE)
