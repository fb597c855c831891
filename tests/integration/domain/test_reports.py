"""Reports over bookings that were really paid, returned and given back: what adds up to what."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from server.clock import now
from server.db.engine import Database
from server.domain import refunds, reports
from server.domain.reports import Conditions, SalesRow
from server.errors import NotFound
from server.seats.booking import Booking
from server.seats.commands import Cancel, Claim, Confirm, Hold, Return
from server.states import ConfirmedBy, ReportGrouping, TopMetric
from tests.invariants import assert_sound
from tests.paying import Desk, desk_on
from tests.staging import Staged, stage

ADULT, CHILD = 2500, 1000
TYPES = ({"display_name": "Adult", "price": ADULT}, {"display_name": "Child", "price": CHILD})


@pytest_asyncio.fixture
async def desk(fresh_database: Database) -> AsyncIterator[Desk]:
    async with desk_on(fresh_database) as desk:
        yield desk
        await desk.settle()
        assert_sound(fresh_database)


def house(database: Database, **performance: Any) -> Staged:
    return database.run_transaction(lambda session: stage(session, ticket_types=TYPES, **performance))


async def hold(desk: Desk, house: Staged, *places: tuple[int, int]) -> Booking:
    """A new customer's hold of places, each with the position of its ticket type."""
    customer = uuid4()
    claims = tuple(Claim(place, house.ticket_type_ids[kind]) for place, kind in places)
    booking = await desk.ledger.execute(
        Hold(performance_id=house.performance_id, customer_id=customer, actor_id=customer, claims=claims)
    )
    assert booking is not None
    return booking


async def sell(desk: Desk, house: Staged, *places: tuple[int, int]) -> Booking:
    booking = await hold(desk, house, *places)
    await desk.captured(booking)
    await desk.settle()
    return desk.booking(booking)


async def sell_at_the_box_office(desk: Desk, house: Staged, how: ConfirmedBy, *places: tuple[int, int]) -> Booking:
    booking = await hold(desk, house, *places)
    command = Confirm(
        performance_id=house.performance_id, booking_id=booking.id, actor_id=uuid4(), staff=True, confirmed_by=how
    )
    confirmed = await desk.ledger.execute(command)
    assert confirmed is not None
    return confirmed


async def give_back(desk: Desk, booking: Booking, place: int, *, staff: bool = False) -> None:
    """Return one ticket of a booking."""
    await desk.ledger.execute(
        Return(
            performance_id=booking.performance_id,
            booking_id=booking.id,
            actor_id=uuid4() if staff else booking.customer_id,
            staff=staff,
            places=(place,),
        )
    )


async def an_evening(desk: Desk, house: Staged) -> None:
    """Everything that can happen to a booking."""
    await sell(desk, house, (0, 0), (1, 0))
    await give_back(desk, await sell(desk, house, (2, 0), (3, 1)), 3)
    await sell_at_the_box_office(desk, house, ConfirmedBy.CASH, (4, 0))
    await sell_at_the_box_office(desk, house, ConfirmedBy.COMP, (5, 0))
    await hold(desk, house, (6, 0), (7, 0))
    await desk.cancel(await sell(desk, house, (8, 0)))
    pleased = await sell(desk, house, (9, 0))
    assert pleased.payment_id is not None
    paid = pleased.payment_id
    desk.database.run_transaction(
        lambda session: refunds.request(
            session,
            house.performance_id,
            pleased.id,
            paid,
            amount=refunds.Amount(300, "EUR"),
            reason="the heating failed",
            actor_id=uuid4(),
        )
    )
    desk.let_time_pass(await hold(desk, house, (10, 0)))
    await desk.settle()


def report(database: Database, grouping: ReportGrouping, **conditions: Any) -> reports.SalesPage:
    def read(session: Session) -> reports.SalesPage:
        return reports.sales(session, grouping, Conditions(**conditions), after=None, limit=1000)

    return database.run_transaction(read)


def numbers(row: SalesRow) -> dict[str, int | None]:
    names = ("held", "sold", "complimentary", "bookings", "revenue", "cash", "refunds", "profit", "average")
    return {name: getattr(row, name) for name in names}


EVENING = {
    "held": 2,
    "sold": 6,
    "complimentary": 1,
    "bookings": 5,
    "revenue": 6 * ADULT + CHILD,
    "cash": ADULT,
    "refunds": CHILD + ADULT + 300,
    "profit": 5 * ADULT - 300,
    "average": (5 * ADULT - 300) // 5,
}


