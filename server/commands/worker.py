"""`rowlock worker`: runs the actors of `workers/`."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from server.config import load_settings
from server.logs import configure_logging
from server.start_checks import ready_settings

app = typer.Typer()

_STOP_LIMIT_MS = 10_000


@app.command()
def worker(
    queues: Annotated[
        list[str] | None, typer.Option("--queue", "-q", help="Only this queue; may be given several times.")
    ] = None,
) -> None:
    """Work off messages until SIGTERM or Ctrl-C: expire holds, ask payment providers, tidy up.

    Run as many as you like, on as many machines. One that is killed loses nothing: what it had begun is found in
    the database and done again.
    """
    given = load_settings()
    configure_logging(given.log_level, given.log_format)
    settings = ready_settings(given)

    from server.metrics import serve_metrics_if_possible
    from server.tracing import start_tracing
    from workers.broker import worker as make_worker

    end_tracing = start_tracing(settings, "rowlock-worker")
    running = make_worker(settings, queues or ())
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    running.start()
    stop_metrics = serve_metrics_if_possible(settings.worker_metrics_address, settings.process_index)
    stop.wait()
    stop_metrics()
    running.stop(timeout=_STOP_LIMIT_MS)
    running.broker.close()
    end_tracing()
