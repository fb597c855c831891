"""What customers may claim, and how long: rules that a performance may say otherwise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import model_validator

from server.config.area import PREFIX, Area, minutes, setting
from server.config.values import Duration, PositiveDuration


class BookingSettings(Area):
    """Holds, limits, doors and refunds."""

    heading = "Booking"

    hold_duration: PositiveDuration = setting(
        minutes(15),
        "How long a booking is held for its customer, unless its performance says otherwise.",
    )
    max_hold_time: PositiveDuration = setting(minutes(30), "Longest hold of one booking, extensions included.")
    doors_open: PositiveDuration = setting(
        minutes(180), "How long before a performance begins its tickets are let in at the doors."
    )
    doors_close: PositiveDuration = setting(
        minutes(720),
        "How long after its begin the doors of a performance close, where it is not known when it ends.",
    )
    ticket_font_file: Path | None = setting(
        None,
        "TrueType font of printed tickets, for scripts other than Latin, Greek and Cyrillic, which the usual one has.",
    )
    customer_limit: int = setting(
        4,
        "Places one customer may hold or own of a performance, unless it says otherwise.",
        ge=1,
        le=1000,
    )
    refund_deadline: Duration = setting(
        timedelta(hours=3),
        "No refund later than this before the start, unless a performance says so.",
    )
    require_verified_email: bool = setting(
        False,
        "Whether a customer must have verified the e-mail address before holding seats.",
    )
    request_result_retention: PositiveDuration = setting(
        timedelta(hours=24), "How long a repeated `request_id` gets the first answer again."
    )

    @model_validator(mode="after")
    def _a_hold_fits(self) -> Self:
        if self.max_hold_time < self.hold_duration:
            raise ValueError(
                f"{PREFIX}MAX_HOLD_TIME ({self.max_hold_time}) must not be shorter than "
                f"{PREFIX}HOLD_DURATION ({self.hold_duration})"
            )
        return self
