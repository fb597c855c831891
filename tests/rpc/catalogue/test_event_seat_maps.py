"""Seat maps: imported from files of two formats or drawn in a request, versioned, never changed under a performance."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import performance_pb2
from rowlock.v1 import seat_map_pb2 as pb
from tests.rpc.auth.conftest import refusal
from tests.rpc.catalogue.conftest import House
from tests.staging import hall_document

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = Path(__file__).parents[3] / "examples"
Import = pb.ImportSeatMapRequest


def importing(house: House, document: bytes, **fields: Any) -> pb.ImportSeatMapRequest:
    usual: dict[str, Any] = {"parent": house.venue, "format": Import.ROWLOCK, "document": document}
    return Import(**usual | fields)


async def import_file(house: House, document: bytes, **fields: Any) -> pb.ImportSeatMapResponse:
    return await house.events.ImportSeatMap(importing(house, document, **fields), metadata=house.staff)


async def drawn(house: House, name: str, version: int = 0) -> pb.SeatMap:
    request = pb.GetSeatMapRequest(name=name, version=version, view=pb.SEAT_MAP_VIEW_FULL)
    return await house.events.GetSeatMap(request)


@pytest.mark.parametrize(
    ("file", "format_", "places"),
    [
        ("cinema.json", Import.ROWLOCK, 180),
        ("cinema.pretix.json", Import.PRETIX, 180),
        ("theatre.json", Import.ROWLOCK, 1191),
        ("arena.json", Import.ROWLOCK, 20114),
    ],
)
async def test_halls_of_real_kinds_are_imported(
    house: House, file: str, format_: pb.ImportSeatMapRequest.Format.ValueType, places: int
) -> None:
    content = (EXAMPLES / file).read_bytes()
    made = (await import_file(house, gzip.compress(content), format=format_, encoding=Import.GZIP)).seat_map
    assert (made.place_count, made.version) == (places, 1)
    assert made.display_name == json.loads(content)["name"]
    assert sum(zone.place_count for zone in made.zones) == places
    read = await house.events.GetSeatMap(pb.GetSeatMapRequest(name=made.name))
    assert read == made
    listed = await house.events.ListSeatMaps(pb.ListSeatMapsRequest(parent=house.venue, page_size=1000))
    assert made in listed.seat_maps
    everywhere = await house.events.ListSeatMaps(pb.ListSeatMapsRequest(parent="venues/-", page_size=1000))
    assert made in everywhere.seat_maps


async def test_a_plan_says_what_it_could_not_say(house: House) -> None:
    content = (EXAMPLES / "cinema.pretix.json").read_bytes()
    answer = await import_file(house, content, format=Import.PRETIX)
    assert any("accessible" in warning for warning in answer.warnings)


async def test_every_fault_of_a_file_is_named_and_nothing_is_stored(house: House) -> None:
    document = hall_document()
    document["sections"][0]["rows"][1]["seats"][3]["zone"] = "Gold"
    document["sections"][0]["rows"][2]["seats"][4]["x"] = "left"
    document["siz"] = 3
    venue = (await house.new_venue()).name
    refused = await refusal(import_file(house, json.dumps(document).encode(), parent=venue))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "SEAT_MAP_INVALID")
    assert set(refused.fields) == {"sections[0].rows[1].seats[3].zone", "sections[0].rows[2].seats[4].x", "siz"}
    assert refused.facts["total"] == "3"
    listed = await house.events.ListSeatMaps(pb.ListSeatMapsRequest(parent=venue))
    assert listed.total_size == 0


async def test_a_file_with_very_many_faults_is_answered_within_bounds(house: House) -> None:
    document = hall_document(rows=20, seats=40)
    for row in document["sections"][0]["rows"]:
        for seat in row["seats"]:
            seat["zone"] = "a zone that this hall does not have, with a name that goes on"
    refused = await refusal(import_file(house, json.dumps(document).encode()))
    assert (refused.reason, refused.facts["total"]) == ("SEAT_MAP_INVALID", "800")
    assert refused.fields[0] == "sections[0].rows[0].seats[0].zone"
    assert 5 <= len(refused.fields) <= 21


@pytest.mark.parametrize(
    ("document", "encoding"),
    [
        (b"no json", Import.IDENTITY),
        (b"[" * 1000, Import.IDENTITY),
        (b'{"categories": [], "zones": []}', Import.IDENTITY),
        (b"not gzip", Import.GZIP),
        (gzip.compress(b"{}")[:-4], Import.GZIP),
        (gzip.compress(b"{}") + b"more", Import.GZIP),
        (gzip.compress(b" " * (33 * 1024 * 1024)), Import.GZIP),
    ],
    ids=["text", "nesting", "other format", "not gzip", "cut off", "more behind", "bomb"],
)
async def test_what_is_no_seat_map_is_refused(
    house: House, document: bytes, encoding: pb.ImportSeatMapRequest.Encoding.ValueType
) -> None:
    refused = await refusal(import_file(house, document, encoding=encoding))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "SEAT_MAP_INVALID")


async def test_a_check_says_what_would_be_made_and_stores_nothing(house: House) -> None:
    venue = (await house.new_venue()).name
    content = json.dumps(hall_document(standing=30)).encode()
    answer = await import_file(house, content, parent=venue, validate_only=True)
    assert (answer.seat_map.name, answer.seat_map.place_count, answer.seat_map.version) == ("", 80, 1)
    assert (await house.events.ListSeatMaps(pb.ListSeatMapsRequest(parent=venue))).total_size == 0


async def test_a_new_version_leaves_performances_as_they_are(house: House) -> None:
    made = (await import_file(house, json.dumps(hall_document()).encode())).seat_map
    performance = await house.on_sale(seat_map=made.name)
    larger = json.dumps(hall_document(rows=7)).encode()
    second = (await import_file(house, larger, seat_map=made.name)).seat_map
    assert (second.name, second.version, second.place_count) == (made.name, 2, 70)
    assert second.etag != made.etag
    assert (await house.reread(performance.name)).seat_map_version == 1
    assert (await house.performance(seat_map=made.name)).counts.total == 70
    assert (await house.performance(seat_map=made.name, seat_map_version=1)).counts.total == 50
    old = await house.events.GetSeatMap(pb.GetSeatMapRequest(name=made.name, version=1))
    assert (old.version, old.place_count) == (1, 50)
    assert (await refusal(drawn(house, made.name, version=3))).code == "NOT_FOUND"


async def test_a_seat_map_that_a_performance_uses_is_kept(house: House) -> None:
    made = (await import_file(house, json.dumps(hall_document()).encode())).seat_map
    performance = await house.performance(seat_map=made.name)
    delete = pb.DeleteSeatMapRequest(name=made.name)
    refused = await refusal(house.events.DeleteSeatMap(delete, metadata=house.staff))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "SEAT_MAP_IN_USE")
    await house.events.DeletePerformance(
        performance_pb2.DeletePerformanceRequest(name=performance.name), metadata=house.staff
    )
    await house.events.DeleteSeatMap(delete, metadata=house.staff)
    assert (await refusal(drawn(house, made.name))).code == "NOT_FOUND"


async def test_a_seat_map_is_not_found_in_another_venue(house: House) -> None:
    other = (await house.new_venue()).name
    name = house.seat_map.replace(house.venue, other)
    assert (await refusal(house.events.GetSeatMap(pb.GetSeatMapRequest(name=name)))).code == "NOT_FOUND"
    content = json.dumps(hall_document()).encode()
    refused = await refusal(import_file(house, content, parent=other, seat_map=house.seat_map))
    assert refused.fields == ("seat_map",)
    assert (await refusal(import_file(house, content, parent="venues/999999"))).code == "NOT_FOUND"


def layout() -> pb.SeatMapLayout:
    """Two rows, an aisle, a standing area, a turned stage and a word."""
    seats = [
        pb.Seat(
            id=f"{row}{number}",
            section="Stalls",
            row=row,
            number=str(number),
            zone="Front",
            x=100.0 * number,
            y=100.0 * place,
            accessible=number == 1,
            aisle_before=number == 3,
        )
        for place, row in enumerate("AB", 1)
        for number in range(1, 5)
    ]
    box = pb.Area.Rectangle(width=80, height=60)
    square = [pb.Area.Point(x=0, y=0), pb.Area.Point(x=50, y=0), pb.Area.Point(x=50, y=50)]
    return pb.SeatMapLayout(
        width=1000,
        height=800,
        zones=[pb.PriceZone(zone="Front", color="#112233"), pb.PriceZone(zone="Floor", color="#445566")],
        areas=[
            pb.Area(id="Pit", section="Floor", zone="Floor", capacity=40, x=10, y=500, rectangle=box),
            pb.Area(
                label="Stage",
                color="#eeeeee",
                x=500,
                y=20,
                rotation=90,
                rectangle=pb.Area.Rectangle(width=60, height=200),
            ),
            pb.Area(x=300, y=300, polygon=pb.Area.Polygon(points=square)),
            pb.Area(x=200, y=200, circle=pb.Area.Circle(radius=15), border_color="#000000"),
            pb.Area(x=200, y=300, rotation=30, ellipse=pb.Area.Ellipse(radius_x=15, radius_y=5)),
            pb.Area(x=400, y=10, text=pb.Area.Label(text="Exit", size=12, color="#ff0000")),
        ],
        seats=seats,
        focus=pb.Area.Point(x=500, y=50),
    )


async def create(house: House, drawing: pb.SeatMapLayout) -> pb.SeatMap:
    request = pb.CreateSeatMapRequest(parent=house.venue, seat_map=pb.SeatMap(display_name="Studio", layout=drawing))
    return await house.events.CreateSeatMap(request, metadata=house.staff)


async def test_a_drawing_in_a_request_comes_back_as_it_was(house: House) -> None:
    made = await create(house, layout())
    assert (made.place_count, made.version, made.HasField("layout")) == (48, 1, False)
    read = (await drawn(house, made.name)).layout
    wanted = layout()
    for index, seat in enumerate(wanted.seats):
        seat.index, seat.kind = index, pb.Seat.SEAT
    assert list(read.seats) == list(wanted.seats)
    assert [(zone.zone, zone.color, zone.place_count) for zone in read.zones] == [
        ("Front", "#112233", 8),
        ("Floor", "#445566", 40),
    ]
    assert (read.width, read.height, read.focus) == (1000, 800, wanted.focus)
    pit, *others = read.areas
    assert (pit.id, pit.zone, pit.capacity, pit.rectangle) == ("Pit", "Floor", 40, wanted.areas[0].rectangle)
    for area, expected in zip(others, wanted.areas[1:], strict=True):
        assert area.WhichOneof("shape") == expected.WhichOneof("shape")
        if expected.HasField("polygon"):
            assert [(point.x, point.y) for point in area.polygon.points] == [(300, 300), (350, 300), (350, 350)]
            continue
        assert (area.x, area.y) == pytest.approx((expected.x, expected.y))
        assert area.rotation == pytest.approx(expected.rotation)
        assert (area.color, area.border_color) == (expected.color, expected.border_color)
    # And what came back can be sent again.
    again = await create(house, read)
    assert (await drawn(house, again.name)).layout == read


async def test_faults_of_a_drawing_are_named_by_the_fields_of_the_request(house: House) -> None:
    wrong = layout()
    wrong.seats[2].zone = "Gold"
    wrong.seats[5].x = 1001
    wrong.seats[6].id = "A1"
    wrong.areas[0].zone = "Silver"
    wrong.seats[7].kind = pb.Seat.GENERAL_ADMISSION
    refused = await refusal(create(house, wrong))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "SEAT_MAP_INVALID")
    assert set(refused.fields) == {
        "seat_map.layout.seats[2].zone",
        "seat_map.layout.seats[5].x",
        "seat_map.layout.seats[6]",
        "seat_map.layout.areas[0].zone",
        "seat_map.layout.seats[7].kind",
    }


async def test_renaming_makes_no_version_and_a_drawing_does(house: House) -> None:
    made = await create(house, layout())
    rename = pb.UpdateSeatMapRequest(seat_map=pb.SeatMap(name=made.name, display_name="Renamed", etag=made.etag))
    renamed = await house.events.UpdateSeatMap(rename, metadata=house.staff)
    assert (renamed.display_name, renamed.version) == ("Renamed", 1)
    assert (await refusal(house.events.UpdateSeatMap(rename, metadata=house.staff))).reason == "ETAG_MISMATCH"
    smaller = layout()
    del smaller.seats[4:]
    redraw = pb.UpdateSeatMapRequest(
        seat_map=pb.SeatMap(name=made.name, layout=smaller), update_mask=FieldMask(paths=["layout"])
    )
    redrawn = await house.events.UpdateSeatMap(redraw, metadata=house.staff)
    assert (redrawn.display_name, redrawn.version, redrawn.place_count) == ("Renamed", 2, 44)
