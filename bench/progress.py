"""One line that says what is being measured: rewritten on a terminal, a line of its own elsewhere."""

import sys
import time


class Progress:
    """The progress line of one scenario."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self._begin = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        """Say what is going on now."""
        line = f"[{self._scenario} {time.monotonic() - self._begin:5.1f} s] {text}"
        if self._terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the way for what is printed next."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
