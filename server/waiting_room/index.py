"""Lines in Redis: where somebody stands is one look into a sorted set, without PostgreSQL.

A line is one key. Its members are (entry, customer), 32 bytes, so that finding a place also proves whose it is; its
scores are the places. One member more, with a score below all places, says at which revision of the room the set is:
so a set is never half a line, whatever is lost or evicted, the rank of whoever stands first is 1, and nothing has to
be trusted beyond this key.

What is committed reaches Redis by ``sync``: it reads what changed since the set's revision and applies it, in one
step, if the set still is at that revision. So it does not matter who calls it, when, how often, or whether whoever
should have called it died. A set that is not there (FLUSHALL) or that knows more than the database (a restored one) is
built anew beside the old one and put in its place.
"""

import asyncio
import struct
import time
from collections.abc import Sequence
from contextvars import Context
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import structlog
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain.waiting_room_entries import PackedLine, PackedMoves, line_head, packed_line, packed_moves
from server.redis_clients import RedisClient
from server.waiting_room.shared import SharedByKey

_ENTRY: Final = 40
"""Bytes of a packed entry: its place as a floating point number, then the member."""
_SCORE: Final = struct.Struct(">d")
_FOUND: Final = struct.Struct(">dI")
_FILL: Final = 1000 * _ENTRY
_PIECE: Final = 5000 * _ENTRY
_KEEP: Final = 24 * 3600
"""Seconds that a line is kept when nobody touches it; it can always be built anew."""
_PAUSE_AFTER_FAULT: Final = 1.0
_MOST_AT_ONCE: Final = 512
_CROWD: Final = 8
_GATHER: Final = 0.002
"""Seconds for which questions gather where many are asked, as in ``server.seats.ledger``."""

# KEYS[1]: the line. ARGV[1]: members, 32 bytes each.
# Answers the score of the revision, then rank and place of each (0: does not wait), packed; nothing without a line.
_RANKS: Final = """
local revision = redis.call('ZSCORE', KEYS[1], 'r')
if not revision then return false end
local found = {struct.pack('>d', tonumber(revision))}
local wanted = ARGV[1]
for at = 1, #wanted, 32 do
  local member = string.sub(wanted, at, at + 31)
  local place = redis.call('ZSCORE', KEYS[1], member)
  found[#found + 1] = struct.pack('>d', place and tonumber(place) or 0)
  found[#found + 1] = struct.pack('>I4', place and redis.call('ZRANK', KEYS[1], member) or 0)
end
return table.concat(found)
"""

