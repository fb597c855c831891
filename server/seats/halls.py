"""Halls in memory: parsed once per seat map version, because a version never changes."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from threading import Lock
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server.db.models.catalogue import Performance, SeatMapVersion
from server.seats.hall import Hall

Version: TypeAlias = tuple[int, int]
"""A seat map and the number of one of its versions."""

_KEPT: Final = 32


class Halls:
    """Halls that were parsed; the least used are let go. Safe to use from several threads.

    Halls are compared by identity. So as long as anybody has a version's hall, everybody gets the same one, whether it
    is still kept here or not.

    Args:
        kept: how many are kept though nobody uses them; one of 20,000 places takes about 6 MB.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept: OrderedDict[Version, Hall] = OrderedDict()
        self._alive: WeakValueDictionary[Version, Hall] = WeakValueDictionary()
        self._limit = kept
        self._lock = Lock()

    def get(self, session: Session, seat_map_id: int, number: int) -> Hall:
        """The hall of a version that exists."""
        version = (seat_map_id, number)
        return self.of_versions(session, [version])[version]

    def of_versions(self, session: Session, versions: Collection[Version]) -> dict[Version, Hall]:
        """The halls of versions that exist: by one statement for all that nobody has, by none otherwise."""
        with self._lock:
            halls = {version: hall for version in versions if (hall := self._alive.get(version)) is not None}
            for version, hall in halls.items():
                self._keep(version, hall)
        missing = [version for version in versions if version not in halls]
        if missing:
            rows = session.execute(
                select(SeatMapVersion.seat_map_id, SeatMapVersion.number, SeatMapVersion.document).where(
                    tuple_(SeatMapVersion.seat_map_id, SeatMapVersion.number).in_(missing)
                )
            )
            for seat_map_id, number, document in rows:
                halls[seat_map_id, number] = self._add((seat_map_id, number), Hall.from_document(document))
        return halls

    def of_performances(self, session: Session, performance_ids: Iterable[int]) -> dict[int, Hall]:
        """The halls of performances that exist, by two statements at most, however many they are."""
        wanted = set(performance_ids)
        if not wanted:
            return {}
        rows = session.execute(
            select(Performance.id, Performance.seat_map_id, Performance.seat_map_version).where(
                Performance.id.in_(wanted)
            )
        )
        versions = {performance_id: (seat_map_id, number) for performance_id, seat_map_id, number in rows}
        halls = self.of_versions(session, set(versions.values()))
        return {performance_id: halls[version] for performance_id, version in versions.items()}

    def _add(self, version: Version, parsed: Hall) -> Hall:
        """Keep what was parsed, unless another thread was faster: then that one is everybody's."""
        with self._lock:
            hall = self._alive.setdefault(version, parsed)
            self._keep(version, hall)
        return hall

    def _keep(self, version: Version, hall: Hall) -> None:
        self._kept[version] = hall
        self._kept.move_to_end(version)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
