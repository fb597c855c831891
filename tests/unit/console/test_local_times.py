"""Times of forms, by the clocks of a zone: also where these go back or forward."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from starlette_admin.exceptions import FormValidationError

from console.local_times import for_form, in_local, in_zone

BERLIN = "Europe/Berlin"


def test_a_time_is_meant_by_the_clocks_of_its_zone() -> None:
    data = {"start_time": "2026-11-20T19:30", "end_time": ""}
    times = in_zone(data, ("start_time", "end_time"), BERLIN)
    assert times == {"start_time": datetime(2026, 11, 20, 18, 30, tzinfo=UTC), "end_time": None}


@pytest.mark.parametrize("hour", [0, 1])
def test_what_the_form_shows_as_it_was_stays_so_in_the_hour_that_comes_twice(hour: int) -> None:
    known = datetime(2026, 10, 25, hour, 30, 7, 123456, tzinfo=UTC)
    shown = for_form(in_local(known, BERLIN))
    assert shown == "2026-10-25T02:30"
    assert in_zone({"start_time": shown}, ("start_time",), BERLIN, SimpleNamespace(start_time=known)) == {
        "start_time": known
    }


def test_the_same_clock_in_another_zone_is_another_time() -> None:
    before = SimpleNamespace(start_time=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))
    times = in_zone({"start_time": "2026-11-20T19:30"}, ("start_time",), "Europe/London", before)
    assert times["start_time"] == datetime(2026, 11, 20, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-29T02:30", "tomorrow", "0001-01-01T00:00"])
def test_what_is_no_time_there_is_told(text: str) -> None:
    with pytest.raises(FormValidationError):
        in_zone({"start_time": text}, ("start_time",), BERLIN)


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd"])
def test_a_zone_that_is_none_is_told(zone: str) -> None:
    with pytest.raises(FormValidationError) as told:
        in_zone({"start_time": "2026-11-20T19:30"}, ("start_time",), zone)
    assert list(told.value.errors) == ["time_zone"]
