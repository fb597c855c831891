"""Reads a seat map file of either format, telling them apart by what only one of them has."""

from typing import Any

from server.seats import pretix_plan, seat_map_file
from server.seats.seat_map_faults import Faults, decode


def read(data: bytes) -> dict[str, Any]:
    """Check a seat map file (Rowlock's own JSON or a pretix seating plan).

    Args:
        data: the file's bytes, UTF-8 JSON. Large files take a second or so: call it off the event loop.

    Returns:
        The document to store, as `Hall.from_document` takes it.

    Raises:
        SeatMapFileError: with every fault of the file.
    """
    faults = Faults()
    document = decode(data, faults)
    if isinstance(document, dict) and "format" not in document and {"categories", "zones"} <= document.keys():
        return pretix_plan.convert(document, faults)
    return seat_map_file.check(document, faults)
