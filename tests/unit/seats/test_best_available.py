"""Best available: together, nobody stranded, near the focus; and never a place that is not free."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.seats import seat_map_import
from server.seats.best_available import Want, choose, choose_ga
from server.seats.hall import Hall, PlaceKind
from server.seats.seat_blocks import Blocks, Rank, Run
from server.states import SeatState

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def make_hall(*rows: str, section_of: tuple[str, ...] = (), areas: list[dict[str, Any]] | None = None) -> Hall:
    """A hall drawn in text, front row first: `s` seat, `w` wheelchair place, `g` seat of zone Gold, space aisle."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for number, text in enumerate(rows):
        seats: list[dict[str, Any]] = []
        for column, letter in enumerate(text):
            if letter != " ":
                seats.append(
                    {
                        "number": str(len(seats) + 1),
                        "x": 50 + 50 * column,
                        "y": 100 + 100 * number,
                        "zone": "Gold" if letter == "g" else "Silver",
                        "accessible": letter == "w",
                        "gap_before": bool(seats) and text[column - 1] == " ",
                    }
                )
        name = section_of[number] if section_of else "Hall"
        sections.setdefault(name, []).append({"label": chr(65 + number), "seats": seats})
    return Hall.from_document(
        {
            "name": "drawn",
            "size": {"width": 50 * max([len(row) for row in rows], default=1) + 50, "height": 2000},
            "zones": [{"name": "Gold"}, {"name": "Silver"}],
            "sections": [
                *({"name": name, "rows": found} for name, found in sections.items()),
                *([{"name": "Floor", "areas": areas}] if areas else []),
            ],
        }
    )


def states_of(hall: Hall, *taken: str) -> bytearray:
    """All available, but those named by the end of their id (`A-3`)."""
    states = bytearray([SeatState.AVAILABLE]) * len(hall)
    for place in hall.places:
        if f"{place.row}-{place.number}" in taken:
            states[place.index] = SeatState.SOLD
    return states


def ids(hall: Hall, chosen: tuple[int, ...] | None) -> list[str]:
    assert chosen is not None
    return [f"{hall.places[index].row}-{hall.places[index].number}" for index in chosen]


def test_the_front_centre_comes_first() -> None:
    hall = make_hall("sssssssss", "sssssssss")
    assert ids(hall, choose(hall, states_of(hall), Want(3))) == ["A-4", "A-5", "A-6"]


def test_the_focus_decides_what_is_best() -> None:
    hall = replace(make_hall("sssss", "sssss", "sssss"), focus=(150.0, 300.0))
    assert ids(hall, choose(hall, states_of(hall), Want(1))) == ["C-3"]


def test_a_party_is_not_seated_across_an_aisle_while_a_row_has_room() -> None:
    hall = make_hall("ss ss", "sssss")
    assert ids(hall, choose(hall, states_of(hall), Want(3))) == ["B-1", "B-2", "B-3"]


def test_a_worse_row_is_taken_before_a_seat_is_left_stranded() -> None:
    hall = make_hall("sssss", "ssssss")
    # Four of five would leave one seat alone at the wall.
    assert ids(hall, choose(hall, states_of(hall), Want(4))) == ["B-1", "B-2", "B-3", "B-4"]


def test_a_seat_is_stranded_beside_an_aisle_and_beside_a_taken_seat() -> None:
    hall = make_hall("sss sss", "ssssssss")
    states = states_of(hall, "B-3", "B-8")
    # Every pair of row A leaves one alone. B-1 and B-2 are a whole stretch.
    assert ids(hall, choose(hall, states, Want(2))) in (["B-1", "B-2"], ["B-4", "B-5"], ["B-6", "B-7"])
    assert ids(hall, choose(hall, states, Want(3))) != ["B-4", "B-5", "B-6"]


