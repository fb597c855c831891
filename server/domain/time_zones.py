"""Time zones by their IANA names."""

from zoneinfo import ZoneInfo

from server.errors import InvalidArgument


def require_time_zone(name: str, field: str) -> None:
    """Return if the IANA database has a zone of this name.

    Raises:
        InvalidArgument: INVALID_FIELD, naming ``field``.
    """
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of zones, or no path at all
        raise InvalidArgument.of(field, "is not a time zone of the IANA database, such as Europe/Berlin") from None
