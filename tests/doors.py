"""Doors in tests: tickets that were sold, a policy for their hours, and tokens of gates."""

from datetime import timedelta
from uuid import UUID, uuid4

from server.db.engine import Database
from server.db.models.inventory import Ticket
from server.domain.check_in_rules import DoorPolicy
from server.domain.signing_keys import Keys, shared_keys
from server.domain.tokens import Tokens
from server.seats.commands import Confirm
from server.states import ConfirmedBy, Role
from server.tickets.codes import ticket_code
from tests.paying import Desk
from tests.staging import Staged

POLICY = DoorPolicy(timedelta(hours=3), timedelta(hours=12))


async def sold(desk: Desk, house: Staged, *places: int) -> list[Ticket]:
    """Tickets of places that were given for nothing, all in one booking."""
    booking = await desk.hold(house, *places)
    await desk.ledger.execute(
        Confirm(
            performance_id=house.performance_id,
            booking_id=booking.id,
            actor_id=uuid4(),
            staff=True,
            confirmed_by=ConfirmedBy.COMP,
        )
    )
    return tickets_of(desk.database, booking.id)


def tickets_of(database: Database, booking_id: UUID) -> list[Ticket]:
    """The tickets of a booking as they are now, by place."""
    return database.run_transaction(
        lambda s: list(s.query(Ticket).filter_by(booking_id=booking_id).order_by(Ticket.place))
    )


class Gate:
    """Signs tokens and codes as the servers on a database do."""

    def __init__(self, database: Database) -> None:
        self.keys: Keys = database.run_transaction(shared_keys)
        tokens = Tokens(self.keys, issuer="https://rowlock.dev", audience="rowlock", ttl=timedelta(minutes=15))
        self.token = (("authorization", f"Bearer {tokens.issue(uuid4(), Role.GATE, session_id=uuid4()).text}"),)
        """The metadata of a gate."""

    def code(self, ticket: Ticket) -> str:
        """What stands on the ticket."""
        return ticket_code(self.keys, ticket.performance_id, ticket.id, ticket.nonce)