# KEYS[1]: the line. ARGV: the revision's score before and after, packed entries, seconds to keep it.
_APPLY: Final = """
local score = redis.call('ZSCORE', KEYS[1], 'r')
if not score or tonumber(score) ~= tonumber(ARGV[1]) then return 0 end
local entries = ARGV[3]
for at = 1, #entries, 40 do
  local place = struct.unpack('>d', entries, at)
  local member = string.sub(entries, at + 8, at + 39)
  if place < 0 then
    redis.call('ZREM', KEYS[1], member)
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', place), member)
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], 'r')
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""

# KEYS[1]: a line that is being built. ARGV[1]: at most a thousand packed entries.
_BUILD: Final = """
local entries, given = ARGV[1], {}
for at = 1, #entries, 40 do
  given[#given + 1] = string.format('%.0f', (struct.unpack('>d', entries, at)))
  given[#given + 1] = string.sub(entries, at + 8, at + 39)
end
redis.call('ZADD', KEYS[1], unpack(given))
redis.call('EXPIRE', KEYS[1], 60)
"""

# KEYS: the built line, the line. ARGV: the revision's score that was seen before (empty: none), the new one, seconds.
_PUT: Final = """
local score = redis.call('ZSCORE', KEYS[2], 'r')
if (score and tonumber(score) or '') ~= (ARGV[1] ~= '' and tonumber(ARGV[1]) or '') then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('ZADD', KEYS[1], ARGV[2], 'r')
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""

_log = structlog.get_logger(__name__)


class Found(NamedTuple):
    """Where somebody stands, from 1, and the place that says so."""

    position: int
    place: int


class LineIndex:
    """The lines of an installation in Redis, as one process sees them.

    Args:
        redis: with short time-outs.
        database: has the truth.
        prefix: first part of the keys.
    """

    def __init__(self, redis: RedisClient, database: Database, prefix: str) -> None:
        self._redis = redis
        self._database = database
        self._prefix = prefix
        self._ranks = redis.register_script(_RANKS)
        self._apply = redis.register_script(_APPLY)
        self._build = redis.register_script(_BUILD)
        self._put = redis.register_script(_PUT)
        self._syncs: SharedByKey[tuple[int, UUID]] = SharedByKey(lambda line: self._sync(*line))
        self._questions: dict[UUID, _Questions] = {}
        self._away_until = 0.0
        self._revisions: dict[UUID, int] = {}

    @property
    def is_away(self) -> bool:
        """Whether Redis failed a moment ago and is not asked again just yet: each try may cost a time-out."""
        return time.monotonic() < self._away_until

    async def find(self, line_id: UUID, member: bytes) -> Found | None:
        """Where an (entry, customer) stands; None: it does not wait, or Redis cannot say.

        Questions that are asked at the same time are sent together.
        """
        if self.is_away:
            return None
        questions = self._questions.get(line_id)
        if questions is None:
            questions = self._questions[line_id] = _Questions(self, line_id)
        return await questions.ask(member)

    def revision(self, line_id: UUID) -> int:
        """At which revision a line was when it was last looked at here; -1: it was not there."""
        return self._revisions.get(line_id, -1)

    async def sync(self, performance_id: int, line_id: UUID) -> bool:
        """Bring a line to what is committed now; whether that was done. Those who call meanwhile share the work."""
        await self._syncs.done((performance_id, line_id))
        return not self.is_away

    def forget(self, line_id: UUID) -> None:
        """Keep nothing of a line that is no more."""
        self._questions.pop(line_id, None)
        self._revisions.pop(line_id, None)

    async def find_all(self, line_id: UUID, members: Sequence[bytes]) -> list[Found | None]:
        """Where (entry, customer) pairs stand, as far as Redis knows."""
        try:
            found = await self._ranks(keys=[self._key(line_id)], args=[b"".join(members)])
        except (RedisError, OSError) as error:
            self._failed(error)
            return [None] * len(members)
        if found is None:
            self._revisions.pop(line_id, None)
            return [None] * len(members)
        (score,) = _SCORE.unpack_from(found)
        self._revisions[line_id] = _revision(score)
        return [Found(rank, int(place)) if rank else None for place, rank in _FOUND.iter_unpack(found[_SCORE.size :])]

    async def _sync(self, performance_id: int, line_id: UUID) -> None:
        if self.is_away:
            return
        try:
            score = await self._redis.zscore(self._key(line_id), "r")
            revision = None if score is None else _revision(score)
            if revision is None or not await self._advance(performance_id, line_id, revision):
                await self._rebuild(performance_id, line_id, revision)
        except (RedisError, OSError) as error:
            self._failed(error)

    async def _advance(self, performance_id: int, line_id: UUID, revision: int) -> bool:
        """Apply what changed since ``revision``; False: the line has to be built anew."""

        def work(session: Session) -> tuple[tuple[UUID, int] | None, list[PackedMoves]]:
            head = line_head(session, performance_id)
            if head is None or head[0] != line_id or head[1] <= revision:
                return head, []
            return head, packed_moves(session, performance_id, revision)

        head, moves = await self._database.read(work)
        if head is None or head[0] != line_id:
            return True  # another line by now: nobody asks for this one any more
        if head[1] < revision:
            return False
        for until, members in _pieces(moves, head[1]):
            arguments: list[int | bytes] = [_score(revision), _score(until), members, _KEEP]
            if not await self._apply(keys=[self._key(line_id)], args=arguments):
                return True  # somebody else does the same, and was faster
            revision = until
        self._revisions[line_id] = revision
        return True

    async def _rebuild(self, performance_id: int, line_id: UUID, seen: int | None) -> None:
        begin = time.monotonic()
        line: PackedLine | None = await self._database.read(lambda session: packed_line(session, performance_id))
        if line is None or line.line_id != line_id:
            return
        building = f"{self._key(line_id)}:{uuid4().hex}"
        for at in range(0, len(line.members), _FILL):
            await self._build(keys=[building], args=[line.members[at : at + _FILL]])
        before: int | str = "" if seen is None else _score(seen)
        if await self._put(keys=[building, self._key(line_id)], args=[before, _score(line.revision), _KEEP]):
            self._revisions[line_id] = line.revision
            _log.info(
                "queue.rebuilt",
                performance=performance_id,
                waiting=len(line.members) // _ENTRY,
                seconds=round(time.monotonic() - begin, 3),
            )

    def _failed(self, error: Exception) -> None:
        if not self.is_away:
            _log.warning("queue.redis_away", error=repr(error), effect="lines are kept in memory meanwhile")
        self._away_until = time.monotonic() + _PAUSE_AFTER_FAULT

    def _key(self, line_id: UUID) -> str:
        return f"{self._prefix}:queue:{{{line_id.hex}}}"


class _Questions:
    """Questions after places in one line: while some are on their way, the next ones gather."""

    def __init__(self, index: LineIndex, line_id: UUID) -> None:
        self._index = index
        self._line_id = line_id
        self._waiting: list[tuple[bytes, asyncio.Future[Found | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, member: bytes) -> Found | None:
        """Where a member stands; None: it does not wait, or nobody knows."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found | None] = loop.create_future()
        self._waiting.append((member, answer))
        if self._asking is None:
            self._asking = loop.create_task(self._ask_all(), context=Context())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                answers = await self._index.find_all(self._line_id, [member for member, _ in asked])
                for (_, answer), found in zip(asked, answers, strict=True):
                    if not answer.done():
                        answer.set_result(found)
                if len(asked) > _CROWD:
                    await asyncio.sleep(_GATHER)
        finally:
            self._asking = None
            for _, answer in self._waiting:
                if not answer.done():
                    answer.set_result(None)
            self._waiting.clear()


def _pieces(moves: Sequence[PackedMoves], last: int) -> list[tuple[int, bytes]]:
    """(revision, packed entries): few enough for one script each, cut between revisions, up to the ``last`` one."""
    pieces: list[tuple[int, bytes]] = []
    gathered: list[bytes] = []
    size = 0
    for move in moves:
        gathered.append(move.members)
        size += len(move.members)
        if size >= _PIECE:
            pieces.append((move.revision, b"".join(gathered)))
            gathered, size = [], 0
    if gathered or (moves and pieces[-1][0] != last):
        pieces.append((last, b"".join(gathered)))
    return pieces


def _score(revision: int) -> int:
    """The score that says a revision: below every place."""
    return -1 - revision


def _revision(score: float) -> int:
    return -1 - int(score)
