"""What must never happen, asserted. The checkers are those that operators have: `server.audit`."""

from server.audit import audit, faults
from server.db.engine import Database

__all__ = ["assert_sound", "faults"]


def assert_sound(database: Database, *, quiet: bool = False) -> None:
    """No invariant is broken in one snapshot of the whole database; ``quiet``: nothing is under way any more."""
    found = audit(database, quiet=quiet)
    assert not found, "\n".join(found[:20])
