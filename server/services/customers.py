"""For whom a call books, or joins a line: the caller, or whom staff name; and whether that customer may."""

from enum import Enum
from uuid import UUID

from server import resources
from server.db.engine import Database
from server.domain import bookings
from server.errors import FailedPrecondition, PermissionDenied
from server.interceptors.authentication import Caller
from server.services.standing import STAFF
from server.states import Role


class Deed(Enum):
    """What is done for a customer: as it is said of others, and of oneself."""

    BOOK = ("book", "hold seats")
    JOIN = ("join", "join")


class Customers:
    """Finds them.

    Args:
        database: where accounts are.
        deed: what is done for them.
        require_verified_email: whether customers must have verified their address before.
    """

    def __init__(self, database: Database, deed: Deed, *, require_verified_email: bool) -> None:
        self._database = database
        self._for_others, self._for_oneself = deed.value
        self._require_verified_email = require_verified_email

    async def named(self, who: Caller, name: str) -> UUID:
        """The customer that a request names; empty: the caller.

        Raises:
            PermissionDenied: only staff do this for others.
            NotFound: there is no such account.
            FailedPrecondition: EMAIL_NOT_VERIFIED, and this installation asks for it.
        """
        customer_id = resources.parse_user(name, who.user_id, "customer") if name else who.user_id
        if customer_id == who.user_id:
            await self.require_verified(who)
            return customer_id
        if who.role not in STAFF:
            said = f"only staff may {self._for_others} for others"
            raise PermissionDenied("PERMISSION_DENIED", said, role=who.role.name)
        await self._database.read(lambda session: bookings.require_customer(session, customer_id))
        return customer_id

    async def require_verified(self, who: Caller) -> None:
        """Return if this installation does not ask customers for a verified address, or there is one.

        Raises:
            FailedPrecondition: EMAIL_NOT_VERIFIED.
        """
        if (
            self._require_verified_email
            and who.role is Role.CUSTOMER
            and not await self._database.read(lambda session: bookings.may_hold(session, who.user_id))
        ):
            said = f"verify your e-mail address before you {self._for_oneself}"
            raise FailedPrecondition("EMAIL_NOT_VERIFIED", said)