@pytest.mark.promise("3.8")
async def test_a_performance_adds_up_what_was_held_sold_taken_and_given_back(
    desk: Desk, fresh_database: Database
) -> None:
    staged = house(fresh_database)
    await an_evening(desk, staged)
    for grouping in (ReportGrouping.PERFORMANCE, ReportGrouping.EVENT):
        page = report(fresh_database, grouping)
        [row], [total] = page.rows, page.totals
        assert numbers(row) == numbers(total) == EVENING
        assert (row.event_id, row.event_title, row.currency, row.capacity) == (staged.event_id, "A Play", "EUR", 50)
        assert page.total_size == 1
    assert report(fresh_database, ReportGrouping.PERFORMANCE).rows[0].performance_id == staged.performance_id


@pytest.mark.promise("3.8")
async def test_ticket_types_share_the_money_to_the_last_cent(desk: Desk, fresh_database: Database) -> None:
    staged = house(fresh_database)
    await an_evening(desk, staged)
    page = report(fresh_database, ReportGrouping.TICKET_TYPE)
    adult, child = page.rows
    assert [row.ticket_type_name for row in page.rows] == ["Adult", "Child"]
    assert (adult.held, adult.sold, adult.complimentary, adult.bookings) == (2, 6, 1, 5)
    assert (child.held, child.sold, child.bookings, child.average) == (0, 0, 0, None)
    assert (adult.revenue, adult.refunds, adult.cash) == (6 * ADULT, ADULT + 300, ADULT)
    assert (child.revenue, child.refunds, child.profit) == (CHILD, CHILD, 0)
    # A booking with two types is one booking.
    assert numbers(page.totals[0]) == EVENING


async def test_what_cannot_be_shared_evenly_is_shared_without_a_rest(desk: Desk, fresh_database: Database) -> None:
    thirds = [{"display_name": name, "price": 1000} for name in ("A", "B", "C")]
    staged = fresh_database.run_transaction(lambda session: stage(session, ticket_types=thirds))
    booking = await sell(desk, staged, (0, 0), (1, 1), (2, 2))
    assert booking.payment_id is not None
    paid = booking.payment_id
    fresh_database.run_transaction(
        lambda session: refunds.request(
            session,
            staged.performance_id,
            booking.id,
            paid,
            amount=refunds.Amount(100, "EUR"),
            reason="for the wait",
            actor_id=uuid4(),
        )
    )
    page = report(fresh_database, ReportGrouping.TICKET_TYPE)
    assert sorted(row.refunds for row in page.rows) == [33, 33, 34]
    assert sum(row.refunds for row in page.rows) == page.totals[0].refunds == 100


async def test_cash_that_goes_back_over_the_counter_counts_as_a_refund(desk: Desk, fresh_database: Database) -> None:
    staged = house(fresh_database)
    booking = await sell_at_the_box_office(desk, staged, ConfirmedBy.CASH, (0, 0), (1, 1))
    comp = await sell_at_the_box_office(desk, staged, ConfirmedBy.COMP, (2, 0))
    await give_back(desk, booking, 1, staff=True)
    await desk.ledger.execute(
        Cancel(performance_id=staged.performance_id, booking_id=comp.id, actor_id=uuid4(), staff=True)
    )
    [row] = report(fresh_database, ReportGrouping.PERFORMANCE).rows
    assert (row.revenue, row.cash, row.refunds, row.profit) == (ADULT + CHILD, ADULT + CHILD, CHILD, ADULT)
    assert (row.sold, row.complimentary, row.bookings) == (1, 0, 1)
    adult, child = report(fresh_database, ReportGrouping.TICKET_TYPE).rows
    assert (adult.refunds, child.refunds) == (0, CHILD)


@pytest.mark.promise("3.8")
async def test_a_day_is_one_by_the_calendar_of_the_performance(desk: Desk, fresh_database: Database) -> None:
    early = house(fresh_database, time_zone="Pacific/Kiritimati")
    late = house(fresh_database, time_zone="Pacific/Pago_Pago")  # 25 hours behind: never the same day
    for staged in (early, late):
        await sell(desk, staged, (0, 0))
        await hold(desk, staged, (1, 0), (2, 0))

    def today(zone: str) -> date:
        found: date = desk.one("SELECT (clock_timestamp() AT TIME ZONE :zone)::date", zone=zone)
        return found

    days = [today("Pacific/Pago_Pago"), today("Pacific/Kiritimati")]
    page = report(fresh_database, ReportGrouping.DAY)
    assert [row.day for row in page.rows] == days
    assert [(row.sold, row.held, row.revenue) for row in page.rows] == [(1, 2, ADULT)] * 2
    assert page.totals[0].revenue == 2 * ADULT
    assert [row.performance_id for row in page.rows] == [None, None]