def test_a_seat_is_left_stranded_when_nothing_else_is_left() -> None:
    hall = make_hall("sssss")
    assert len(ids(hall, choose(hall, states_of(hall), Want(4)))) == 4


def test_accessible_places_are_used_last() -> None:
    hall = make_hall("wwsssww", "sssssss")
    assert ids(hall, choose(hall, states_of(hall), Want(4)))[0].startswith("B")
    hall = make_hall("wwss")
    # Together would need a wheelchair place; and so does a party of three, whatever it does.
    assert ids(hall, choose(hall, states_of(hall), Want(2))) == ["A-3", "A-4"]
    assert ids(hall, choose(hall, states_of(hall), Want(3))) == ["A-2", "A-3", "A-4"]


def test_an_accessible_place_may_stay_alone() -> None:
    hall = make_hall("wssss")
    assert ids(hall, choose(hall, states_of(hall), Want(4))) == ["A-2", "A-3", "A-4", "A-5"]


def test_who_needs_accessible_places_gets_only_those() -> None:
    hall = make_hall("sssss", "wwsss")
    assert ids(hall, choose(hall, states_of(hall), Want(2, accessible=True))) == ["B-1", "B-2"]
    assert choose(hall, states_of(hall), Want(3, accessible=True)) is None


def test_zones_and_section_restrict_the_choice() -> None:
    hall = make_hall("ssssss", "ssggss", "gggggg", section_of=("Stalls", "Stalls", "Circle"))
    states = states_of(hall)
    gold = frozenset({"Gold"})
    assert ids(hall, choose(hall, states, Want(2, zones=gold))) == ["B-3", "B-4"]
    assert ids(hall, choose(hall, states, Want(4, zones=gold))) == ["C-1", "C-2", "C-3", "C-4"]
    assert ids(hall, choose(hall, states, Want(1, section="Circle"))) == ["C-3"]
    assert choose(hall, states, Want(1, zones=frozenset({"Bronze"}))) is None
    assert choose(hall, states, Want(1, section="Loge")) is None
    assert choose(hall, states, Want(1, zones=frozenset())) is None


def test_a_party_too_large_for_any_row_is_split_over_neighbouring_rows() -> None:
    hall = make_hall("ssss", "ssss", "ssss", "ssss")
    chosen = ids(hall, choose(hall, states_of(hall), Want(6)))
    assert {seat[0] for seat in chosen} in ({"A", "B"}, {"B", "C"})
    assert [seat[0] for seat in chosen].count("A") in (2, 4)


def test_a_split_party_sits_in_as_few_groups_as_possible() -> None:
    hall = make_hall("ss", "s", "sss", "s", "sss")
    assert {seat[0] for seat in ids(hall, choose(hall, states_of(hall), Want(6)))} == {"C", "E"}


def test_nobody_of_a_split_party_sits_alone_if_that_can_be_helped() -> None:
    hall = make_hall("ssss", "ssss")
    groups = [seat[0] for seat in ids(hall, choose(hall, states_of(hall), Want(5)))]
    # 4 + 1 or 3 + 2: the first leaves one of the party alone, the second a seat stranded. The seat goes first.
    assert sorted(groups.count(row) for row in "AB") == [1, 4]
    groups = [seat[0] for seat in ids(hall, choose(hall, states_of(hall), Want(6)))]
    assert sorted(groups.count(row) for row in "AB") == [2, 4]


def test_a_party_larger_than_any_section_is_spread_over_sections() -> None:
    hall = make_hall("sss", "sss", section_of=("Left", "Right"))
    assert len(ids(hall, choose(hall, states_of(hall), Want(5)))) == 5


def test_all_or_nothing() -> None:
    hall = make_hall("sss", "sss")
    assert choose(hall, states_of(hall, "A-1"), Want(6)) is None
    assert len(ids(hall, choose(hall, states_of(hall), Want(6)))) == 6


