"""A process that books: `python -m tests.feed_writer` with a ledger of its own, and no watchers.

Arguments: URL of the database, URL of Redis, performance, seed, number of commands, and after how many commits to
be killed before they are published (0: never).
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from uuid import uuid4

from redis.asyncio import Redis

from server.db.engine import Database
from server.errors import RowlockError
from server.seats.booking import Booking
from server.seats.commands import Cancel, Claim, Hold
from server.seats.feed_publication import Publisher
from server.seats.ledger import Ledger
from server.seats.write import Published

_CUSTOMERS = 4


async def book(
    database_url: str, redis_url: str, performance_id: int, *, seed: int, count: int, killed_after: int
) -> None:
    """Hold and cancel random places until so many commands were given."""
    database = Database(database_url, threads=2)
    redis = Redis.from_url(redis_url)
    publisher = Publisher(redis)
    commits = 0

    def publish(published: Sequence[Published]) -> None:
        nonlocal commits
        commits += 1
        if commits == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)
        publisher.publish(published)

    ledger = Ledger(database, publish)

    async def customer(choice: random.Random) -> None:
        held: list[Booking] = []
        for _ in range(count // _CUSTOMERS):
            who = uuid4()
            places = choice.sample(range(50), choice.randint(1, 3))
            try:
                if held and choice.random() < 0.5:
                    booking = held.pop()
                    await ledger.execute(
                        Cancel(
                            performance_id=performance_id,
                            booking_id=booking.id,
                            actor_id=booking.customer_id,
                            staff=False,
                        )
                    )
                else:
                    claims = tuple(Claim(place) for place in places)
                    hold = Hold(performance_id=performance_id, customer_id=who, actor_id=who, claims=claims)
                    held.append(await ledger.execute(hold))
            except RowlockError:
                continue

    await asyncio.gather(*(customer(random.Random(seed * 100 + n)) for n in range(_CUSTOMERS)))
    await publisher.close()
    await ledger.close()
    await redis.aclose()
    database.close()


if __name__ == "__main__":
    _url, _redis, *_rest = sys.argv[1:]
    _performance, _seed, _count, _killed = (int(number) for number in _rest)
    asyncio.run(book(_url, _redis, _performance, seed=_seed, count=_count, killed_after=_killed))
