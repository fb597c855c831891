"""The payment providers that an installation is set up for."""

from collections.abc import Mapping

from server.config import Settings
from server.db.engine import Database
from server.payments.port import PaymentProvider
from server.payments.simulator import Simulator
from server.states import Provider


def offered(settings: Settings) -> frozenset[Provider]:
    """Those that a new payment may be made with."""
    return frozenset({Provider.SIMULATOR} if settings.simulator_enabled else ())


def connect_providers(settings: Settings, database: Database) -> Mapping[Provider, PaymentProvider]:
    """What speaks to each; nothing is connected before it is needed.

    The simulator is there even where it is not offered: a payment made with it earlier is still carried on.
    """
    return {
        Provider.SIMULATOR: Simulator(
            database, success_rate=settings.simulator_success_rate, delay=settings.simulator_delay
        )
    }
