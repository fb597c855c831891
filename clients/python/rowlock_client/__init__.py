"""The Python client of Rowlock: `Client` books, `rowlock_client.aio.Client` also watches.

::

    from rowlock_client import Client

    with Client("127.0.0.1:50051") as rowlock:
        rowlock.log_in("ada@example.org", "correct horse battery staple")
        booking = rowlock.hold("performances/1", best=2)
        payment = rowlock.simulate(rowlock.pay(booking.name).name)
        rowlock.wait_for_payment(payment.name)
        for ticket in rowlock.tickets(booking.name).tickets:
            print(ticket.seat, ticket.code)

Answers are the protobuf messages of `rowlock.v1`.
"""

from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET, Tls
from rowlock_client.errors import RowlockError
from rowlock_client.retrying import RetryPolicy
from rowlock_client.rpc import Rpc
from rowlock_client.seat_view import Counts, SeatChange, SeatMapView, SeatUpdate
from rowlock_client.tokens import MemoryStore, Tokens, TokenStore
from rowlock_client.version import __version__

__all__ = [
    "DEFAULT_TARGET",
    "Client",
    "Counts",
    "MemoryStore",
    "RetryPolicy",
    "RowlockError",
    "Rpc",
    "SeatChange",
    "SeatMapView",
    "SeatUpdate",
    "Tls",
    "TokenStore",
    "Tokens",
    "__version__",
]
