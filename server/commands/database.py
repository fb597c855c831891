"""The database that a command of a few seconds works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from server.config import Settings
from server.db.migrate import upgrade
from server.embedded import EmbeddedServers, running_settings
from server.start_checks import wait_for_database


@contextmanager
def reachable_database(settings: Settings) -> Iterator[Settings]:
    """Settings whose `database_url` answers within the block.

    It is the one the settings name; or that of a `rowlock up` on the same data folder; or an embedded one that is
    started, and migrated, for this block.

    Raises:
        StartError: the named database does not answer.
        EmbeddedServerError: the embedded one does not start.
    """
    if settings.database_url:
        wait_for_database(settings)
        yield settings
    elif running := running_settings(settings):
        yield running
    else:
        with EmbeddedServers(settings) as servers:
            upgrade(servers.settings.database_url)
            yield servers.settings