def test_wrong_arguments_are_refused() -> None:
    hall = make_hall("sss")
    with pytest.raises(ValueError, match="at least 1"):
        Want(0)
    with pytest.raises(ValueError, match="2 states for a hall of 3"):
        choose(hall, b"\x01\x01", Want(1))
    with pytest.raises(ValueError, match="at least 1"):
        choose_ga(hall, states_of(hall), 0)


# Against brute force.

rows = (
    st.text(alphabet="sssgw ", min_size=1, max_size=8).map(lambda row: row.strip() or "s").map(str.split).map(" ".join)
)
halls = st.lists(rows, min_size=1, max_size=4)


def stranded(hall: Hall, states: bytearray, block: range) -> int:
    """How many free ordinary seats would be left without a free neighbour, which have one now."""
    after = bytearray(states)
    after[block.start : block.stop] = bytes([SeatState.HELD]) * len(block)

    def alone(which: bytearray) -> set[int]:
        runs = [run for row in hall.rows for run in row.runs]
        return {
            index
            for run in runs
            for index in run
            if which[index] == SeatState.AVAILABLE
            and not hall.places[index].accessible
            and not any(near in run and which[near] == SeatState.AVAILABLE for near in (index - 1, index + 1))
        }

    return len(alone(after) - alone(states))


def blocks(hall: Hall, states: bytearray, want: Want, *, accessible: bool) -> list[range]:
    """Every block of neighbours that the party could take."""

    def allowed(index: int) -> bool:
        place = hall.places[index]
        return (
            states[index] == SeatState.AVAILABLE
            and (want.zones is None or place.zone in want.zones)
            and (accessible or not place.accessible)
            and (place.accessible or not want.accessible)
        )

    return [
        range(first, first + want.quantity)
        for row in hall.rows
        for run in row.runs
        for first in range(run.start, run.stop - want.quantity + 1)
        if all(allowed(index) for index in range(first, first + want.quantity))
    ]


def distance(hall: Hall, block: range | tuple[int, ...]) -> int:
    x, y = hall.focus
    return sum(round(10 * ((hall.places[i].x - x) ** 2 + (hall.places[i].y - y) ** 2) ** 0.5) for i in block)


@settings(max_examples=600, deadline=None)
@given(st.data(), halls, st.integers(1, 5), st.sampled_from([None, frozenset({"Gold"}), frozenset({"Silver"})]))
def test_the_choice_is_as_good_as_brute_force(
    data: st.DataObject, drawing: list[str], quantity: int, zones: frozenset[str] | None
) -> None:
    hall = make_hall(*drawing)
    some = st.sampled_from(
        [SeatState.AVAILABLE, SeatState.AVAILABLE, SeatState.HELD, SeatState.SOLD, SeatState.BLOCKED]
    )
    states = bytearray(data.draw(st.lists(some, min_size=len(hall), max_size=len(hall))))
    want = Want(quantity, zones=zones, accessible=data.draw(st.booleans()))
    free = [
        place
        for place in hall.places
        if states[place.index] == SeatState.AVAILABLE
        and (zones is None or place.zone in zones)
        and (place.accessible or not want.accessible)
    ]
    chosen = choose(hall, states, want)
    if len(free) < quantity:
        assert chosen is None
        return

    assert chosen is not None
    assert len(set(chosen)) == quantity
    assert list(chosen) == sorted(chosen)
    assert set(chosen) <= {place.index for place in free}

    ordinary = sum(not place.accessible for place in free)
    needs_accessible = want.accessible or ordinary < quantity
    if not needs_accessible:
        assert not any(hall.places[index].accessible for index in chosen)
    together = blocks(hall, states, want, accessible=needs_accessible)
    if together:
        block = range(chosen[0], chosen[-1] + 1)
        assert block in together
        assert stranded(hall, states, block) == min(stranded(hall, states, other) for other in together)
        if not needs_accessible or want.accessible:
            equal = [other for other in together if stranded(hall, states, other) == stranded(hall, states, block)]
            assert distance(hall, block) == min(distance(hall, other) for other in equal)


