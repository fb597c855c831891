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
    ``payment_id`` is the payment in flight while HELD, and the one that paid once CONFIRMED. ``replaced_by`` and
    ``replaces`` tie a booking that has run out to the one that its money bought after all: that one's payment was made
    for the booking that it replaces.
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
    replaces: UUID | None = None
    replaced_by: UUID | None = None

    @property
    def total(self) -> int:
        """What the customer pays, in minor units."""
        return sum(self.prices)

    def has_run_out(self, now: datetime) -> bool:
        """Whether the hold is over at ``now``. A payment in flight keeps it alive."""
        return self.state is BookingState.HELD and self.payment_id is None and self.hold_expire_time <= now

    def to_json(self) -> str:
        """The booking as JSON for the command log, without what the log's row has in its columns and what is usual.

        Put together by hand: every command writes one.
        """
        return (
            f'{{"customer_id":"{self.customer_id.hex}","state":{self.state:d},"places":{_list(self.places)},'
            f'"ticket_type_ids":{_list(self.ticket_type_ids)},"prices":{_list(self.prices)},'
            f'"currency":{json.dumps(self.currency)},"hold_start_time":{quoted(self.hold_start_time)},'
            f'"hold_expire_time":{quoted(self.hold_expire_time)}{self._unusual_json()}}}'
        )

    def _unusual_json(self) -> str:
        """What is not so with a fresh hold."""
        if self.version == 1 and not self.note and self.replaces is None:
            return ""
        more = f',"version":{self.version},"update_time":{quoted(self.update_time)}'
        if self.create_time != self.hold_start_time:
            more += f',"create_time":{quoted(self.create_time)}'
        if self.payment_id is not None:
            more += f',"payment_id":"{self.payment_id}"'
        if self.confirmed_by is not None:
            more += f',"confirmed_by":{self.confirmed_by:d}'
        if self.confirm_time is not None:
            more += f',"confirm_time":{quoted(self.confirm_time)}'
        if self.end_time is not None:
            more += f',"end_time":{quoted(self.end_time)}'
        if self.replaces is not None:
            more += f',"replaces":"{self.replaces}"'
        if self.replaced_by is not None:
            more += f',"replaced_by":"{self.replaced_by}"'
        if self.note:
            more += f',"note":{json.dumps(self.note)}'
        return more

    @classmethod
    def from_json(cls, performance_id: int, booking_id: UUID, row: dict[str, Any]) -> Self:
        """Read what ``to_json`` or PostgreSQL's ``to_json(bookings)`` wrote."""
        start = datetime.fromisoformat(row["hold_start_time"])
        payment, method = row.get("payment_id"), row.get("confirmed_by")
        return cls(
            performance_id=performance_id,
            id=booking_id,
            customer_id=UUID(row["customer_id"]),
            state=BookingState(row["state"]),
            places=tuple(row["places"]),
            ticket_type_ids=tuple(row["ticket_type_ids"]),
            prices=tuple(row["prices"]),
            currency=row["currency"],
            hold_start_time=start,
            hold_expire_time=datetime.fromisoformat(row["hold_expire_time"]),
            create_time=_time(row.get("create_time")) or start,
            update_time=_time(row.get("update_time")) or start,
            payment_id=UUID(payment) if payment else None,
            confirmed_by=ConfirmedBy(method) if method else None,
            confirm_time=_time(row.get("confirm_time")),
            end_time=_time(row.get("end_time")),
            note=row.get("note", ""),
            version=row.get("version", 1),
            replaces=_id(row.get("replaces")),
            replaced_by=_id(row.get("replaced_by")),
        )


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _list(numbers: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, numbers)) + "]"


@lru_cache(maxsize=1024)
def quoted(time: datetime | None) -> str:
    """A time in quotation marks, or null. A batch writes the same few times again and again."""
    return "null" if time is None else f'"{time}"'
