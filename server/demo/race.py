"""The race: customers and screens together, then the look at what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from rowlock_client import aio
from rowlock_client.tokens import MemoryStore
from server import resources
from server.audit import audit, oversold
from server.demo.customer import PASSWORD, Customer, Theatre
from server.demo.house import CUSTOMER_LIMIT, MANAGER, MANAGERS_PASSWORD, House, wait_until_open
from server.demo.line import Queuer, open_waiting_room
from server.demo.matinee import sell_and_cancel
from server.demo.paypal import PayPal
from server.demo.screens import Screens
from server.demo.tally import Tally
from server.fake_provider.comparing import differences
from server.fake_provider.control import Control
from server.payments.book_comparison import compare
from server.payments.providers import close_providers, connect_providers
from server.seats.board import read_board

Say = Callable[[str], None]

_CONNECTIONS: Final = 8
_SCREENS_PER_ACCOUNT: Final = 20
_QUEUERS: Final = 60
_MATINEE: Final = 25
_ARRIVE_WITHIN: Final = 12.0
_SAY_EVERY: Final = 2.0
# Bounds for machines that have much else to do; otherwise it is a matter of seconds.
_QUIET_WITHIN: Final = 180.0
_SCREENS_WITHIN: Final = 60.0

# What is still under way: holds that run, payments and refunds that are due.
_UNDER_WAY: Final = """
    SELECT (SELECT count(*) FROM bookings WHERE state = 1)
         + (SELECT count(*) FROM payments WHERE next_attempt_time IS NOT NULL)
         + (SELECT count(*) FROM refunds WHERE next_attempt_time IS NOT NULL)
         + (SELECT count(*) FROM performances WHERE wind_up_time IS NOT NULL)
         + (SELECT count(*) FROM notifications WHERE next_attempt_time IS NOT NULL)"""
_OVER_LIMIT: Final = """
    SELECT count(*) FROM (
        SELECT customer_id FROM bookings WHERE state IN (1, 2) GROUP BY performance_id, customer_id
        HAVING sum(cardinality(places)) > :limit) customers"""
_STATES: Final = "SELECT state, count(*) AS number FROM bookings GROUP BY state"
_NUMBERS: Final = """
    SELECT (SELECT count(*) FROM refunds WHERE state = 3) AS refunds,
           (SELECT count(*) FROM bookings WHERE replaces IS NOT NULL) AS late_money_sold,
           (SELECT count(*) FROM payments WHERE state = 4 AND error_reason IS NOT NULL) AS late_money_refunded,
           (SELECT count(*) FROM queue_entries) AS queued,
           (SELECT count(*) FROM queue_entries WHERE admit_time IS NOT NULL) AS admitted,
           (SELECT count(*) FROM notifications WHERE state = 2) AS mails"""


@dataclass(frozen=True)
class Verdict:
    """What came of it. Counts are the database's, except where said."""

    customers: int
    watchers: int
    confirmed: int
    cancelled: int
    expired: int
    seats_sold: int
    refunds: int
    late_money_sold: int
    late_money_refunded: int
    queued: int
    admitted: int
    mails: int
    mails_astray: int
    books_equal: bool
    oversold: int
    diverged_watchers: int
    over_limit: int
    broken_promises: int
    revisions: int
    updates_delivered: int
    collisions: int
    surprises: int
    seconds: float
    faults: tuple[str, ...] = field(default=(), repr=False)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        wrong = (self.oversold, self.diverged_watchers, self.over_limit, self.broken_promises, self.mails_astray)
        return self.books_equal and not any(wrong)

    def line(self) -> str:
        """The last line of the output."""
        told = {name: value for name, value in vars(self).items() if name != "faults"}
        return f"RESULT {json.dumps(told)}"


