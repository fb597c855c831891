"""A span for each transaction and each statement of the pool."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from server import tracing
from server.db.engine import Database

T = TypeVar("T")

_SPAN: Final = "rowlock.span"
SYSTEM: Final = {"db.system.name": "postgresql"}


class TracedDatabase(Database):
    """The same, with spans. Statements are told with placeholders, never with values: those are people's."""

    def __init__(self, url: str, *, threads: int = 16, pool_wait: float = 5.0) -> None:
        super().__init__(url, threads=threads, pool_wait=pool_wait)
        event.listen(self.engine, "before_cursor_execute", _begin)
        event.listen(self.engine, "after_cursor_execute", _end)
        event.listen(self.engine, "handle_error", _fail)

    def _attempt(self, fn: Callable[[Session], T], *, read_only: bool) -> T:
        name = "read" if read_only else "transaction"
        # What is raised in it is a refusal as a rule; a statement that failed is seen on its own span.
        with tracing.tracer().start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=SYSTEM, record_exception=False, set_status_on_exception=False
        ):
            return super()._attempt(fn, read_only=read_only)


def statement_span(statement: str) -> Span:
    """The span of one statement, which its caller ends."""
    return tracing.tracer().start_span(
        statement.lstrip().partition(" ")[0].upper() or "SQL",
        kind=SpanKind.CLIENT,
        attributes={**SYSTEM, "db.query.text": statement},
    )


def _begin(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    connection.info[_SPAN] = statement_span(statement)


def _end(connection: Connection, *_: Any) -> None:
    span = connection.info.pop(_SPAN, None)
    if span is not None:
        span.end()


def _fail(error: ExceptionContext) -> None:
    span = None if error.connection is None else error.connection.info.pop(_SPAN, None)
    if span is not None:
        span.set_status(Status(StatusCode.ERROR, type(error.original_exception).__name__))
        span.end()
