"""Watches a hall, live, until so many changes have come: `python watch.py [HOST:PORT] [CHANGES]`.

Needs `pip install rowlock-client` and a server such as `rowlock up`. Run book.py beside it.
"""

import asyncio
import sys
import uuid

from rowlock_client import calls
from rowlock_client.aio import Client


async def main(server: str, changes: int) -> None:
    async with Client(server) as rowlock:
        email, password = f"bob-{uuid.uuid4().hex[:8]}@example.org", "correct horse battery staple"
        await rowlock.call(calls.sign_up(email, password, "Bob"))
        await rowlock.log_in(email, password)
        (performance, *_) = (await rowlock.call(calls.performances(only_available=True))).performances

        # After a lost connection or a restart of the server it goes on where it was; nothing is missed or told twice.
        async with rowlock.watch_seats(performance.name) as watcher:
            async for update in watcher:
                if update.snapshot:
                    print("free", watcher.view.counts.available, flush=True)
                for change in update.changes:
                    print("place", change.index, "is now in state", change.after, flush=True)
                changes -= len(update.changes)
                if changes <= 0:
                    return


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
    asyncio.run(main(address, int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize))
