"""One gate at work: asks the server about each ticket, and goes on by itself when the server cannot be reached.

With a connection the server decides, so of two gates that scan one ticket exactly one admits. Without one the signed
entry list decides, and what this gate did is kept on disk until it is handed in. Everything runs in one event loop;
between losing the connection and deciding by the list nothing else can happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import uuid4

from rowlock.v1.performance_pb2 import Performance
from rowlock_client import aio, calls
from rowlock_client.cli.gate_answers import (
    Answer,
    Outcome,
    first_use,
    forbids,
    moment,
    outcome_of,
    refusal_of,
    what_is_wrong,
)
from rowlock_client.cli.gate_facts import DoorFacts, DoorWords
from rowlock_client.cli.gate_link import GateLink, Link, local_now
from rowlock_client.cli.gate_scans import Asked, Entrance, KeptScan
from rowlock_client.cli.gate_store import GateStore
from rowlock_client.doors import Decision, Verdict
from rowlock_client.errors import RowlockError

AGAIN_SECONDS: Final = 2.0
"""A ticket that is still under the scanner is read again and again: within this time that is one scan."""
_UNDECIDED: Final = frozenset({Outcome.NO_ANSWER, Outcome.NOT_ALLOWED})


class Gate:
    """One gate at one performance.

    Args:
        store: what it keeps on disk.
        facts: what it knows of the performance; already kept.
        place: how it calls itself.
        client: None: work without the server, on purpose.
        fresh: whether `facts` have come from the server just now.
        patience: seconds to wait for an answer before the list decides.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: GateStore,
        facts: DoorFacts,
        *,
        place: str,
        client: aio.Client | None,
        fresh: bool = False,
        patience: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.performance: Performance = facts.performance
        self._words = DoorWords(facts)
        self.link = GateLink(store, facts, self._words, client=client, fresh=fresh)
        self._store = store
        self._patience = patience
        self._clock = clock
        self._door = self.link.door
        self._last: tuple[float, Answer] | None = None
        self._undoable: Answer | None = None

    @property
    def undoable(self) -> Answer | None:
        """The last admission, where whoever works this gate may take it back."""
        return self._undoable if self.link.staff else None

    # -- Scanning ----------------------------------------------------------------------------------------

    async def scan(self, code: str, typed: float | None = None) -> Answer:
        """Decide about a ticket.

        Args:
            code: tidied.
            typed: when it was scanned, by this gate's clock; by default now.
        """
        typed = self._clock() if typed is None else typed
        if self._last is not None:
            answered, last = self._last
            if last.code == code and last.outcome not in _UNDECIDED and typed < answered + AGAIN_SECONDS:
                # The same time counts on: who holds a copy of a ticket must not get the first one's welcome for long.
                again = replace(last, again=last.again + 1)
                self._last = (answered, again)
                return again
        try:
            answer = await self._decide(code)
        except OSError as error:
            answer = Answer(Outcome.NO_ANSWER, local_now(), detail=f"scans cannot be kept: {error}", code=code)
        self._last = (self._clock(), answer)
        if answer.outcome is Outcome.ADMITTED:
            self._undoable = answer
        self.link.changed.set()
        return answer

    async def _decide(self, code: str) -> Answer:
        decision = self._door.decide(code)
        if not decision.performance:
            return Answer(Outcome.NOT_A_TICKET, local_now(), detail=what_is_wrong(code), code=code)
        if self.link.state is Link.FORBIDDEN and self.link.waiting:
            # Asked about somebody whom this gate let in by itself, the server would let a second one in.
            return Answer(Outcome.NOT_ALLOWED, local_now(), detail=self.link.trouble, code=code)
        if self.link.state in {Link.ONLINE, Link.FORBIDDEN} and self.link.client is not None:
            asked = self._store.scans.question(code, self.place)
            answer = await self._ask(self.link.client, asked, decision)
            if answer is not None:
                return answer
        return self._decide_alone(code, decision)

    async def _ask(self, client: aio.Client, asked: Asked, decision: Decision) -> Answer | None:
        """What the server says; None: nothing."""
        rpc = calls.check_in(self.performance.name, asked.code, place=asked.place)
        try:
            # The deadline of the call alone would not do: a token may have to be renewed first.
            async with asyncio.timeout(self._patience):
                ticket = await client.call(rpc, request_id=asked.request_id)
        except TimeoutError:
            self.link.lose(f"no answer within {self._patience:g} s")
            return None
        except RowlockError as error:
            if forbids(error):
                self.link.note_state(Link.FORBIDDEN, str(error))
                return Answer(Outcome.NOT_ALLOWED, local_now(), detail=error.message, code=asked.code)
            outcome = refusal_of(error)
            if outcome is None:
                self.link.lose(str(error))
                return None
            self._store.scans.answered(asked)
            self.link.note_state(Link.ONLINE)
            return await self._refused(client, outcome, error, asked.code, decision)
        self.link.note_state(Link.ONLINE)
        # Kept before anybody is told: killed in between, the ticket is "already used", never good for a second one.
        now = local_now()
        self._store.scans.answered(asked, entered=(decision.digest, Entrance(now, asked.place)))
        self._door.note_let_in(decision.digest)
        return Answer(
            Outcome.ADMITTED,
            now,
            seat=self._words.seat(ticket.index),
            ticket_type=self._words.ticket_type(ticket.ticket_type),
            code=asked.code,
            ticket=ticket.name,
            digest=decision.digest,
        )

    async def _refused(
        self, client: aio.Client, outcome: Outcome, error: RowlockError, code: str, decision: Decision
    ) -> Answer:
        now, facts = local_now(), error.metadata
        detail = error.message
        if outcome is Outcome.ALREADY_USED:
            self._door.note_let_in(decision.digest)
            detail = first_use(moment(facts.get("check_in_time", ""), now), facts.get("check_in_place", ""))
        elif outcome is Outcome.WRONG_PERFORMANCE:
            detail = await self._other(client, decision.performance)
        elif outcome is Outcome.REFUNDED:
            detail = "cancelled or given back: it admits nobody"
        elif outcome in {Outcome.DOORS_NOT_OPEN, Outcome.DOORS_CLOSED}:
            time = facts.get("doors_open_time") or facts.get("doors_close_time") or ""
            detail = f"since {moment(time, now)}" if outcome is Outcome.DOORS_CLOSED else f"from {moment(time, now)}"
        return Answer(outcome, now, seat=self._words.seat(decision.place), detail=detail, code=code)

    def _decide_alone(self, code: str, decision: Decision) -> Answer:
        """What the list says."""
        now = local_now()
        if not self._door.revision:
            return Answer(Outcome.NO_ANSWER, now, detail="no connection, and no list of tickets", code=code)
        admitted = decision.verdict is Verdict.ADMITTED
        outcome = outcome_of(decision.verdict)
        # Asked a moment ago, or before this gate was killed: the server may have let this very bearer in.
        asked = self._store.scans.unanswered(code)
        scan = KeptScan(
            scan_id=uuid4().hex,
            code=code,
            time=now,
            place=self.place,
            admitted=admitted,
            digest=decision.digest,
            request_id=asked.request_id if asked is not None and admitted else "",
        )
        self._store.scans.keep(scan)
        if admitted:
            self._door.note_let_in(decision.digest)
        return Answer(
            outcome,
            now,
            seat=self._words.seat(decision.place),
            ticket_type=decision.ticket_type or self._words.zone(decision.place),
            detail=self._why(outcome, decision, asked),
            offline=True,
            code=code,
            scan_id=scan.scan_id,
            digest=decision.digest,
        )

    def _why(self, outcome: Outcome, decision: Decision, asked: Asked | None) -> str:
        """What there is to say about a decision of the list."""
        if outcome is Outcome.NOT_LISTED:
            return "sold or given back since the list was made: ask staff"
        if outcome is Outcome.WRONG_PERFORMANCE:
            return self._words.other(decision.performance)
        if outcome is not Outcome.ALREADY_USED:
            return ""
        if asked is not None:
            return "the server was asked about it here, and its answer never came: ask staff"
        entrance = self._store.scans.entrances.get(decision.digest)
        if entrance is None:
            return "at another gate, or before this one was opened"
        return first_use(moment(entrance.time.isoformat(), local_now()), entrance.place)

    # -- Taking back -------------------------------------------------------------------------------------

    async def take_back(self) -> Answer:
        """Take the last admission back: whoever was let in did not go in. For staff."""
        last = self.undoable
        if last is None:
            detail = "nobody was let in here just now" if self.link.staff else "only staff may take a check-in back"
            return Answer(Outcome.NOT_ALLOWED, local_now(), detail=detail)
        async with self.link.handing_in:
            if not any(scan.scan_id == last.scan_id for scan in self._store.scans.waiting):
                refusal = await self._take_back_at_server(last)
                if refusal is not None:
                    return refusal
            self._store.scans.undo(last.digest)
        self._door.forget_let_in(last.digest)
        self._undoable = self._last = None
        self.link.changed.set()
        return replace(last, outcome=Outcome.TAKEN_BACK, time=local_now(), detail="the ticket lets in again", again=0)

    async def _take_back_at_server(self, last: Answer) -> Answer | None:
        """None: it was done; otherwise why not."""
        name = last.ticket or self.link.names.get(last.scan_id, "")
        if self.link.client is None or not name:
            return replace(last, outcome=Outcome.NO_ANSWER, time=local_now(), detail="only with a connection", again=0)
        try:
            await self.link.client.undo_check_in(name, reason=f"taken back at the gate {self.place}".rstrip())
        except RowlockError as error:
            outcome = Outcome.NOT_ALLOWED if refusal_of(error) or forbids(error) else Outcome.NO_ANSWER
            return replace(last, outcome=outcome, time=local_now(), detail=error.message, again=0)
        return None

    async def _other(self, client: aio.Client, performance: str) -> str:
        """What another performance is, for people."""
        if not self._words.knows(performance):
            with contextlib.suppress(RowlockError, TimeoutError):
                async with asyncio.timeout(self._patience):
                    self._words.learn(await client.performance(performance))
        return self._words.other(performance)
