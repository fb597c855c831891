"""One transaction of the seat ledger: lock, read, decide, write, commit, for all commands of a batch at once.

The order of locks is the same in every process: seats by (performance, place), bookings by (performance, id),
quotas by (performance, key), inventories by performance. Four round trips, whatever the number of commands; two
more where bookings are named.

The set of seats to lock is not always known beforehand: a claimed place may be held by a booking that has run out
and that has other places, too. Then the transaction starts again with the larger set. Before anybody is refused
for lack of room, the performance's run-out holds are ended in the same way; so an expired hold never refuses
another buyer, however late the sweeper is (S3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg2

from server import clock
from server.errors import RowlockError, Unavailable
from server.seats import arrays, needs
from server.seats import statements as sql
from server.seats.board import Board, Boards
from server.seats.booking import Booking
from server.seats.commands import (
    Add,
    Block,
    Claim,
    Command,
    Expire,
    Hold,
    Remove,
    Unblock,
)
from server.seats.connection import LedgerConnection
from server.seats.decide import decide, replay
from server.seats.locking import (
    BookingKey,
    lock_admissions,
    lock_allocations,
    lock_bookings,
    lock_payments,
    lock_seats,
    lock_tickets,
    read_limits,
)
from server.seats.picking import pick, sold_out
from server.seats.rules import SaleRules
from server.seats.state import (
    Decision,
    Place,
    Replay,
    RulesOutdatedError,
    State,
)
from server.seats.write import Published, write
from server.states import SeatState

Outcome = Booking | None | RowlockError
LACK_OF_ROOM = frozenset({"SOLD_OUT", "CUSTOMER_LIMIT_REACHED", "TICKET_TYPE_SOLD_OUT", "TICKET_TYPE_LIMIT_REACHED"})


class BoardOutdatedError(Exception):
    """A picked place was not free, or "sold out" was said by an old board; nothing was committed."""


class RestartError(Exception):
    """More has to be locked than was known; nothing was committed."""


@dataclass(slots=True)
class Batch:
    """One attempt after another to carry out ``commands`` in one transaction.

    Args:
        commands: in the order of arrival.
        rules: the sale rules of each performance that exists.
        boards: for commands that name no places; must be there for each performance with such commands.
        patient: whether to wait for rows that somebody else has locked.
    """

    commands: Sequence[Command]
    rules: dict[int, SaleRules]
    boards: Boards
    patient: bool = True
    run_out: dict[BookingKey, tuple[int, ...]] = field(default_factory=dict)
    """Holds to end first because their time is over, and those of their places that are anybody's then."""
    places: set[Place] = field(default_factory=set)
    picks: dict[int, tuple[Claim, ...] | None] = field(default_factory=dict)
    served_last: set[int] = field(default_factory=set)
    """Numbers of commands that were refused with places picked for them, which somebody else could have had."""

    def pick_places(self) -> None:
        """Choose places for commands with wants: none twice within the batch, and none that another command names."""
        self.picks.clear()
        copies: dict[int, bytearray] = {}
        named = needs.places_named(self.commands)
        for number in sorted(range(len(self.commands)), key=lambda n: (n in self.served_last, n)):
            command = self.commands[number]
            if not isinstance(command, Hold) or not command.wants or command.performance_id not in self.rules:
                continue
            rules = self.rules[command.performance_id]
            if command.hall is not None and command.hall is not rules.hall:
                continue  # it will be refused
            board = self.boards.get(command.performance_id)
            if board is None:
                raise BoardOutdatedError
            if len(board.states) != len(rules.hall):
                raise RulesOutdatedError
            states = copies.get(command.performance_id)
            if states is None:
                states = copies[command.performance_id] = self._free_states(command.performance_id, board)
            for claim in command.claims:
                states[claim.place] = SeatState.HELD
            self.picks[number] = _pick_beside(rules, states, command, named.get(command.performance_id, ()))

    def _free_states(self, performance_id: int, board: Board) -> bytearray:
        """A working copy of the board on which run-out holds are free."""
        states = bytearray(board.states)
        for (owner, _), places in self.run_out.items():
            if owner == performance_id:
                for place in places:
                    states[place] = SeatState.AVAILABLE
        return states

    async def attempt(self, connection: LedgerConnection) -> tuple[list[Outcome], list[Published]]:
        """Try once. Whatever is raised, nothing was committed, but for a connection lost during the commit.

        Raises:
            RestartError, RulesOutdatedError, BoardOutdatedError: try again, as each says.
            psycopg2.Error: the database refused or went away.
            Unavailable: the connection was lost during the commit, so nobody knows.
        """
        await connection.open()
        try:
            state = await self._lock_and_read(connection)
            outcomes, decisions = await self._decide(connection, state)
            published = await write(connection, state, decisions)
        except BaseException:
            await connection.rollback()
            raise
        if decisions:
            await _commit(connection)
        else:
            await connection.rollback()
        for one in published:
            self.boards.advance(one.performance_id, one.revision, one.changes)
        return outcomes, published

    # --- reading ------------------------------------------------------------------------------------------------

    async def _lock_and_read(self, connection: LedgerConnection) -> State:
        named = needs.bookings(self.commands, self.run_out)
        await self._collect_places(connection, named)
        seats = await lock_seats(connection, sorted(self.places), patient=self.patient)
        holders = {(place[0], row.booking_id) for place, row in seats.items() if row.booking_id is not None}
        bookings = await lock_bookings(connection, sorted(holders.union(named)))
        state = State(clock.now(), self.rules, dict(seats), bookings, locked=seats)
        state.allocations = await lock_allocations(connection, needs.allocations(self.commands))
        state.checked_in = await lock_tickets(connection, needs.tickets(self.commands, bookings))
        state.payments = await lock_payments(connection, needs.payments(self.commands))
        state.admissions = await lock_admissions(connection, needs.admissions(self.commands, self.rules))
        quotas = needs.quotas(self.commands, self.rules, bookings)
        await read_limits(connection, state, quotas, needs.requests(self.commands))
        self._include_run_out(state, holders)
        return state

    async def _collect_places(self, connection: LedgerConnection, named: Sequence[BookingKey]) -> None:
        if named:
            rows = await connection.fetch(sql.PLACES_OF_BOOKINGS, arrays.booking_columns(named))
            for performance_id, places in rows:
                self.places.update((performance_id, place) for place in places)
        if released := needs.allocations(self.commands):
            # Places leave an allocation and never join it, so no more than these need to be locked.
            self.places.update(await connection.fetch(sql.PLACES_OF_ALLOCATIONS, arrays.booking_columns(released)))
        for number, command in enumerate(self.commands):
            performance_id = command.performance_id
            if isinstance(command, Hold | Add):
                self.places.update((performance_id, claim.place) for claim in command.claims)
                self.places.update((performance_id, claim.place) for claim in self.picks.get(number) or ())
            elif isinstance(command, Remove | Block | Unblock):
                self.places.update((performance_id, place) for place in command.places)

    def _include_run_out(self, state: State, holders: Iterable[BookingKey]) -> None:
        """Plan the end of every run-out hold that is in the way, and see that all its places are locked."""
        for key in holders:
            booking = state.bookings.get(key)
            if booking is not None and booking.has_run_out(state.now):
                seats = (((key[0], place), place) for place in booking.places)
                self.run_out[key] = tuple(
                    place for seat, place in seats if seat not in state.seats or state.seats[seat].allocation_id is None
                )
        for key in needs.bookings(self.commands, self.run_out):
            booking = state.bookings.get(key)
            if booking is None:
                continue
            missing = [(key[0], place) for place in booking.places if (key[0], place) not in state.seats]
            if missing:
                self.places.update(missing)
                raise RestartError

    # --- deciding -----------------------------------------------------------------------------------------------

    async def _decide(self, connection: LedgerConnection, state: State) -> tuple[list[Outcome], list[Decision]]:
        decisions: list[Decision] = []
        for performance_id, booking_id in self.run_out:
            if (performance_id, booking_id) in state.bookings:
                end = Expire(performance_id=performance_id, booking_id=booking_id, actor_id=None, staff=True)
                _take(state, decisions, decide(state, end))
        outcomes: list[Outcome] = []
        for number in range(len(self.commands)):
            try:
                outcomes.append(self._decide_one(state, decisions, number))
            except RowlockError as refusal:
                outcomes.append(refusal)
        self._give_unused_picks_to_others(outcomes)
        await self._expire_before_refusing(connection, state, outcomes)
        return outcomes, decisions

    def _decide_one(self, state: State, decisions: list[Decision], number: int) -> Booking | None:
        command = self.commands[number]
        chosen: tuple[Claim, ...] = ()
        # A request that was granted before is granted again, whatever is left to pick now.
        if number in self.picks and replay(state, command) is None:
            picked = self.picks[number]
            if picked is None:
                raise sold_out()
            if not _are_free(state, command.performance_id, picked):
                raise BoardOutdatedError
            chosen = picked
        return _take(state, decisions, decide(state, command, chosen))

    def _give_unused_picks_to_others(self, outcomes: Sequence[Outcome]) -> None:
        """Nobody is told "sold out" while places are put aside for a command that is refused."""
        unlucky = {self.commands[number].performance_id for number, picked in self.picks.items() if picked is None}
        unused = {
            number
            for number, picked in self.picks.items()
            if picked and isinstance(outcomes[number], RowlockError) and self.commands[number].performance_id in unlucky
        }
        if not unused <= self.served_last:
            self.served_last |= unused
            raise RestartError

    async def _expire_before_refusing(
        self, connection: LedgerConnection, state: State, outcomes: Sequence[Outcome]
    ) -> None:
        """Nobody is refused for lack of room while a hold that has run out still takes it, or by an old board."""
        short = {
            command.performance_id
            for command, outcome in zip(self.commands, outcomes, strict=True)
            if isinstance(outcome, RowlockError) and outcome.reason in LACK_OF_ROOM
        }
        if not short:
            return
        known = arrays.uuids(booking_id for _, booking_id in self.run_out)
        rows = await connection.fetch(sql.RUN_OUT, (arrays.numbers(sorted(short)), state.now, known))
        if rows:
            self.run_out.update({(owner, UUID(booking)): tuple(places) for owner, booking, places in rows})
            raise RestartError
        doubtful = {self.commands[number].performance_id for number, picked in self.picks.items() if picked is None}
        if doubtful:
            rows = await connection.fetch(
                "SELECT performance_id, revision FROM inventories WHERE performance_id = ANY(%s::bigint[])",
                (arrays.numbers(sorted(doubtful)),),
            )
            for performance_id, revision in rows:
                board = self.boards.get(performance_id)
                if board is None or board.revision != revision:
                    self.boards.drop(performance_id)
                    raise BoardOutdatedError


