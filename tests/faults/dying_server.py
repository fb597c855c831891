"""A server process that is struck, with kill -9, at a chosen line: the first time that a batch comes there.

python tests/faults/dying_server.py "ledger has committed"
"""

import signal
import sys
from collections.abc import Callable
from typing import Final

from server.cli import build
from server.seats import batch
from server.seats.feed_publication import Publisher
from tests.faults import dying_worker
from tests.faults.dying_worker import after, before

POINTS: Final[dict[str, Callable[[], None]]] = {
    "ledger is about to commit": lambda: before(batch, "_commit"),
    "ledger has committed": lambda: after(batch, "_commit"),
    "change is about to be published": lambda: before(Publisher, "publish"),
    "change was published": lambda: after(Publisher, "publish"),
}


def main(point: str) -> None:
    """Serve until struck."""
    dying_worker.strikes.append(signal.SIGKILL)
    POINTS[point]()
    build("serve")(["serve"])


if __name__ == "__main__":
    main(sys.argv[1])
