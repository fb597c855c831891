"""How this process writes its log: one line per event, in words or as JSON, never blocking the event loop.

Lines go through a buffer that a thread empties, about twenty times a second, in one write for all that gathered.
So a terminal or a pipe that is slow to take them holds up no call; one that takes nothing for long costs lines,
which are counted. What is in the buffer when the process is killed is lost; a normal end writes it all.

Passwords, tokens, requests and the URLs of servers, which have passwords in them, are never logged: nothing passes them
here.
"""

import atexit
import logging
import sys
import threading
import time
from collections import deque
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from server.call import trace_id
from server.config import LogFormat, LogLevel

_INTERVAL: Final = 0.05
_MAX_WAITING: Final = 100_000


class LineWriter:
    """Writes lines to a stream from a thread of its own.

    Args:
        stream: where to.
        room: lines that may wait; beyond them the newest are dropped and counted.
    """

    def __init__(self, stream: TextIO, *, room: int = _MAX_WAITING) -> None:
        self._stream = stream
        self._room = room
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._filled = threading.Event()
        self._write_lock = threading.Lock()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def __call__(self, line: str) -> None:
        """Take one line, without its newline, from any thread."""
        waiting = self._waiting
        if len(waiting) >= self._room:
            self._dropped += 1
            return
        waiting.append(line)
        # Only the first line of a batch wakes the thread: a wake-up costs more than a line.
        if len(waiting) == 1:
            self._filled.set()

    # structlog calls its logger by the name of the level.
    def msg(self, message: str) -> None:
        """Take one line."""
        self(message)

    debug = info = warning = warn = error = critical = fatal = exception = log = msg

    def flush(self) -> None:
        """Write everything that waits, now."""
        with self._write_lock:
            waiting = self._waiting
            lines = [waiting.popleft() for _ in range(len(waiting))]
            if dropped := self._dropped:
                self._dropped -= dropped
                lines.append(f"{dropped} log lines were dropped: nobody took them")
            if not lines:
                return
            lines.append("")
            try:
                self._stream.write("\n".join(lines))
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads any more (`rowlock serve | head`); serving goes on.
                pass

    def _run(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(_INTERVAL)
            self._filled.clear()
            self.flush()


_writer: LineWriter | None = None


def line_writer() -> LineWriter:
    """The writer of this process, to standard output."""
    global _writer  # noqa: PLW0603 - there is one standard output
    if _writer is None:
        _writer = LineWriter(sys.stdout)
        atexit.register(_writer.flush)
    return _writer


def configure_logging(level: LogLevel, form: LogFormat) -> None:
    """Send structlog and the standard library's logging, which our packages use, through one format."""
    writer = line_writer()
    number = logging.getLevelNamesMapping()[level.value.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    render: list[Processor]
    if form is LogFormat.JSON:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        render = [
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Lines(writer))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.INFO))
    # They tell of every tick of the clock, and of every look at the schema.
    for talkative in ("apscheduler", "alembic"):
        logging.getLogger(talkative).setLevel(max(number, logging.WARNING))


def _add_trace_id(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    if current := trace_id.get():
        event.setdefault("trace_id", current)
    return event


class _Lines:
    """What ``logging.StreamHandler`` writes to."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def write(self, text: str) -> None:
        self._writer(text.removesuffix("\n"))

    def flush(self) -> None:
        """Nothing to do: the writer's thread flushes."""
