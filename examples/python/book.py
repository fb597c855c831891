"""Books two seats, pays and shows the tickets: `python book.py [HOST:PORT]`.

Needs `pip install rowlock-client` and a server with something on sale and the payment simulator, such as `rowlock up`.
"""

import sys
import uuid

from rowlock_client import Client, RowlockError, calls


def main(server: str) -> None:
    with Client(server) as rowlock:
        email, password = f"ada-{uuid.uuid4().hex[:8]}@example.org", "correct horse battery staple"
        rowlock.call(calls.sign_up(email, password, "Ada"))
        rowlock.log_in(email, password)

        (performance, *_) = rowlock.call(calls.performances(only_available=True)).performances
        # The seats are ours for some minutes, at the server's price. Were the answer lost on the way, the client would
        # ask again in a way that books nothing twice.
        booking = rowlock.hold(performance.name, best=2)
        print("held", *(place.seat for place in booking.seats), "until", booking.hold_expire_time.ToJsonString())

        payment = rowlock.pay(booking.name)
        rowlock.simulate(payment.name)
        rowlock.wait_for_payment(payment.name)
        for ticket in rowlock.tickets(booking.name).tickets:
            print("ticket", ticket.seat, ticket.code)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
    except RowlockError as refusal:
        # `refusal.reason` is for programs: SEAT_TAKEN, CUSTOMER_LIMIT, …
        sys.exit(str(refusal))
