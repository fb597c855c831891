"""`rowlock scheduler`: the clock that wakes the sweepers."""

from __future__ import annotations

import typer

from server.config import load_settings
from server.logs import configure_logging
from server.start_checks import ready_settings

app = typer.Typer()


@app.command()
def scheduler() -> None:
    """Wake the sweepers (expiry, payments, tidying) at their intervals, until SIGTERM or Ctrl-C.

    One is enough. Two do no harm, and none only delays tidying: an expired hold never refuses a buyer.
    """
    given = load_settings()
    configure_logging(given.log_level, given.log_format)
    settings = ready_settings(given)

    from workers.scheduler import main

    main(settings)
