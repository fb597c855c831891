"""A gate's connection: what it knows from the server, what it owes the server, and whether there is one.

Here the entry list is renewed, scans are handed in, and the connection is noticed to be back.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from rowlock.v1.ticket_pb2 import CheckIn, EntryList, EntryListContent
from rowlock_client import aio, calls
from rowlock_client.cli.gate_answers import first_use, forbids, moment
from rowlock_client.cli.gate_facts import DoorFacts, DoorWords, is_staff
from rowlock_client.cli.gate_hand_in import HandedIn, hand_in
from rowlock_client.cli.gate_scans import KeptScan
from rowlock_client.cli.gate_store import GateStore
from rowlock_client.doors import NotGenuineError, OfflineDoor
from rowlock_client.errors import InvalidArgument, RowlockError

_ONLINE_PAUSE: Final = 5.0
_OFFLINE_PAUSE: Final = 1.0
_REFRESH_SECONDS: Final = 20.0


class Link(Enum):
    """How the gate stands to the server."""

    ONLINE = "connected"
    OFFLINE = "without connection"
    ON_PURPOSE = "without connection, as was asked for"
    FORBIDDEN = "not allowed by the server"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody whom this gate let in, and whom the record did not allow."""

    seat: str
    time: datetime
    why: str


class GateLink:
    """One gate's connection.

    Args:
        store: what the gate keeps on disk.
        facts: what it knows of the performance; already kept.
        words: to name places with.
        client: None: work without the server, on purpose.
        fresh: whether `facts` have come from the server just now.
    """

    def __init__(
        self, store: GateStore, facts: DoorFacts, words: DoorWords, *, client: aio.Client | None, fresh: bool
    ) -> None:
        self.client = client
        self.door = _door(store, facts)
        self.staff = facts.staff
        """Whether whoever works the gate may take check-ins back."""
        self.state = Link.ON_PURPOSE if client is None else Link.OFFLINE
        self.since = local_now()
        self.trouble = ""
        """Why there is no connection, for people."""
        self.conflicts: list[Conflict] = []
        self.complaints: list[str] = []
        """What the server did not take, for people."""
        self.names: dict[str, str] = {}
        """The tickets of scans that were handed in, by scan id."""
        self.changed = asyncio.Event()
        """Is set whenever there is something new to show; whoever shows it clears it."""
        self.state_changed = asyncio.Event()
        """Is set when the connection has changed."""
        self.handing_in = asyncio.Lock()
        """Is held while scans are on their way, so that none is changed meanwhile."""
        self._store = store
        self._words = words
        self._performance = facts.performance.name
        self._whole_list_due = not fresh
        self._lost = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many scans are to be handed in."""
        return len(self._store.scans.waiting)

    async def keep_up(self) -> None:
        """For as long as the gate is open: renew the list, notice when the connection is back, hand in."""
        while self.client is not None:
            self._lost.clear()
            await self.catch_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ONLINE_PAUSE if self.state is Link.ONLINE else _OFFLINE_PAUSE):
                    await self._lost.wait()

    async def catch_up(self) -> None:
        """Hand in what waits, and renew the list; then the server decides again."""
        if self.client is None:
            return
        try:
            while True:
                await self._hand_in(self.client)
                await self._renew(self.client)
                if not self.waiting:
                    break
        except (RowlockError, NotGenuineError, OSError) as error:
            if isinstance(error, RowlockError) and forbids(error):
                self.note_state(Link.FORBIDDEN, str(error))
            else:
                self.note_state(Link.OFFLINE, str(error))
            return
        self.note_state(Link.ONLINE)

    async def _hand_in(self, client: aio.Client) -> None:
        if not self.waiting:
            return
        result = HandedIn()
        try:
            async with self.handing_in:
                await hand_in(client, self._performance, self._store.device, self._store.scans, result)
        finally:
            self.note(result)

    def note(self, result: HandedIn) -> None:
        """Show what became of scans that were handed in, of this gate or another one."""
        self.names.update(result.tickets)
        for scan, found in result.conflicts:
            self.conflicts.append(_conflict(self._words.seat(self.door.decide(scan.code).place), scan, found))
        self.complaints += [f"the server does not take a scan: {why}" for _, why in result.refused]
        self.changed.set()

    async def _renew(self, client: aio.Client) -> None:
        """Learn what has changed since the list that is known; or all, where that cannot be put on top of it."""
        if not self._whole_list_due:
            try:
                changes = await self._list(client, self.door.revision)
                self.door.learn(changes)
            except (NotGenuineError, InvalidArgument):
                # Keys change now and then, and a database that was put back to an earlier time has a shorter history.
                self._whole_list_due = True
            else:
                if EntryListContent.FromString(changes.content).digests:
                    self._store.add_list(changes)
        if self._whole_list_due:
            self.door.trust(await client.jwks())
            whole = await self._list(client, 0)
            self.door.learn(whole)
            await self._keep_whole(client, whole)
            self._whole_list_due = False
        self.changed.set()

    async def _list(self, client: aio.Client, since_revision: int) -> EntryList:
        rpc = calls.entry_list(self._performance, since_revision=since_revision)
        return await client.call(rpc, timeout=_REFRESH_SECONDS)

    async def _keep_whole(self, client: aio.Client, signed: EntryList) -> None:
        facts = self._store.load()
        if facts is not None:
            facts.keys.CopyFrom(await client.jwks())
            facts.lists, facts.staff = [signed], await is_staff(client)
            self.staff = facts.staff
            self._store.save(facts)

    def lose(self, why: str) -> None:
        """There was no answer: the list decides, and the connection is looked after at once."""
        self.note_state(Link.OFFLINE, why)
        self._lost.set()

    def note_state(self, state: Link, trouble: str = "") -> None:
        """The gate stands so to the server; `trouble`: why, for people."""
        if state is not self.state:
            self.state, self.since = state, local_now()
            # Set and cleared at once: whoever waits goes on, whoever comes later waits for the next time.
            self.state_changed.set()
            self.state_changed.clear()
        self.trouble = trouble
        self.changed.set()


def local_now() -> datetime:
    """The time of this machine's clock, as its people say it."""
    return datetime.now().astimezone()


def _conflict(seat: str, scan: KeptScan, found: CheckIn) -> Conflict:
    why = CheckIn.Outcome.Name(found.outcome).lower().replace("_", " ")
    if found.HasField("first_check_in_time"):
        first = found.first_check_in_time.ToDatetime(UTC)
        why = f"{why}, {first_use(moment(first.isoformat(), local_now()), found.first_check_in_place)}"
    return Conflict(seat or "a ticket", scan.time.astimezone(), why)


def _door(store: GateStore, facts: DoorFacts) -> OfflineDoor:
    """The door as it was left: the lists, and whom it let in since."""
    door = OfflineDoor(facts.performance.name, device=store.device, keys=facts.keys)
    with contextlib.suppress(NotGenuineError):
        # What follows a list that cannot be believed cannot be put on top of the one before it.
        for signed in facts.lists:
            door.learn(signed)
    for digest in store.scans.entrances:
        door.note_let_in(digest)
    return door
