"""Lists: filtered, in order, page by page, and with few statements however many rows they have."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import Engine, event

from rowlock.v1 import event_pb2 as pb
from rowlock.v1 import performance_pb2, seat_map_pb2, ticket_type_pb2, venue_pb2
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House, at, euros, in_days, stamp, unique

pytestmark = pytest.mark.asyncio(loop_scope="module")

Performances = performance_pb2.ListPerformancesRequest


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every SQL statement that any connection of this process runs within the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def titles(house: House, **request: object) -> list[str]:
    answer = await house.events.ListEvents(pb.ListEventsRequest(**request))  # type: ignore[arg-type]
    return [one.title for one in answer.events]


async def starts(house: House, **request: object) -> list[int]:
    answer = await house.events.ListPerformances(Performances(**request))  # type: ignore[arg-type]
    return [one.start_time.seconds for one in answer.performances]


@pytest.mark.promise("2.3", "3.1", "4.4")
async def test_events_come_by_their_next_performance_and_those_without_one_last(house: House) -> None:
    category = (await house.category()).name
    for title, days in (("in ten", 10), ("in five", 5), ("over", -5)):
        made = await house.event(title=title, category=category)
        await house.on_sale(made.name, start_time=in_days(days), sale_start_time=in_days(-30))
    await house.event(title="nothing yet", category=category)
    twice = await house.event(title="twice", category=category)
    for days in (20, 7, -9):
        await house.on_sale(twice.name, start_time=in_days(days), sale_start_time=in_days(-30))
    assert await titles(house, category=category) == ["in five", "twice", "in ten", "over", "nothing yet"]
    descending = await titles(house, category=category, order_by="start_time desc")
    assert descending[:3] == ["in ten", "twice", "in five"]
    assert set(descending[3:]) == {"over", "nothing yet"}
    one = await house.events.GetEvent(pb.GetEventRequest(name=twice.name))
    assert one.next_start_time == in_days(7)
    assert one.lowest_price == euros(2500)


@pytest.mark.promise("1.1", "1.2", "4.4")
async def test_conditions_hold_for_one_performance_together(house: House) -> None:
    category = (await house.category()).name
    other = (await house.new_venue()).name
    elsewhere = (await house.new_seat_map(other)).name
    play = await house.event(title="Play", category=category, description="All about rowboats")
    film = await house.event(title="Film", category=category)
    await house.on_sale(play.name, start_time=in_days(9))
    await house.on_sale(play.name, start_time=in_days(20), seat_map=elsewhere)
    await house.on_sale(film.name, start_time=in_days(10), seat_map=elsewhere)
    assert await titles(house, category=category, venue=other) == ["Play", "Film"]
    assert await titles(house, category=category, venue=house.venue) == ["Play"]
    assert await titles(house, category=category, start_time_from=in_days(15)) == ["Play"]
    assert await titles(house, category=category, venue=other, start_time_before=in_days(15)) == ["Film"]
    assert await titles(house, category=category, text="ROWBOAT") == ["Play"]
    assert await titles(house, category=category, text="%") == []
    assert await starts(house, category=category, venue=other) == [in_days(10).seconds, in_days(20).seconds]
    assert await starts(house, event=play.name, start_time_before=in_days(15)) == [in_days(9).seconds]
    assert await starts(house, category=category, text="rowboat", order_by="start_time desc") == [
        in_days(20).seconds,
        in_days(9).seconds,
    ]


@pytest.mark.promise("4.4")
async def test_only_what_has_places_left_is_listed_if_asked_for(house: House) -> None:
    category = (await house.category()).name
    for title in ("full", "free"):
        made = await house.event(title=title, category=category)
        performance = await house.on_sale(made.name, customer_limit=100)
        if title == "full":
            await house.book(performance.name, *(f"Stalls-{row}-{n}" for row in "ABCDE" for n in range(1, 11)))
    assert await titles(house, category=category, only_available=True) == ["free"]
    assert sorted(await titles(house, category=category)) == ["free", "full"]
    listed = await house.events.ListPerformances(Performances(category=category, only_available=True))
    assert [one.counts.available for one in listed.performances] == [50]


async def test_performances_are_listed_by_state(house: House) -> None:
    made = await house.event()
    kept, cancelled = await house.on_sale(made.name), await house.on_sale(made.name)
    await house.events.CancelPerformance(
        performance_pb2.CancelPerformanceRequest(name=cancelled.name), metadata=house.staff
    )
    states = performance_pb2.Performance
    for state, wanted in ((states.SCHEDULED, [kept.name]), (states.CANCELLED, [cancelled.name])):
        listed = await house.events.ListPerformances(Performances(event=made.name, state=state))
        assert [one.name for one in listed.performances] == wanted


async def test_pages_join_to_the_whole_list(house: House) -> None:
    made = await house.event()
    wanted = [(await house.on_sale(made.name, start_time=in_days(day))).name for day in (3, 3, 1, 2, 3, 4, 5)]
    for order, expected in (
        ("", [wanted[2], wanted[3], wanted[0], wanted[1], wanted[4], wanted[5], wanted[6]]),
        ("start_time desc", [wanted[6], wanted[5], wanted[4], wanted[1], wanted[0], wanted[3], wanted[2]]),
    ):
        found, token = [], ""
        while True:
            request = Performances(event=made.name, page_size=3, page_token=token, order_by=order)
            page = await house.events.ListPerformances(request)
            assert page.total_size == 7
            found += [one.name for one in page.performances]
            token = page.next_page_token
            if not token:
                break
        assert found == expected


async def test_pages_of_events_join_to_the_whole_list(house: House) -> None:
    category = (await house.category()).name
    for number in range(5):
        made = await house.event(title=f"Event {number}", category=category)
        if number < 3:
            await house.on_sale(made.name, start_time=in_days(2))
    for order in ("start_time", "start_time desc"):
        whole = await titles(house, category=category, order_by=order)
        found, token = [], ""
        while True:
            request = pb.ListEventsRequest(category=category, page_size=2, page_token=token, order_by=order)
            page = await house.events.ListEvents(request)
            found += [one.title for one in page.events]
            token = page.next_page_token
            if not token:
                break
        assert found == whole
        assert len(set(found)) == 5


@pytest.mark.parametrize(
    "change", [{"event": "events/1"}, {"only_available": True}, {"order_by": "start_time desc"}], ids=str
)
async def test_a_page_token_belongs_to_its_query(house: House, change: dict[str, object]) -> None:
    made = await house.event()
    for day in (1, 2, 3):
        await house.on_sale(made.name, start_time=in_days(day))
    page = await house.events.ListPerformances(Performances(event=made.name, page_size=1))
    wanted = {"event": made.name, "page_token": page.next_page_token} | change
    refused = await refusal(house.events.ListPerformances(Performances(**wanted)))  # type: ignore[arg-type]
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_a_page_of_what_staff_see_is_not_continued_by_others(house: House) -> None:
    await house.event(published=False)
    await house.event(published=False)
    page = await house.events.ListEvents(pb.ListEventsRequest(page_size=1), metadata=house.staff)
    request = pb.ListEventsRequest(page_size=1, page_token=page.next_page_token)
    assert (await refusal(house.events.ListEvents(request))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.promise("3.7")
@pytest.mark.mistake("list end point that runs a query per row")
async def test_a_list_takes_as_many_statements_for_twenty_rows_as_for_two(house: House) -> None:
    """The old mistake: a query for each row of a list."""
    category = (await house.category()).name
    venue = (await house.new_venue(display_name=(name := unique("Counted")))).name
    seat_map = (await house.new_seat_map(venue)).name

    async def more(number: int) -> str:
        for _ in range(number):
            made = await house.event(category=category)
            await house.on_sale(made.name, seat_map=seat_map)
            await house.new_seat_map(venue)
            await house.new_venue(display_name=name)
        performance = (await house.performance((await house.event()).name)).name
        for _ in range(number):
            await house.ticket_type(performance)
        return performance

    async def counted(performance: str) -> dict[str, tuple[int, int]]:
        calls: dict[str, tuple[Any, Message]] = {
            "events": (house.events.ListEvents, pb.ListEventsRequest(category=category)),
            "performances": (house.events.ListPerformances, Performances(category=category)),
            "ticket_types": (
                house.events.ListTicketTypes,
                ticket_type_pb2.ListTicketTypesRequest(parent=performance),
            ),
            "seat_maps": (house.events.ListSeatMaps, seat_map_pb2.ListSeatMapsRequest(parent=venue)),
            "venues": (house.events.ListVenues, venue_pb2.ListVenuesRequest(text=name)),
            "seats": (
                house.events.ListSeats,
                performance_pb2.ListSeatsRequest(parent=performance, page_size=1000),
            ),
        }
        found = {}
        for rows, (call, request) in calls.items():
            answer = await call(request)
            runs = []
            for _ in range(4):
                with statements() as seen:
                    await call(request)
                runs.append(len(seen))
            # The least: now and then the server asks something of its own at the same time.
            found[rows] = (len(getattr(answer, rows)), min(runs))
        return found

    few = await counted(await more(2))
    many = await counted(await more(20))
    for rows in few:
        assert few[rows][1] == many[rows][1] <= 5, (rows, few[rows], many[rows])
        assert rows == "seats" or many[rows][0] >= 20


async def test_times_are_those_of_the_request_to_the_microsecond(house: House) -> None:
    made = await house.event()
    start = at(in_days(3)) + timedelta(microseconds=123456)
    performance = await house.performance(made.name, start_time=stamp(start))
    assert at(performance.start_time) == start
    assert await starts(house, event=made.name, start_time_from=stamp(start)) != []
    assert await starts(house, event=made.name, start_time_before=stamp(start)) == []
