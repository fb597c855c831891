"""A plain model of bookings, and a state machine that drives any ledger beside it (hypothesis).

The model is written for reading, not for speed: a dictionary of bookings and the rules as sentences. Whatever
drives it implements `carry_out` and `let_time_pass`; after each command the answers must be the same.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule

from server.db.ids import new_id
from server.errors import RowlockError
from server.seats.booking import Booking
from server.seats.commands import (
    Add,
    Block,
    Cancel,
    Claim,
    Command,
    Confirm,
    Expire,
    Extend,
    Hold,
    Release,
    Remove,
    Return,
    SetAside,
    TakeBack,
    Unblock,
)
from server.states import BookingState, ConfirmedBy, SeatState

PLACES = 8
LIMIT = 4
HOLD = timedelta(minutes=15)
LONGEST = timedelta(minutes=30)
CUSTOMERS = tuple(uuid4() for _ in range(3))

a_customer = st.sampled_from(CUSTOMERS)
a_place = st.integers(0, PLACES - 1)
blockable = st.lists(st.integers(PLACES - 2, PLACES - 1), min_size=1, max_size=2, unique=True).map(tuple)
some_places = st.lists(a_place, min_size=1, max_size=5, unique=True).map(tuple)


@dataclass
class ModelBooking:
    customer: UUID
    places: list[int]
    start: datetime
    expire: datetime
    state: BookingState = BookingState.HELD
    replaced: bool = False


@dataclass
class Model:
    """What should be so."""

    now: datetime
    bookings: dict[UUID, ModelBooking] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    aside: dict[int, UUID] = field(default_factory=dict)
    """Of which allocation a place is, whatever its state."""
    allocations: set[UUID] = field(default_factory=set)

    def end_run_out(self) -> None:
        """A hold is over at its time, whether or not anybody has noticed."""
        for booking in self.bookings.values():
            if booking.state is BookingState.HELD and booking.expire <= self.now:
                booking.state = BookingState.EXPIRED

    def live(self) -> list[ModelBooking]:
        return [b for b in self.bookings.values() if b.state in (BookingState.HELD, BookingState.CONFIRMED)]

    def claimed(self) -> set[int]:
        return {place for booking in self.live() for place in booking.places}

    def taken(self, allocation: UUID | None = None) -> set[int]:
        """What cannot be claimed by somebody with an allocation, or without one."""
        others = {place for place, owner in self.aside.items() if owner != allocation}
        return self.claimed() | self.blocked | others

    def claimed_by(self, customer: UUID) -> int:
        return sum(len(b.places) for b in self.live() if b.customer == customer)

    def expect(self, command: Command) -> str | None:  # noqa: PLR0911 - one sentence a rule
        """The reason for which the command must be refused, or None; carries it out in the model."""
        self.end_run_out()
        if isinstance(command, Hold):
            return self._hold(command)
        if isinstance(command, Block | Unblock):
            return self._block(command)
        if isinstance(command, Release):
            return self._release(command)
        booking = self.bookings.get(command.booking_id)
        if booking is None or not (command.staff or command.actor_id == booking.customer):
            return "NOT_FOUND"
        if isinstance(command, Expire):
            return None
        if isinstance(command, TakeBack):
            return self._take_back(command, booking)
        if isinstance(command, Return):
            return self._return(command, booking)
        if isinstance(command, Cancel) and booking.state is BookingState.CONFIRMED:
            booking.state = BookingState.CANCELLED
            return None
        if booking.state is not BookingState.HELD:
            return "HOLD_EXPIRED" if booking.state is BookingState.EXPIRED else "BOOKING_STATE"
        return self._on_held(command, booking)

    def _hold(self, command: Hold) -> str | None:
        places = [claim.place for claim in command.claims]
        if self.taken(command.allocation_id).intersection(places):
            return "SEAT_TAKEN"
        if self.claimed_by(command.customer_id) + len(places) > LIMIT:
            return "CUSTOMER_LIMIT_REACHED"
        self.bookings[command.booking_id] = ModelBooking(command.customer_id, places, self.now, self.now + HOLD)
        return None

    def _take_back(self, command: TakeBack, booking: ModelBooking) -> str | None:
        """Late money buys what ran out once more, if everything is free and the customer may have it."""
        if booking.state is not BookingState.EXPIRED or booking.replaced:
            return "BOOKING_STATE"
        if not booking.places:
            return "BOOKING_EMPTY"
        if self.taken().intersection(booking.places):
            return "SEAT_TAKEN"
        if self.claimed_by(booking.customer) + len(booking.places) > LIMIT:
            return "CUSTOMER_LIMIT_REACHED"
        booking.replaced = True
        self.bookings[command.successor_id] = ModelBooking(
            booking.customer, list(booking.places), self.now, self.now, BookingState.CONFIRMED
        )
        return None

    def _return(self, command: Return, booking: ModelBooking) -> str | None:
        """Tickets of what was sold go back one by one; with the last of them the booking ends."""
        if booking.state is not BookingState.CONFIRMED:
            return "HOLD_EXPIRED" if booking.state is BookingState.EXPIRED else "BOOKING_STATE"
        if not set(command.places) <= set(booking.places):
            return "TICKET_VOID"
        if set(command.places) == set(booking.places):
            booking.state = BookingState.CANCELLED
        else:
            booking.places = [place for place in booking.places if place not in command.places]
        return None

    def _block(self, command: Block | Unblock) -> str | None:
        places = set(command.places)
        if self.claimed() & places:
            return "SEAT_TAKEN"
        if isinstance(command, Unblock):
            self.blocked -= places
            self.aside = {place: owner for place, owner in self.aside.items() if place not in places}
        elif command.aside is None:
            self.blocked |= places.difference(self.aside)
        elif places.intersection(self.aside):
            return "SEAT_TAKEN"
        else:
            self.blocked -= places
            self.aside |= dict.fromkeys(places, command.action_id)
            self.allocations.add(command.action_id)
        return None

    def _release(self, command: Release) -> str | None:
        if command.allocation_id not in self.allocations:
            return "NOT_FOUND"
        self.aside = {place: owner for place, owner in self.aside.items() if owner != command.allocation_id}
        return None

    def _on_held(self, command: Add | Remove | Extend | Confirm | Cancel, booking: ModelBooking) -> str | None:  # noqa: C901 - same
        match command:
            case Add():
                places = [claim.place for claim in command.claims]
                if self.taken().intersection(places):
                    return "SEAT_TAKEN"
                if self.claimed_by(booking.customer) + len(places) > LIMIT:
                    return "CUSTOMER_LIMIT_REACHED"
                booking.places += places
            case Remove():
                if not set(command.places) <= set(booking.places):
                    return "SEAT_NOT_IN_BOOKING"
                booking.places = [place for place in booking.places if place not in command.places]
            case Extend():
                until = min(self.now + HOLD, booking.start + LONGEST)
                if until <= booking.expire:
                    return "HOLD_TIME_EXHAUSTED"
                booking.expire = until
            case Confirm():
                if not booking.places:
                    return "BOOKING_EMPTY"
                booking.state = BookingState.CONFIRMED
            case Cancel():
                booking.state = BookingState.CANCELLED
        return None

    def seat_states(self) -> dict[int, SeatState]:
        states = dict.fromkeys(range(PLACES), SeatState.AVAILABLE)
        states.update(dict.fromkeys(self.blocked.union(self.aside), SeatState.BLOCKED))
        for booking in self.live():
            held = booking.state is BookingState.HELD
            states.update(dict.fromkeys(booking.places, SeatState.HELD if held else SeatState.SOLD))
        return states


class LedgerMachine(RuleBasedStateMachine):
    """Sends the same commands to a ledger and to the model. Subclasses say how the ledger is reached."""

    bookings = Bundle("bookings")
    allocations = Bundle("allocations")
    performance_id: int
    model: Model

    def carry_out(self, command: Command) -> Booking | None:
        """Give the command to the ledger under test; raises RowlockError when it refuses."""
        raise NotImplementedError

    def let_time_pass(self, seconds: int) -> None:
        """Move the ledger's clock."""
        raise NotImplementedError

    def pay_late(self, booking: UUID) -> UUID:
        """Make a payment of what the booking costs, whose money was taken; its id."""
        raise NotImplementedError

    def check(self, command: Command) -> Booking | None:
        expected = self.model.expect(command)
        try:
            answer, reason = self.carry_out(command), None
        except RowlockError as refusal:
            answer, reason = None, refusal.reason
        assert reason == expected, command
        if answer is not None:
            like = self.model.bookings[answer.id]
            assert (answer.state, list(answer.places)) == (like.state, like.places)
            assert answer.hold_expire_time - answer.hold_start_time == like.expire - like.start
        return answer

    def on(self, booking: UUID, **more: Any) -> dict[str, Any]:
        return {"performance_id": self.performance_id, "booking_id": booking, "actor_id": None, "staff": True} | more

    @rule(target=bookings, customer=a_customer, places=some_places)
    def hold(self, customer: UUID, places: tuple[int, ...]) -> UUID:
        command = Hold(
            performance_id=self.performance_id,
            customer_id=customer,
            actor_id=customer,
            claims=tuple(Claim(place) for place in places),
            booking_id=new_id(),
        )
        self.check(command)
        return command.booking_id

    @rule(booking=bookings, places=some_places, customer=a_customer)
    def add(self, booking: UUID, places: tuple[int, ...], customer: UUID) -> None:
        claims = tuple(Claim(place) for place in places)
        self.check(Add(**self.on(booking, actor_id=customer, staff=False), claims=claims))

    @rule(booking=bookings, places=some_places)
    def remove(self, booking: UUID, places: tuple[int, ...]) -> None:
        self.check(Remove(**self.on(booking), places=places))

    @rule(booking=bookings)
    def extend(self, booking: UUID) -> None:
        self.check(Extend(**self.on(booking)))

    @rule(booking=bookings)
    def confirm(self, booking: UUID) -> None:
        self.check(Confirm(**self.on(booking), confirmed_by=ConfirmedBy.COMP))

    @rule(booking=bookings)
    def cancel(self, booking: UUID) -> None:
        self.check(Cancel(**self.on(booking)))

    @rule(booking=bookings, data=st.data())
    def return_tickets(self, booking: UUID, data: st.DataObject) -> None:
        known = self.model.bookings.get(booking)
        sold = st.sampled_from(known.places) if known is not None and known.places else a_place
        places = tuple(data.draw(st.lists(st.one_of(sold, a_place), min_size=1, max_size=3, unique=True)))
        self.check(Return(**self.on(booking), places=places))

    @rule(booking=bookings)
    def expire(self, booking: UUID) -> None:
        self.check(Expire(**self.on(booking)))

    @rule(target=bookings, booking=bookings)
    def take_back(self, booking: UUID) -> Any:
        if booking not in self.model.bookings:
            return multiple()
        command = TakeBack(**self.on(booking), payment_id=self.pay_late(booking))
        return multiple() if self.check(command) is None else command.successor_id

    @rule(places=blockable)
    def block(self, places: tuple[int, ...]) -> None:
        self.check(Block(performance_id=self.performance_id, places=places, actor_id=None))

    @rule(places=blockable)
    def unblock(self, places: tuple[int, ...]) -> None:
        self.check(Unblock(performance_id=self.performance_id, places=places, actor_id=None))

    @rule(target=allocations, places=blockable)
    def set_aside(self, places: tuple[int, ...]) -> UUID:
        aside = SetAside("Sponsor", "", self.model.now + timedelta(days=365))
        command = Block(performance_id=self.performance_id, places=places, actor_id=None, aside=aside)
        self.check(command)
        return command.action_id

    @rule(allocation=allocations)
    def release(self, allocation: UUID) -> None:
        self.check(Release(performance_id=self.performance_id, allocation_id=allocation, actor_id=None))

    @rule(target=bookings, allocation=allocations, customer=a_customer, places=blockable)
    def hold_aside(self, allocation: UUID, customer: UUID, places: tuple[int, ...]) -> UUID:
        command = Hold(
            performance_id=self.performance_id,
            customer_id=customer,
            actor_id=customer,
            claims=tuple(Claim(place) for place in places),
            allocation_id=allocation,
            booking_id=new_id(),
        )
        self.check(command)
        return command.booking_id

    @rule(seconds=st.sampled_from([60, 600, 1200]))
    def time_passes(self, seconds: int) -> None:
        self.model.now += timedelta(seconds=seconds)
        self.let_time_pass(seconds)
