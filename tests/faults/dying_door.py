"""A server process that is struck, with kill -9, at a chosen line of recording a scan.

python tests/faults/dying_door.py "scan was committed"
"""

import signal
import sys
from collections.abc import Callable
from typing import Final

from server.cli import build
from server.services import scan_queue
from server.services.scan_queue import ScanQueue
from tests.faults import dying_worker
from tests.faults.dying_worker import after, before

POINTS: Final[dict[str, Callable[[], None]]] = {
    "scan is about to be recorded": lambda: before(scan_queue, "record"),
    "scan is written, not committed": lambda: after(scan_queue, "record"),
    "scan was committed": lambda: after(ScanQueue, "_record_batch"),
}


def main(point: str) -> None:
    """Serve until struck."""
    dying_worker.strikes.append(signal.SIGKILL)
    POINTS[point]()
    build("serve")(["serve"])


if __name__ == "__main__":
    main(sys.argv[1])