def _pick_beside(rules: SaleRules, states: bytearray, command: Hold, named: Iterable[int]) -> tuple[Claim, ...] | None:
    """Pick other places than those that are named, or a batch would pick what it has just given away, again and
    again; but rather those than none, because who named them may be refused.
    """
    aside = [place for place in named if states[place] == SeatState.AVAILABLE]
    for place in aside:
        states[place] = SeatState.HELD
    picked = pick(rules, states, command, clock.now())
    for place in aside:
        states[place] = SeatState.AVAILABLE
    return pick(rules, states, command, clock.now()) if picked is None and aside else picked


def _are_free(state: State, performance_id: int, claims: Iterable[Claim]) -> bool:
    return all(state.seats[performance_id, claim.place].state is SeatState.AVAILABLE for claim in claims)


def _take(state: State, decisions: list[Decision], decision: Decision | Replay) -> Booking | None:
    if isinstance(decision, Replay):
        return decision.booking
    state.apply(decision)
    decisions.append(decision)
    return decision.after if decision.then is None else _take(state, decisions, decision.then)


async def _commit(connection: LedgerConnection) -> None:
    try:
        await connection.execute("COMMIT")
    except psycopg2.Error as error:
        if error.pgcode is not None:
            raise  # PostgreSQL answered: it was refused, and had no effect
        raise Unavailable(
            "OUTCOME_UNKNOWN", "the database went away during the commit; ask again with the same request_id"
        ) from error