async def test_what_nobody_wanted_has_its_row_and_other_currencies_their_own(
    desk: Desk, fresh_database: Database
) -> None:
    idle = house(fresh_database)
    in_yen = [{"display_name": "Adult", "price": 3000, "currency": "JPY"}]
    abroad = fresh_database.run_transaction(lambda session: stage(session, ticket_types=in_yen))
    await sell(desk, abroad, (0, 0))
    page = report(fresh_database, ReportGrouping.PERFORMANCE)
    found = {row.performance_id: (row.currency, row.sold, row.revenue) for row in page.rows}
    assert found == {idle.performance_id: ("EUR", 0, 0), abroad.performance_id: ("JPY", 1, 3000)}
    assert {row.currency: row.revenue for row in page.totals} == {"EUR": 0, "JPY": 3000}


async def test_conditions_narrow_and_what_does_not_exist_is_said(desk: Desk, fresh_database: Database) -> None:
    soon = house(fresh_database)
    later = house(fresh_database, start_time=now() + timedelta(days=60))

    def found(**conditions: Any) -> list[int | None]:
        return [row.performance_id for row in report(fresh_database, ReportGrouping.PERFORMANCE, **conditions).rows]

    assert found() == [soon.performance_id, later.performance_id]
    assert found(event_id=later.event_id) == [later.performance_id]
    assert found(performance_id=soon.performance_id) == [soon.performance_id]
    assert found(start_from=now() + timedelta(days=45)) == [later.performance_id]
    assert found(start_before=now() + timedelta(days=45)) == [soon.performance_id]
    assert found(event_id=soon.event_id, performance_id=later.performance_id) == []
    for unknown in ({"event_id": 10**9}, {"performance_id": 10**9}):
        with pytest.raises(NotFound):
            found(**unknown)


@pytest.mark.promise("3.8")
async def test_the_best_events_by_each_measure(desk: Desk, fresh_database: Database) -> None:
    many_cheap = fresh_database.run_transaction(
        lambda session: stage(session, ticket_types=[{"display_name": "Cheap", "price": 100}])
    )
    one_dear = fresh_database.run_transaction(
        lambda session: stage(session, ticket_types=[{"display_name": "Dear", "price": 9000}])
    )
    given_back = fresh_database.run_transaction(
        lambda session: stage(session, ticket_types=[{"display_name": "Dearest", "price": 20000}])
    )
    house(fresh_database)  # sold nothing
    await sell(desk, many_cheap, (0, 0), (1, 0), (2, 0))
    await sell(desk, many_cheap, (3, 0))
    await sell(desk, one_dear, (0, 0))
    await desk.cancel(await sell(desk, given_back, (0, 0)))

    def best(metric: TopMetric, limit: int = 5, currency: str | None = None) -> list[int | None]:
        return fresh_database.run_transaction(
            lambda session: [
                row.event_id
                for row in reports.top_events(session, metric, Conditions(), currency=currency, limit=limit)
            ]
        )

    cheap, dear, back = many_cheap.event_id, one_dear.event_id, given_back.event_id
    assert best(TopMetric.PROFIT) == [dear, cheap, back]
    assert best(TopMetric.REVENUE) == [back, dear, cheap]
    assert best(TopMetric.TICKETS_SOLD) == [cheap, dear, back]
    assert best(TopMetric.BOOKINGS) == [cheap, dear, back]
    assert best(TopMetric.PROFIT, limit=1) == [dear]
    assert best(TopMetric.PROFIT, currency="USD") == []


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of the block, but for those that only set limits."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SET"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.promise("3.7", "3.8")
@pytest.mark.mistake("list end point that runs a query per row")
@pytest.mark.parametrize("grouping", ReportGrouping)
async def test_a_report_is_one_statement_however_many_rows_it_has(
    desk: Desk, fresh_database: Database, grouping: ReportGrouping
) -> None:
    for _ in range(3):
        staged = house(fresh_database)
        await sell(desk, staged, (0, 0), (1, 1))
    with statements() as seen:
        page = report(fresh_database, grouping)
    assert len(page.rows) == {ReportGrouping.DAY: 1, ReportGrouping.TICKET_TYPE: 6}.get(grouping, 3)
    assert len(seen) == 1


@pytest.mark.parametrize("metric", TopMetric)
async def test_a_list_of_the_best_is_one_statement(desk: Desk, fresh_database: Database, metric: TopMetric) -> None:
    for _ in range(3):
        await sell(desk, house(fresh_database), (0, 0))
    with statements() as seen:
        best = fresh_database.run_transaction(
            lambda session: reports.top_events(session, metric, Conditions(), currency=None, limit=5)
        )
    assert (len(best), len(seen)) == (3, 1)
