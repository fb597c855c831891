"""One line per RPC and per stream, when it has ended.

At several thousand calls a second a general logger would cost more than the rest of the chain, so these lines,
whose fields are fixed and whose values need no escaping (names of ours, numbers, addresses that were parsed), are
put together directly. A fault of the server goes through structlog as well, with its traceback.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from server.config import LogFormat, LogLevel

_OUR_FAULTS: Final = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})
_STRAINS: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_LEVELS: Final = {LogLevel.DEBUG: 0, LogLevel.INFO: 0, LogLevel.WARNING: 1, LogLevel.ERROR: 2}
_NAMES: Final = ("info", "warning", "error")

_JSON: Final = (
    '{"time":"%s","level":"%s","event":"rpc","method":"%s","code":"%s","reason":"%s","duration_ms":%.3f,'
    '"caller":"%s","address":"%s","trace_id":"%s"}'
)
_CONSOLE: Final = "%s [%-7s] %s %s %s %.1f ms caller=%s address=%s trace_id=%s"


class AccessLog:
    """Writes the lines.

    Args:
        write: takes each line.
        form: JSON, or for people.
        level: lines below it are left out: successes and refusals are ``info``, overload is ``warning``.
    """

    def __init__(self, write: Callable[[str], None], form: LogFormat, level: LogLevel) -> None:
        self._write = write
        self._template = _JSON if form is LogFormat.JSON else _CONSOLE
        self._least = _LEVELS[level]
        self._second = 0
        self._second_text = ""

    def __call__(  # noqa: PLR0917 - once per call: naming seven arguments costs as much as writing the line
        self, method: str, code: str, reason: str, seconds: float, caller: str, address: str, trace_id: str
    ) -> None:
        """Write one line.

        Args:
            method: path of the RPC.
            code: name of its status code.
            reason: name of the ``ErrorReason``; empty when it succeeded.
            seconds: how long it took.
            caller: who called; empty for the anonymous.
            address: where from.
            trace_id: the trace it belongs to.
        """
        level = 2 if code in _OUR_FAULTS else 1 if code in _STRAINS else 0
        if level < self._least:
            return
        self._write(
            self._template
            % (self._time(), _NAMES[level], method, code, reason, seconds * 1000, caller, address, trace_id)
        )

    def _time(self) -> str:
        """Now in UTC with milliseconds. All but those are the same for a thousand calls, so they are kept."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"
