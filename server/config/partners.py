"""What partners are told and sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, FilePath

from server.config.area import Area, seconds, setting
from server.config.values import PositiveDuration, read_duration


class PartnerSettings(Area):
    """What partners are told and sent."""

    heading = "Partners"

    change_retention: Annotated[timedelta, BeforeValidator(read_duration), Field(ge=timedelta(days=4))] = setting(
        timedelta(days=14),
        "How long changes of bookings, payments, tickets and performances can be read by partners and delivered again. "
        "At least 4 days: a delivery is tried for three.",
    )
    delivery_retention: PositiveDuration = setting(
        timedelta(days=14), "How long attempts to deliver to partners' webhook endpoints can be looked at."
    )
    delivery_timeout: Annotated[
        timedelta, BeforeValidator(read_duration), Field(gt=timedelta(0), le=timedelta(seconds=30))
    ] = setting(seconds(10), "Longest time for one message to a webhook endpoint. At most 30s.")
    delivery_private_networks: bool = setting(
        False,
        "Whether webhook endpoints may be in private networks, and without TLS: for tests, and where all partners are "
        "of the house. Whoever may make one can then have Rowlock call whatever it can reach.",
    )
    delivery_ca_file: FilePath | None = setting(
        None,
        "PEM authorities that the certificates of webhook endpoints are checked by. Unset: those of the system.",
    )
    delivery_sweep_interval: PositiveDuration = setting(
        seconds(0.5), "How often new changes are looked for, to be read and delivered."
    )
