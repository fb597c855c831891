"""Reads a seat map file of either format, telling them apart by what only one of them has."""

import zlib
from typing import Any, Final

from server.seats import pretix_plan, seat_map_file
from server.seats.seat_map_faults import MAX_BYTES, ROOT, Faults, decode

_GZIP: Final = 16 + zlib.MAX_WBITS


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


def unpack(data: bytes) -> bytes:
    """Unpack a gzip file, never into more than a seat map file may have.

    Raises:
        SeatMapFileError: it is no whole gzip file, or it unpacks into more.
    """
    faults = Faults()
    inflater = zlib.decompressobj(_GZIP)
    try:
        unpacked = inflater.decompress(data, MAX_BYTES + 1)
    except zlib.error:
        faults.add(ROOT, "is not packed by gzip, or damaged")
        raise faults.error() from None
    if len(unpacked) > MAX_BYTES:
        faults.add(ROOT, f"unpacks into more than {MAX_BYTES} bytes")
    elif not inflater.eof:
        faults.add(ROOT, "is cut off")
    elif inflater.unused_data:
        faults.add(ROOT, "has something behind its end")
    faults.raise_if_any()
    return unpacked