@settings(max_examples=100, deadline=None)
@given(halls, st.integers(1, 4))
def test_buyer_after_buyer_fills_the_hall_without_losing_a_seat(drawing: list[str], quantity: int) -> None:
    hall = make_hall(*drawing)
    states = states_of(hall)
    sold = 0
    while chosen := choose(hall, states, Want(quantity)):
        for index in chosen:
            assert states[index] == SeatState.AVAILABLE
            states[index] = SeatState.HELD
        sold += quantity
    assert sold == len(hall) // quantity * quantity


# General admission.

CIRCLE = {"kind": "circle", "x": 100, "y": 100, "radius": 50}
AREAS = [
    {"name": "Pit", "zone": "Gold", "capacity": 4, "shape": CIRCLE},
    {"name": "Field", "zone": "Silver", "capacity": 6, "shape": CIRCLE},
]


def test_general_admission_takes_places_of_one_area_if_one_has_enough() -> None:
    hall = make_hall("sss", areas=AREAS)
    states = states_of(hall)
    assert choose_ga(hall, states, 2) == (3, 4)
    assert choose_ga(hall, states, 5) == (7, 8, 9, 10, 11)
    assert choose_ga(hall, states, 8) == (3, 4, 5, 6, 7, 8, 9, 10)
    assert choose_ga(hall, states, 11) is None
    assert choose_ga(hall, states, 5, area="Pit") is None
    assert choose_ga(hall, states, 1, zones=frozenset({"Silver"})) == (7,)
    assert choose_ga(hall, states, 1, section="Hall") is None
    assert choose(hall, states, Want(2, kind=PlaceKind.GENERAL_ADMISSION)) == (3, 4)


def test_seats_are_never_chosen_for_general_admission_nor_the_other_way_round() -> None:
    hall = make_hall("sss", areas=AREAS)
    assert choose(hall, states_of(hall), Want(4)) is None


@given(st.data(), st.integers(1, 12), st.integers(-50, 50))
def test_any_offset_finds_what_is_left(data: st.DataObject, quantity: int, offset: int) -> None:
    hall = make_hall("s", areas=AREAS)
    states = bytearray(data.draw(st.lists(st.sampled_from([1, 2, 3]), min_size=11, max_size=11)))
    free = {place.index for place in hall.places if place.area and states[place.index] == 1}
    chosen = choose_ga(hall, states, quantity, offset=offset)
    if len(free) < quantity:
        assert chosen is None
    else:
        assert chosen is not None
        assert len(set(chosen)) == quantity
        assert set(chosen) <= free


def test_different_offsets_choose_different_places() -> None:
    hall = make_hall(areas=AREAS)
    states = states_of(hall)
    assert choose_ga(hall, states, 2, area="Field", offset=4) == (8, 9)
    assert choose_ga(hall, states, 2, area="Field", offset=5) == (4, 9)


def test_a_choice_in_an_arena_compares_few_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest runs decide; the other thousands of seats are not looked at one by one."""
    hall = Hall.from_document(seat_map_import.read((EXAMPLES / "arena.json").read_bytes()))
    states = bytearray([SeatState.AVAILABLE]) * len(hall)
    compared = 0
    rank = Blocks.rank

    def counting(blocks: Blocks, run: Run, first: int, end: int) -> Rank:
        nonlocal compared
        compared += 1
        return rank(blocks, run, first, end)

    monkeypatch.setattr(Blocks, "rank", counting)
    counts = []
    for quantity in [2, 4, 1, 3] * 250:
        compared = 0
        chosen = choose(hall, states, Want(quantity))
        counts.append(compared)
        for index in chosen or ():
            states[index] = SeatState.SOLD
    assert sorted(counts)[len(counts) // 2] < 500
    assert max(counts) < len(hall) // 10