async def run(house: House, *, customers: int, watchers: int, seed: int, say: Say) -> Verdict:
    """Let them race, and judge.

    Args:
        house: a theatre on sale.
        customers: how many want seats.
        watchers: how many screens watch.
        seed: of the dice; what each customer is like depends on it, not who wins.
        say: shows a line of progress.
    """
    await wait_until_open(house)
    begin = time.monotonic()
    tally, screens = Tally(), Screens()
    channels = [aio.Client(house.servers) for _ in range(_CONNECTIONS)]
    paypal = PayPal(house.paypal)
    try:
        drawing = await channels[0].seat_map(house.performance)
        accounts = [await _screen_account(channels[0], n) for n in range(1 + (watchers - 1) // _SCREENS_PER_ACCOUNT)]
        await screens.light(house.performance, house.servers, accounts, watchers)
        say(f"{watchers} screens show {drawing.place_count:,} free seats, at {len(house.servers)} servers")
        theatre = Theatre(
            house.performance,
            [seat.id for seat in drawing.seats],
            lambda: screens.watchers[0].view.states,
            paypal,
        )
        crowd = [
            Customer(n, channels[n % _CONNECTIONS].sharing_connection(), theatre, tally, random.Random(f"{seed}/{n}"))
            for n in range(customers)
        ]
        await asyncio.gather(*(customer.arrive() for customer in crowd))
        say(f"{customers} customers have logged in, and the sale begins")
        progress = asyncio.create_task(_report(screens, tally, begin, say))
        try:
            await asyncio.gather(
                _beside_the_race(house, channels, tally), *(customer.shop(_ARRIVE_WITHIN) for customer in crowd)
            )
            say("everybody has left; holds run out, and refunds go their way")
            await _quiet(house)
        finally:
            progress.cancel()
        return await _judge(house, screens, tally, customers=customers, seconds=time.monotonic() - begin)
    finally:
        await screens.turn_off()
        await paypal.close()
        for channel in channels:
            await channel.close()


async def _beside_the_race(house: House, channels: list[aio.Client], tally: Tally) -> None:
    """The other two performances: one with a waiting room, one that is cancelled."""
    manager = channels[0].sharing_connection()
    await manager.log_in(MANAGER, MANAGERS_PASSWORD)
    await open_waiting_room(manager, house.premiere)
    guests = [await _guest(channels[n % _CONNECTIONS], n) for n in range(_QUEUERS)]
    queuers = [Queuer(f"guest{n}", guest, house.premiere, tally) for n, guest in enumerate(guests)]
    await asyncio.gather(
        sell_and_cancel(manager, guests[:_MATINEE], house.matinee, tally), *(queuer.shop() for queuer in queuers)
    )


async def _guest(client: aio.Client, number: int) -> aio.Client:
    """Somebody with an account, logged in."""
    guest, email = client.sharing_connection(), f"guest{number}@example.org"
    await guest.sign_up(email, PASSWORD, f"Guest {number}")
    await guest.log_in(email, PASSWORD)
    return guest


async def _screen_account(client: aio.Client, number: int) -> MemoryStore:
    """An account that screens log in with."""
    store = MemoryStore()
    with_account = client.sharing_connection(store)
    email = f"screen{number}@example.org"
    await with_account.sign_up(email, PASSWORD, f"Screen {number}")
    await with_account.log_in(email, PASSWORD)
    return store


async def _report(screens: Screens, tally: Tally, begin: float, say: Say) -> None:
    while True:
        await asyncio.sleep(_SAY_EVERY)
        view = screens.watchers[0].view
        counts, told = view.counts, tally.counts
        lag = max(watcher.view.revision for watcher in screens.watchers) - min(
            watcher.view.revision for watcher in screens.watchers
        )
        say(
            f"{time.monotonic() - begin:4.0f} s"
            f"   {counts.available:5,} free {counts.held:4,} held {counts.sold:5,} sold"
            f"   revision {view.revision:5,} (screens {lag} apart)"
            f"   {told['bought']} bought, {told['seat_taken']} collisions, {told['cancelled']} cancelled,"
            f" {told['payment_failed']} payments failed, {told['hold_expired']} too late"
        )


async def _quiet(house: House) -> None:
    """Wait until nothing is under way any more; what still is after minutes, the audit will tell."""
    deadline = time.monotonic() + _QUIET_WITHIN
    while time.monotonic() < deadline:
        if not await house.database.read(lambda session: session.scalar(text(_UNDER_WAY))):
            return
        await asyncio.sleep(0.3)


@dataclass(frozen=True)
class _Truth:
    """What the database says."""

    revision: int
    states: bytes
    bookings: dict[int, int]
    numbers: dict[str, int]
    oversold: int
    over_limit: int


def _read_truth(session: Session, performance: str) -> _Truth:
    board = read_board(session, resources.parse_performance(performance))
    if board is None:
        raise LookupError(f"{performance} has no seats")
    return _Truth(
        revision=board.revision,
        states=bytes(board.states),
        bookings={row.state: row.number for row in session.execute(text(_STATES))},
        numbers=dict(session.execute(text(_NUMBERS)).one()._mapping),  # noqa: SLF001 - its public name
        oversold=oversold(session),
        over_limit=int(session.scalar(text(_OVER_LIMIT), {"limit": CUSTOMER_LIMIT}) or 0),
    )


async def _compare_books(house: House) -> list[str]:
    """What our books and the providers' do not agree on: asked as operators ask, and by PayPal's own list."""
    providers = connect_providers(house.settings, house.database)
    try:
        found = await compare(house.database, providers)
    finally:
        await close_providers(providers)
    with Control(house.paypal) as control:
        books = await asyncio.to_thread(control.books)
    lines = await house.database.read(lambda session: differences(session, books))
    return [*map(str, found.differences), *lines]


async def _judge(house: House, screens: Screens, tally: Tally, *, customers: int, seconds: float) -> Verdict:
    truth = await house.database.read(lambda session: _read_truth(session, house.performance))
    await screens.wait_for(truth.revision, _SCREENS_WITHIN)
    diverged = screens.diverged(truth.revision, truth.states)
    faults = await asyncio.to_thread(audit, house.database, quiet=True)
    money = await _compare_books(house)
    mails = len(list(house.mails.glob("*.eml")))
    told = [f"screen at revision {watcher.view.revision} of {truth.revision}: {watcher.faults}" for watcher in diverged]
    told += [f"a screen went dark: {error}" for error in screens.failures()]
    return Verdict(
        customers=customers,
        watchers=len(screens.watchers),
        confirmed=truth.bookings.get(2, 0),
        cancelled=truth.bookings.get(3, 0),
        expired=truth.bookings.get(4, 0),
        seats_sold=truth.states.count(3),
        **truth.numbers,
        mails_astray=abs(mails - truth.numbers["mails"]),
        books_equal=not money,
        oversold=max(truth.oversold, tally.sold_twice),
        diverged_watchers=len(diverged),
        over_limit=truth.over_limit,
        broken_promises=len(faults),
        revisions=truth.revision,
        updates_delivered=screens.updates,
        collisions=tally.counts["seat_taken"],
        surprises=sum(tally.surprises.values()),
        seconds=round(seconds, 1),
        faults=(*faults, *money, *told, *(f"{number} × {what}" for what, number in tally.surprises.most_common())),
    )
