"""Write `docs/promises.md` from the `promise` markers of the tests.

python scripts/promises.py          write it
python scripts/promises.py --check  write nothing; fail if it differs from what would be written
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/promises.md"

_INTRODUCTION = """\
# Promises

<!-- Written by scripts/promises.py from the `promise` markers of the tests: change those, then `make gen`. -->

What Rowlock promises, by which calls it keeps it, and the tests that hold it to that. The ids group the promises by
what they grew from: 0 the plainest shop, 1 live halls, 2 the line before a sale, 3 bookings, 4 services.
Run the tests of one promise by the names in its row: `make test ARGS="-k name_of_the_test"`.

| id | promise | by | shown by |
|---|---|---|---|
"""

PROMISES: Final[dict[str, tuple[str, str]]] = {
    "0.1": ("One command starts everything, and a template has every setting.", "`rowlock up`, `docker-compose.yml`"),
    "0.2": (
        "Staff have a back office in the browser. A command makes the first administrator, who gives roles.",
        "`rowlock console`, `create-admin`, SetUserRole",
    ),
    "0.3": ("Anybody lists and reads what is on, without an account.", "ListEvents, GetEvent, ListPerformances"),
    "0.4": ("Only staff write the catalogue.", "every write of EventService"),
    "0.5": ("Anybody opens an account with a name, an e-mail address and a password.", "SignUp"),
    "0.6": ("Logging out takes the refresh token and makes it useless.", "LogOut"),
    "0.7": ("Whoever is signed in as a buyer books; nobody else does.", "CreateBooking"),
    "0.8": ("Customers cancel their own bookings, staff any; the places are free at once.", "CancelBooking"),
    "0.9": ("A simulated provider takes payments, and succeeds or fails by chance or as told.", "SimulatePayment"),
    "0.10": (
        "Only a held booking is paid; success confirms it, failure leaves it held for another try.",
        "CreatePayment, CapturePayment",
    ),
    "0.11": (
        "Paid, failed, not found and provider unreachable are four different answers.",
        "SimulatePayment, CapturePayment, GetPayment",
    ),
    "0.12": (
        "A hold that nobody pays for ends after 15 minutes and frees its places.",
        "CreateBooking, the expiry sweep",
    ),
    "0.13": (
        "A customer has at most N places of a performance over all bookings, and is told when there are not enough.",
        "CreateBooking, AddSeats",
    ),
    "1.1": ("Events are listed by category and read one by one.", "ListEvents, GetEvent"),
    "1.2": (
        "The seats of one performance are listed; performances are found by date and venue.",
        "ListSeats, ListPerformances",
    ),
    "1.3": ("One live stream for each performance, for holders of a token.", "WatchSeats"),
    "1.4": (
        "Seats are selected and unselected; all who watch that performance see it, and nobody else does.",
        "AddSeats, RemoveSeats, WatchSeats",
    ),
    "1.5": (
        "Exactly four places for each customer unless staff say otherwise, over any number of connections.",
        "CreateBooking, AddSeats",
    ),
    "1.6": ("Two customers never have one seat: a transaction and a row lock decide.", "CreateBooking, AddSeats"),
    "1.7": (
        "PayPal: approval, capture, cancellation and refund.",
        "CreatePayment, CapturePayment, CancelPayment, RefundPayment",
    ),
    "1.8": ("Payments need a signed-in owner; to others they do not exist.", "every call of PaymentService"),
    "1.9": (
        "Workers carry purchases and refunds through; a refunded seat is free again.",
        "CancelBooking, RefundTickets, RefundPayment, RetryRefund, SettleRefund, CancelPerformance, the workers",
    ),
    "1.10": (
        "No refund for customers later than 3 hours before the start; staff may, and say why.",
        "CancelBooking, RefundTickets",
    ),
    "1.11": ("PayPal's sandbox or the real one, by a setting.", "settings"),
    "2.1": ("An e-mail address and a password give a token.", "SignUp, LogIn"),
    "2.2": (
        "Addresses are verified and passwords reset by codes that are mailed; a reset ends every session.",
        "VerifyEmail, ResendVerification, RequestPasswordReset, ConfirmPasswordReset",
    ),
    "2.3": ("Events, categories, ticket types and bookings are made and listed.", "EventService, BookingService"),
    "2.4": ("A booking is one atomic transaction under locks.", "CreateBooking"),
    "2.5": ("Who wants to book joins the line, once.", "JoinQueue"),
    "2.6": ("So many are admitted every so often, in order; the others stay.", "WatchQueueEntry"),
    "2.7": ("Who is admitted gets a token of their own, for a while.", "GetQueueEntry"),
    "2.8": (
        "A line can be on or off for each performance; everybody knows their place.",
        "UpdateWaitingRoom, GetQueueEntry",
    ),
    "2.9": (
        "Anybody asks the house, which answers by mail; contact data and links are there for everybody.",
        "SubmitInquiry, AnswerInquiry, GetContactInfo, ListSocialLinks",
    ),
    "2.10": (
        "A signed code for each ticket, printed as a QR symbol, for its owner only; the door lets in once with it.",
        "ListTickets, GetTicket, GetTicketDocument, CheckInTicket",
    ),
    "3.1": (
        "Performances come by their date, with their ticket types and prices.",
        "ListEvents, ListTicketTypes, GetTicketType",
    ),
    "3.2": (
        "Customers make, read, list and cancel their own bookings, and see when each was made.",
        "CreateBooking, GetBooking, ListBookings, CancelBooking",
    ),
    "3.3": (
        "A hold lasts 15 minutes unless staff say otherwise; paying later is an error.",
        "CreateBooking, CreatePayment",
    ),
    "3.4": (
        "Availability is read without counting seats, and right from the moment a booking is made or ends.",
        "GetAvailability",
    ),
    "3.5": (
        "While a payment is in flight its hold does not run out; success keeps it, failure lets its clock decide.",
        "CapturePayment, the workers",
    ),
    "3.6": (
        "The provider is spoken to apart from the call; what came of it is kept, with the reason of a failure.",
        "CapturePayment, GetPayment",
    ),
    "3.7": ("A list takes as many statements for many rows as for few.", "every List call"),
    "3.8": (
        "What was held, sold, taken and given back by event, performance, ticket type and day; the best events; CSV.",
        "GetSalesReport, ExportSalesReport, ListTopEvents",
    ),
    "3.9": ("Payments are tested with the real worker and the real database.", "PaymentService"),
    "4.1": (
        "Accounts are opened, read and changed, with roles; addresses are unique, passwords hashed.",
        "SignUp, LogIn, GetUser, UpdateUser, SetUserRole",
    ),
    "4.2": (
        "Bookings are made, read, changed and cancelled; availability is one call.",
        "BookingService, GetAvailability",
    ),
    "4.3": (
        "Notifications are kept with what they tell, sent by mail once and never lost, and read in an inbox.",
        "SendNotification, ListNotifications, MarkRead, RetryNotifications, `rowlock mail`",
    ),
    "4.4": (
        "Events are made, read, changed and deleted; listed by date, only those with places left if asked.",
        "EventService",
    ),
    "4.5": ("A booking is held, confirmed, cancelled or expired; its customer is who calls.", "CreateBooking"),
    "4.6": (
        "Only held bookings are paid; success confirms; payments keep amount and state.",
        "CreatePayment, GetPayment",
    ),
    "4.7": ("Bearer tokens that any other service can verify.", "LogIn, GetJwks"),
    "4.8": (
        "A performance tells name, description, start, place, places in all and left, and prices.",
        "GetPerformance, GetEvent",
    ),
    "4.9": (
        "Every setting is an environment variable; images and tests are one command each.",
        "settings, `make test`",
    ),
}
"""Each promise in a sentence, and the calls that keep it."""


def shown() -> dict[str, list[str]]:
    """The tests of each promise by its id: paths with names, in order of path and line."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for ids, name in _marked(ast.parse(path.read_text())):
            for promise in ids:
                found.setdefault(promise, []).append(f"{path.relative_to(ROOT)}::{name}")
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[list[str], str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.promise":
                    yield [ast.literal_eval(argument) for argument in decorator.args], node.name


def document() -> str:
    """The text of `docs/promises.md`.

    Raises:
        ValueError: a test names a promise that nobody made.
    """
    tests = shown()
    if unknown := tests.keys() - PROMISES.keys():
        raise ValueError(f"tests name promises that scripts/promises.py does not have: {sorted(unknown)}")
    rows = [_row(name, tests[name]) for name in PROMISES if name in tests]
    later = [name for name in PROMISES if name not in tests]
    end = f"\nPromised for later releases, and not served yet: {', '.join(later)}.\n" if later else ""
    return _INTRODUCTION + "".join(rows) + end


def _row(name: str, tests: list[str]) -> str:
    text, calls = PROMISES[name]
    links = "<br>".join(_link(test) for test in dict.fromkeys(tests))
    return f"| {name} | {text} | {calls} | {links} |\n"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name}](../{path})"


def main() -> int:
    """Do what the arguments ask; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = document()
    if not parser.parse_args().check:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    print("Not fresh: docs/promises.md. Run `make gen`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
