"""What the parts of BookingService share: where things are, and which of them a caller may name."""

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc.aio

from server import resources
from server.db.engine import Database
from server.domain import bookings
from server.domain.signing_keys import Keys
from server.errors import NotFound
from server.interceptors.access import require_scope
from server.interceptors.authentication import Caller
from server.payments.wake import Waker
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.seats.rules import SaleRules
from server.services.email_limit import EmailLimit
from server.services.scan_queue import ScanQueue
from server.services.ticket_printing import TicketPrinting

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class BookingServiceParts:
    """Base of the parts.

    Args:
        database: where bookings and tickets are read.
        ledger: carries out what touches seats, and knows the rules and the hall of each performance.
        halls: the halls of this process.
        keys: gives the keys of the moment, which sign and verify codes and entry lists.
        printing: makes documents.
        scans: records scans.
        mail_limit: counts tickets that are mailed again, by e-mail address.
        waker: has workers look at once.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        halls: Halls,
        *,
        keys: Callable[[], Keys],
        printing: TicketPrinting,
        scans: ScanQueue,
        mail_limit: EmailLimit,
        waker: Waker,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._halls = halls
        self._keys = keys
        self._printing = printing
        self._scans = scans
        self._mail_limit = mail_limit
        self._waker = waker

    async def _rules(self, performance_id: int, *, fresh: bool = False) -> SaleRules:
        rules = await self._ledger.rules(performance_id, fresh=fresh)
        if rules is None:
            raise NotFound.of(resources.performance(performance_id))
        return rules

    async def _listed_performance(self, who: Caller, parent: str) -> int | None:
        """The performance that a list is narrowed to; None: all."""
        if parent == resources.ANY_PERFORMANCE:
            require_scope(who, (parent,))
            return None
        performance_id = resources.parse_performance(parent, "parent")
        await self._rules(performance_id)
        await self._require_scope(who, performance_id)
        return performance_id

    async def _require_scope(self, who: Caller, performance_id: int) -> None:
        if who.scopes:
            names = await self._database.read(lambda session: bookings.names_covering(session, performance_id))
            require_scope(who, names)
