"""What a form says, as messages and masks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from google.type.money_pb2 import Money
from starlette.exceptions import HTTPException
from starlette_admin.exceptions import FormValidationError

from console.messages import changed, fill
from console.narrowing import Choice, Moment, moment, read_narrowed, words_of
from console.records import Record, amount
from rowlock.v1 import auth_pb2, contact_pb2, waiting_room_pb2

FIRST_COME = waiting_room_pb2.WaitingRoom.FIRST_COME
ROOM = waiting_room_pb2.WaitingRoom(
    name="performances/1/waitingRoom", etag="e1", admit_count=10, shopping_limit=5, order=FIRST_COME
)


def test_only_what_differs_is_sent() -> None:
    room, paths = changed(ROOM, {"enabled": True, "admit_count": 10, "shopping_limit": 5, "order": "DRAW"})
    assert paths == ["enabled", "order"]
    assert room == waiting_room_pb2.WaitingRoom(
        name=ROOM.name, etag="e1", enabled=True, order=waiting_room_pb2.WaitingRoom.DRAW
    )


def test_what_is_emptied_is_named_and_unset() -> None:
    room, paths = changed(ROOM, {"shopping_limit": None, "admit_count": None})
    assert paths == ["admit_count", "shopping_limit"]
    assert not room.HasField("shopping_limit")


def test_nothing_changed_is_nothing_sent() -> None:
    assert changed(ROOM, {"admit_count": 10, "open_time": None})[1] == []


@pytest.mark.parametrize("data", [{"admit_count": 2**31}, {"order": "NONSENSE"}])
def test_what_there_is_no_room_for_is_told_at_its_field(data: dict[str, object]) -> None:
    with pytest.raises(FormValidationError) as told:
        fill(waiting_room_pb2.WaitingRoom(), data)
    assert list(told.value.errors) == list(data)


def test_times_and_lengths_become_messages() -> None:
    room, paths = changed(
        ROOM,
        {"open_time": datetime(2027, 1, 2, 3, 4), "admit_interval": timedelta(seconds=90)},  # noqa: DTZ001
    )
    assert paths == ["admit_interval", "open_time"]
    assert room.open_time.ToDatetime(UTC) == datetime(2027, 1, 2, 3, 4, tzinfo=UTC)
    assert room.admit_interval.seconds == 90


def test_lists_of_names_become_numbers() -> None:
    key = auth_pb2.ApiKey()
    fill(key, {"permissions": ["READ", "PAY"], "scopes": ["events/1"], "role": "ROLE_GATE", "unknown": "left out"})
    assert (list(key.permissions), list(key.scopes), key.role) == ([1, 3], ["events/1"], auth_pb2.ROLE_GATE)


def test_records_read_as_people_do() -> None:
    inquiry = contact_pb2.Inquiry(name="inquiries/1", message="Hello", state=contact_pb2.Inquiry.OPEN)
    record = Record(inquiry, sender="x")
    assert (record.message, record.state, record.create_time, record.sender) == ("Hello", "OPEN", None, "x")
    with pytest.raises(AttributeError):
        record.nothing_of_the_kind  # noqa: B018


@pytest.mark.parametrize(
    ("units", "nanos", "shown"),
    [
        (1234, 500_000_000, "1,234.50 EUR"),
        (-3, -250_000_000, "-3.25 EUR"),
        (1, 5_000_000, "1.005 EUR"),
        (0, 0, "0.00 EUR"),
    ],
)
def test_amounts_are_exact(units: int, nanos: int, shown: str) -> None:
    assert amount(Money(currency_code="EUR", units=units, nanos=nanos)) == shown
    assert Decimal(shown.removesuffix(" EUR").replace(",", "")) == Decimal(units) + Decimal(nanos) / 10**9
    assert amount(Money()) == ""


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "1,250 JPY"), ("KWD", "1,250.000 KWD")])
def test_amounts_have_the_decimals_of_their_currency(currency: str, shown: str) -> None:
    assert amount(Money(currency_code=currency, units=1250)) == shown


def test_what_no_field_could_have_sent_is_refused() -> None:
    states = Choice("state", "State", words_of(contact_pb2.Inquiry.State))
    assert read_narrowed([states], {"state": " OPEN ", "other": "x"}) == {"state": "OPEN"}
    with pytest.raises(HTTPException, match="none of the choices"):
        read_narrowed([states], {"state": "STATE_UNSPECIFIED"})
    with pytest.raises(HTTPException, match="no time"):
        read_narrowed([Moment("from", "From")], {"from": "tomorrow"})
    assert moment("") is None
