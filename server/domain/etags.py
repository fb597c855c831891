"""Etags: the version of a row, as callers see it."""

from server.errors import Aborted, FieldFault


def etag_of(version: int) -> str:
    """The etag of a row with this ``version``; to callers it is opaque."""
    return f"v{version}"


def require_current(etag: str, version: int) -> None:
    """Return if ``etag`` is empty (the caller does not care) or names the current ``version`` of a locked row.

    Raises:
        Aborted: ETAG_MISMATCH, somebody changed the row since the caller read it.
    """
    if etag and etag != etag_of(version):
        raise Aborted(
            "ETAG_MISMATCH",
            "it was changed since it was read; read it again",
            fields=[FieldFault("etag", "is not the current one")],
        )
