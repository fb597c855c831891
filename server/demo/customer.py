"""One customer of the race: chooses, collides, changes their mind, and then pays, fails to, cancels or vanishes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.payment_pb2 import Payment, SimulatePaymentRequest
from rowlock_client import aio, calls
from rowlock_client.errors import FailedPrecondition, NotFound, RowlockError, Unavailable
from rowlock_client.seat_view import AVAILABLE
from server.demo.paypal import PayPal
from server.demo.tally import Tally

APPROVE: Final = SimulatePaymentRequest.APPROVE
DECLINE: Final = SimulatePaymentRequest.DECLINE
SILENT_BEFORE: Final = SimulatePaymentRequest.TIMEOUT_BEFORE
SILENT_AFTER: Final = SimulatePaymentRequest.TIMEOUT_AFTER
PASSWORD: Final = "nobody guesses a demo's password"  # noqa: S105 - its accounts live for a minute

_BACK: Final = "https://tickets.example.org/back"
_MOST_TRIES: Final = 6
_NAMED_TRIES: Final = 3
_FRONT: Final = 120
"""Everybody wants to sit in front: named seats are chosen among so many that look free there."""


class Ending(Enum):
    """How a visit ends."""

    PAYS = "pays"
    DECLINED_FIRST = "pays after a declined attempt"
    PROVIDER_SILENT_AFTER = "pays, and the provider takes the money without a word"
    PROVIDER_SILENT_BEFORE = "pays, and the provider does nothing without a word"
    CANCELS = "cancels"
    PAYS_BY_PAYPAL = "pays by PayPal"
    MONEY_COMES_LATE = "pays by PayPal, which takes the money and says so only when the hold is over"
    BUYS_AND_RETURNS = "pays, then gives the seats back"
    PAYS_LATE = "pays after the hold"
    VANISHES = "vanishes"


_OFTEN: Final = {
    Ending.PAYS: 34,
    Ending.PAYS_BY_PAYPAL: 16,
    Ending.MONEY_COMES_LATE: 5,
    Ending.DECLINED_FIRST: 9,
    Ending.PROVIDER_SILENT_AFTER: 4,
    Ending.PROVIDER_SILENT_BEFORE: 3,
    Ending.CANCELS: 8,
    Ending.BUYS_AND_RETURNS: 6,
    Ending.PAYS_LATE: 8,
    Ending.VANISHES: 7,
}
"""Of a hundred visits."""


_SIMULATED: Final = {
    Ending.PAYS: (APPROVE,),
    Ending.DECLINED_FIRST: (DECLINE, APPROVE),
    Ending.PROVIDER_SILENT_AFTER: (SILENT_AFTER,),
    Ending.PROVIDER_SILENT_BEFORE: (SILENT_BEFORE,),
}
"""How the simulator is told to answer, attempt by attempt."""


@dataclass(frozen=True)
class Theatre:
    """What a customer sees: the performance, the seats by index, a screen with their states, and PayPal."""

    performance: str
    seats: Sequence[str]
    states: Callable[[], bytes]
    paypal: PayPal


class Customer:
    """A person with an account.

    Args:
        number: tells customers apart.
        client: a connection without an account yet.
        theatre: where to book.
        tally: what is told is counted there.
        chance: decides what this one is like.
    """

    def __init__(self, number: int, client: aio.Client, theatre: Theatre, tally: Tally, chance: random.Random) -> None:
        self.name = f"customer{number}"
        self._client = client
        self._theatre = theatre
        self._tally = tally
        self._chance = chance

    async def arrive(self) -> None:
        """Open an account and log in."""
        email = f"{self.name}@example.org"
        await self._client.sign_up(email, PASSWORD, self.name)
        await self._client.log_in(email, PASSWORD)

    async def shop(self, within: float) -> None:
        """Come a few times, first at any moment of the next `within` seconds."""
        await asyncio.sleep(self._chance.uniform(0, within) ** 2 / within)
        for _ in range(self._chance.choice((2, 3, 3, 4))):
            try:
                await self._visit()
            except RowlockError as error:
                before = f", after {error.__cause__}" if error.__cause__ else ""
                self._tally.surprises[f"{type(error).__name__}: {error}{before}"] += 1

    async def _visit(self) -> None:
        if self._chance.random() < 0.1:
            await self._grab_too_much()
        booking = await self._claim()
        if booking is None:
            return
        self._tally.count("held")
        booking = await self._reconsider(booking)
        ending = self._chance.choices(list(_OFTEN), list(_OFTEN.values()))[0]
        await self._end(booking, ending)

    # -- Choosing ----------------------------------------------------------------------------------------

    async def _claim(self) -> Booking | None:
        """Try to get one to four seats, by name first; None: this customer gives up."""
        wanted = self._chance.choice((1, 2, 2, 3, 4, 4))
        for attempt in range(_MOST_TRIES):
            try:
                if attempt < _NAMED_TRIES and self._chance.random() < 0.75:
                    chosen = self._seats_that_look_free(wanted)
                    if chosen:
                        return await self._client.hold(self._theatre.performance, *chosen)
                return await self._client.hold(self._theatre.performance, best=wanted)
            except FailedPrecondition as error:
                if error.reason == "SEAT_TAKEN":
                    self._tally.count("seat_taken")
                elif error.reason == "CUSTOMER_LIMIT_REACHED" and wanted > 1:
                    self._tally.count("limit_reached")
                    wanted -= 1
                elif error.reason in {"SOLD_OUT", "CUSTOMER_LIMIT_REACHED"}:
                    self._tally.count(error.reason.lower())
                    return None
                else:
                    raise
        self._tally.count("gave_up_looking")
        return None

    def _seats_that_look_free(self, wanted: int) -> list[str]:
        """Seats side by side near the stage, free on the screen when it was last drawn."""
        states = self._theatre.states()
        free = [index for index, state in enumerate(states) if state == AVAILABLE][:_FRONT]
        if not free:
            return []
        first = self._chance.choice(free)
        run = [index for index in range(first, first + wanted) if index < len(states) and states[index] == AVAILABLE]
        return [self._theatre.seats[index] for index in run]

    async def _grab_too_much(self) -> None:
        """Ask for more than one customer may have, by several calls at the same moment; then let it go."""
        asked = [self._client.hold(self._theatre.performance, best=4) for _ in range(3)]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, Booking):
                await self._cancel(answer)
            elif isinstance(answer, FailedPrecondition):
                self._tally.count(answer.reason.lower())
            elif isinstance(answer, BaseException):
                raise answer

    async def _reconsider(self, booking: Booking) -> Booking:
        """Perhaps take a seat more, or give one back."""
        try:
            if self._chance.random() < 0.2:
                for seat in self._seats_that_look_free(1):
                    booking = await self._client.add(booking.name, seat)
                    self._tally.count("seat_added")
            if self._chance.random() < 0.2 and len(booking.seats) > 1:
                booking = await self._client.remove(booking.name, booking.seats[-1].seat)
                self._tally.count("seat_removed")
        except FailedPrecondition as error:
            if error.reason not in {"SEAT_TAKEN", "CUSTOMER_LIMIT_REACHED", "HOLD_EXPIRED"}:
                raise
            self._tally.count(error.reason.lower())
        return booking

    # -- Ending ------------------------------------------------------------------------------------------

    async def _end(self, booking: Booking, ending: Ending) -> None:
        match ending:
            case Ending.PAYS_BY_PAYPAL | Ending.MONEY_COMES_LATE:
                await self._pay_by_paypal(booking, silent=ending is Ending.MONEY_COMES_LATE)
            case Ending.CANCELS:
                await asyncio.sleep(self._chance.uniform(0, 1))
                await self._cancel(booking)
            case Ending.BUYS_AND_RETURNS:
                if await self._pay(booking, APPROVE):
                    await self._cancel(booking)
            case Ending.PAYS_LATE:
                await self._sleep_over(booking)
                await self._pay(booking, APPROVE)
            case Ending.VANISHES:
                self._tally.count("vanished")
            case _:
                for outcome in _SIMULATED[ending]:
                    await self._pay(booking, outcome)

    async def _sleep_over(self, booking: Booking) -> None:
        """Wait until the hold is over, for sure."""
        ends = booking.hold_expire_time.ToDatetime(UTC)
        await asyncio.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + self._chance.uniform(0.2, 1.5))
        self._tally.count("came_late")

    async def _pay(self, booking: Booking, outcome: SimulatePaymentRequest.Outcome.ValueType) -> bool:
        """Pay, with whatever the provider makes of it. True: the seats are bought."""
        try:
            payment = await self._client.pay(booking.name)
            payment = await self._simulate(payment, outcome)
        except FailedPrecondition as error:
            # The hold may run out between any two steps, and then the payment is given up with it.
            if error.reason not in {"HOLD_EXPIRED", "PAYMENT_FAILED", "PAYMENT_STATE"}:
                raise
            self._tally.count(error.reason.lower())
            return False
        return await self._see_what_was_bought(booking, payment)

    async def _pay_by_paypal(self, booking: Booking, *, silent: bool = False) -> bool:
        """Approve at PayPal, have the money taken, and see what it buys; ``silent``: PayPal does not say for long."""
        try:
            payment = await self._client.pay(booking.name, provider=Payment.PAYPAL, return_uri=_BACK)
            payment = await self._approval_asked(payment)
            if payment.state == Payment.REQUIRES_ACTION:
                if silent:
                    await self._theatre.paypal.fall_silent(payment)
                await self._theatre.paypal.approve(payment)
                payment = await self._client.capture(payment.name)
            payment = await self._client.wait_for_payment(payment.name, timeout=90)
        except FailedPrecondition as error:
            if error.reason not in {"HOLD_EXPIRED", "PAYMENT_FAILED", "PAYMENT_STATE"}:
                raise
            self._tally.count(error.reason.lower())
            return False
        return await self._see_what_was_bought(booking, payment)

    async def _approval_asked(self, payment: Payment) -> Payment:
        """The payment when PayPal knows it, which a worker tells it."""
        while payment.state == Payment.CREATED:
            await asyncio.sleep(0.2)
            payment = await self._client.payment(payment.name)
        return payment

    async def _see_what_was_bought(self, booking: Booking, payment: Payment) -> bool:
        if payment.state != Payment.SUCCEEDED:
            self._tally.count("payment_failed")
            return False
        now = await self._client.booking(booking.name)
        if now.replaced_by:
            # The money came late, and the same seats were still free.
            self._tally.count("late_money_took_seats_back")
            now = await self._client.booking(now.replaced_by)
        if now.state != Booking.CONFIRMED:
            self._tally.count("late_money_refunded")
            return False
        self._tally.count("bought")
        self._tally.buys(self.name, [seat.seat for seat in now.seats])
        return True

    async def _simulate(self, payment: Payment, outcome: SimulatePaymentRequest.Outcome.ValueType) -> Payment:
        try:
            payment = await self._client.call(calls.simulate(payment.name, outcome), timeout=4.0)
        except Unavailable as error:
            if error.reason != "PROVIDER_UNREACHABLE":
                raise
            self._tally.count("provider_silent")
        return await self._client.wait_for_payment(payment.name, timeout=60)

    async def _cancel(self, booking: Booking) -> None:
        try:
            given_up = await self._client.cancel(booking.name)
        except (FailedPrecondition, NotFound) as error:
            if error.reason not in {"HOLD_EXPIRED", "BOOKING_STATE"}:
                raise
            self._tally.count(error.reason.lower())
            return
        self._tally.count("cancelled")
        self._tally.gives_back(self.name, [seat.seat for seat in given_up.seats])
