"""What a ticket says to people: the values that documents and calendar entries are made of."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from server.domain.currencies import decimal_places


@dataclass(frozen=True, slots=True)
class Admission:
    """One ticket with everything that is printed on it.

    Attributes:
        ticket: its resource name.
        booking: the resource name of its booking.
        code: what the door scans; whoever has it gets in.
        event: the event's title.
        venue: the venue's name.
        address: the venue's address; may be empty.
        hall: the hall in the venue; may be empty.
        start_time: aware.
        end_time: aware; None where it is not known.
        time_zone: IANA name of the zone in which the performance's times are told.
        section: of the place.
        row: empty for general admission.
        seat: the number in the row; empty for general admission.
        area: of general admission; empty for numbered seats.
        ticket_type: what the price bought.
        price: in minor units of ``currency``.
        currency: ISO 4217.
        create_time: when it was sold.
    """

    ticket: str
    booking: str
    code: str
    event: str
    venue: str
    address: str
    hall: str
    start_time: datetime
    end_time: datetime | None
    time_zone: str
    section: str
    row: str
    seat: str
    area: str
    ticket_type: str
    price: int
    currency: str
    create_time: datetime

    @property
    def local_start(self) -> datetime:
        """When it begins, on a clock at the venue."""
        return self.start_time.astimezone(ZoneInfo(self.time_zone))

    @property
    def place(self) -> str:
        """Where to sit or stand, in one line."""
        if self.area:
            return self.area if self.area == self.section else f"{self.section}, {self.area}"
        return f"{self.section}, row {self.row}, seat {self.seat}"

    @property
    def amount(self) -> str:
        """The price as people write it; nothing was asked for a ticket that was given."""
        places = decimal_places(self.currency)
        return f"{self.price / 10**places:,.{places}f} {self.currency}"


def short_name(name: str) -> str:
    """The last part of a resource name: what people compare on paper."""
    return name.rpartition("/")[2]
