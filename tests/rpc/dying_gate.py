"""`rowlock gate` that is killed at a given line of its own code.

python tests/rpc/dying_gate.py LINE gate ARGUMENTS…
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from rowlock_client.cli import gate_keeper
from server.cli import build

_FOLDER = str(Path(gate_keeper.__file__).parent)
_PARTS = ("gate_keeper.py", "gate_link.py", "gate_hand_in.py", "gate_scans.py", "gate_store.py", "gate_lines.py")


def main(line: int, arguments: list[str]) -> None:
    """Run the command, and die at the `line`-th line that runs of what a gate is made of."""
    watched = {os.path.join(_FOLDER, part) for part in _PARTS}  # noqa: PTH118 - to compare with what Python says
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    command = build("gate")
    sys.settrace(trace)
    command(arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
