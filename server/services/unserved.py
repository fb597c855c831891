"""What the contract announces and this release does not serve yet. A test holds it against the servicers."""

from typing import Final

_UNSERVED: Final[dict[str, str]] = {}

UNSERVED: Final = frozenset(
    f"/rowlock.v1.{service}/{name}" for service, names in _UNSERVED.items() for name in names.split()
)
"""Paths of the RPCs that answer UNIMPLEMENTED."""
