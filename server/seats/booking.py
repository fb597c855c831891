"""A booking as the ledger sees it: one immutable value for the row, the outcome and the stored answer."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from server.states import BookingState, ConfirmedBy


@dataclass(frozen=True, slots=True)
class Booking:
    """One customer's claim on places of one performance.

    ``places``, ``ticket_type_ids`` and ``prices`` run in parallel; prices are integer minor units of ``currency``.
    ``payment_id`` is the payment in flight while HELD, and the one that paid once CONFIRMED. ``checked_in`` says
    that somebody was let in with one of its tickets.
    """

    performance_id: int
    id: UUID
    customer_id: UUID
    state: BookingState
    places: tuple[int, ...]
    ticket_type_ids: tuple[int, ...]
    prices: tuple[int, ...]
    currency: str
    hold_start_time: datetime
    hold_expire_time: datetime
    create_time: datetime
    update_time: datetime
    payment_id: UUID | None = None
    confirmed_by: ConfirmedBy | None = None
    confirm_time: datetime | None = None
    end_time: datetime | None = None
    note: str = ""
    version: int = 1
    checked_in: bool = False

    @property
    def total(self) -> int:
        """What the customer pays, in minor units."""
        return sum(self.prices)

    def has_run_out(self, now: datetime) -> bool:
        """Whether the hold is over at ``now``. A payment in flight keeps it alive."""
        return self.state is BookingState.HELD and self.payment_id is None and self.hold_expire_time <= now

    def to_json(self) -> str:
        """The booking as compact JSON, for the command log. Put together by hand: every command writes one."""
        return (
            f'{{"performance_id":{self.performance_id},"id":"{self.id.hex}","customer_id":"{self.customer_id.hex}",'
            f'"state":{self.state:d},"places":{_list(self.places)},"ticket_type_ids":{_list(self.ticket_type_ids)},'
            f'"prices":{_list(self.prices)},"currency":{json.dumps(self.currency)},'
            f'"hold_start_time":{quoted(self.hold_start_time)},"hold_expire_time":{quoted(self.hold_expire_time)},'
            f'"create_time":{quoted(self.create_time)},"update_time":{quoted(self.update_time)},'
            f'"payment_id":{_quoted_id(self.payment_id)},"confirmed_by":{_number(self.confirmed_by)},'
            f'"confirm_time":{quoted(self.confirm_time)},"end_time":{quoted(self.end_time)},'
            f'"note":{json.dumps(self.note)},"version":{self.version}}}'
        )

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        """Read what ``to_json`` or PostgreSQL's ``to_json(bookings)`` wrote."""
        return cls(
            performance_id=row["performance_id"],
            id=UUID(row["id"]),
            customer_id=UUID(row["customer_id"]),
            state=BookingState(row["state"]),
            places=tuple(row["places"]),
            ticket_type_ids=tuple(row["ticket_type_ids"]),
            prices=tuple(row["prices"]),
            currency=row["currency"],
            hold_start_time=datetime.fromisoformat(row["hold_start_time"]),
            hold_expire_time=datetime.fromisoformat(row["hold_expire_time"]),
            create_time=datetime.fromisoformat(row["create_time"]),
            update_time=datetime.fromisoformat(row["update_time"]),
            payment_id=UUID(row["payment_id"]) if row["payment_id"] else None,
            confirmed_by=ConfirmedBy(row["confirmed_by"]) if row["confirmed_by"] else None,
            confirm_time=_time(row["confirm_time"]),
            end_time=_time(row["end_time"]),
            note=row["note"],
            version=row["version"],
            checked_in=row.get("checked_in", False),
        )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _list(numbers: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, numbers)) + "]"


@lru_cache(maxsize=1024)
def quoted(time: datetime | None) -> str:
    """A time in quotation marks, or null. A batch writes the same few times again and again."""
    return "null" if time is None else f'"{time}"'


def _quoted_id(value: UUID | None) -> str:
    return "null" if value is None else f'"{value}"'


def _number(value: int | None) -> str:
    return "null" if value is None else f"{value:d}"
