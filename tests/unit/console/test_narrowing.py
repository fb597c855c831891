"""What a browser sends in the fields above a list."""

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.narrowing import Choice, Moment, Named, Words, read_narrowed


async def nothing(_: Request) -> list[tuple[str, str]]:
    return []


FIELDS = (
    Named("performance", "Performance", "performances", nothing),
    Words("text", "Text"),
    Choice("state", "State", [("HELD", "Held")]),
    Moment("from", "From"),
)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("", ""), (" 7 ", "performances/7"), ("performances/7", "performances/7"), ("x", "performances/x")],
)
def test_a_resource_is_named_by_its_number_or_its_name(sent: str, meant: str) -> None:
    assert read_narrowed(FIELDS, {"performance": sent})["performance"] == meant


@pytest.mark.parametrize("sent", [{"state": "NONSENSE"}, {"from": "soon"}])
def test_what_no_field_could_have_sent_is_refused(sent: dict[str, str]) -> None:
    with pytest.raises(HTTPException):
        read_narrowed(FIELDS, sent)
