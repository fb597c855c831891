"""Spans of the seat ledger: one for each command, in its caller's trace, and one for each batch, in a trace of its own.

A batch serves many callers, so it is nobody's child: it is linked to the commands that it carries, and they to it.
"""

from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import Link, Span

from server import tracing
from server.db.engine import Database
from server.seats.commands import Command
from server.seats.connection import LedgerConnection
from server.seats.ledger import Ledger, Waiting
from server.tracing.database import statement_span


class TracedLedger(Ledger):
    """The same, with spans."""

    def __init__(self, database: Database, *args: Any, **limits: Any) -> None:
        super().__init__(database, *args, **limits)
        self._connections = [TracedConnection(database.engine) for _ in self._connections]
        self._asked: dict[int, Span] = {}
        """The spans of commands that wait or are carried out, by the commands' identity."""

    async def execute(self, command: Command) -> Any:
        """Carry out one command, in a span."""
        # A refusal is an answer, and no fault.
        with tracing.tracer().start_as_current_span(
            f"ledger {type(command).__name__}", record_exception=False, set_status_on_exception=False
        ) as span:
            self._asked[id(command)] = span
            try:
                return await super().execute(command)
            finally:
                self._asked.pop(id(command), None)

    async def _run(self, batch: Sequence[Waiting], connection: LedgerConnection) -> None:
        spans = [span for one in batch if (span := self._asked.get(id(one.command))) is not None]
        with tracing.tracer().start_as_current_span(
            "ledger batch",
            links=[Link(span.get_span_context()) for span in spans],
            attributes={"rowlock.commands": len(batch)},
        ) as own:
            for span in spans:
                span.add_link(own.get_span_context())
            await super()._run(batch, connection)


class TracedConnection(LedgerConnection):
    """The same, with a span for each round trip."""

    async def execute(self, statements: str, values: Sequence[object] = ()) -> None:
        """Run statements, in a span."""
        span = statement_span(statements)
        try:
            await super().execute(statements, values)
        except BaseException as error:
            span.record_exception(error)
            raise
        finally:
            span.end()
