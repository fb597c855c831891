"""Where somebody stands, by whatever knows it soonest: this process's memory, Redis, or PostgreSQL.

Who has asked before is found in memory. Whom this process does not know yet Redis finds, by entry and customer, and
only if it knows as much of the line as this process does. Whom neither finds, the caller reads from PostgreSQL.
"""

from server.domain.waiting_room_entries import Entry
from server.waiting_room.index import Found, LineIndex
from server.waiting_room.lines import KeptLine, Lines


def member_of(entry: Entry) -> bytes:
    """By what a place is found: the entry and its customer."""
    return entry.id.bytes + entry.customer_id.bytes


class Positions:
    """The positions of one process's callers.

    Args:
        index: the lines in Redis.
        lines: the lines in memory.
    """

    def __init__(self, index: LineIndex, lines: Lines) -> None:
        self._index = index
        self._lines = lines

    def at_hand(self, performance_id: int, member: bytes) -> int | None:
        """Where an (entry, customer) stands, from memory; None: it has to be looked for. Never waits."""
        line = self._lines.at_hand(performance_id)
        return None if line is None else line.position(member)

    async def find(self, performance_id: int, member: bytes) -> int | None:
        """Where an (entry, customer) stands; None: it does not wait, or neither memory nor Redis knows it."""
        line = await self._lines.current(performance_id)
        if line is None:
            return None
        position = line.position(member)
        if position is not None:
            return position
        read_at = line.line.revision
        found = await self._ask(performance_id, line, member)
        if found is None:
            return None
        line.remember(member, found.place)
        position = line.line.position_of(found.place)
        if position is None and self._index.revision(line.line.line_id) > read_at:
            return found.position  # it came after the line was read
        return position

    async def of_entry(self, entry: Entry) -> int:
        """Where an entry stands that PostgreSQL says waits."""
        line = await self._lines.current(entry.performance_id)
        if line is None or line.line.position_of(entry.place) is None:
            # It came after the line was read.
            line = await self._lines.current(entry.performance_id, fresh=True)
        if line is None:
            return 0
        line.remember(member_of(entry), entry.place)
        # If it has left just now: where it would stand.
        return line.line.position(entry.place)

    def remember(self, entry: Entry) -> None:
        """Know somebody who has just joined."""
        line = self._lines.at_hand(entry.performance_id)
        if line is not None:
            line.remember(member_of(entry), entry.place)

    async def _ask(self, performance_id: int, line: KeptLine, member: bytes) -> Found | None:
        """Ask Redis, which must know what this process knows; None: it does not wait, or Redis cannot say."""
        line_id, known = line.line.line_id, line.line.revision
        found = await self._index.find(line_id, member)
        if self._index.revision(line_id) >= known:
            return found
        # It was lost, or nobody has told it yet: one of all who ask brings it up to date.
        await self._index.sync(performance_id, line_id)
        found = await self._index.find(line_id, member)
        # What takes no writes is no witness: somebody who was admitted would wait there for ever.
        return found if self._index.revision(line_id) >= known else None
