"""Bookings for tests of the console, made and paid by a customer through the API; and what two people send at once."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, Route, expect

from rowlock.v1.booking_pb2 import Booking
from rowlock.v1.payment_pb2 import Payment
from rowlock_client import Client
from server.payments.simulator import REFUND, script
from server.resources import parse_payment
from server.states import SimulatedOutcome
from tests.console.conftest import BackOffice

ACTIONS = "**/row-action?*"
"""Where the dialogs of a page send their forms."""


@dataclass
class Sold:
    """What somebody bought.

    Args:
        email: of the customer.
        customer: the API as the customer.
        booking: as it was confirmed.
        payment: as it succeeded.
    """

    email: str
    customer: Client
    booking: Booking
    payment: Payment


def sold(office: BackOffice, places: int = 2, **performance: Any) -> Sold:
    """A performance, and somebody who has bought so many places of it."""
    house = office.house(**performance)
    email = office.account(name="Ada")
    customer = office.client(email)
    booking = customer.hold(f"performances/{house.performance_id}", best=places)
    payment = customer.wait_for_payment(customer.simulate(customer.pay(booking.name).name).name)
    return Sold(email, customer, customer.booking(booking.name), payment)


def refunds_will(office: BackOffice, payment: Payment, outcome: SimulatedOutcome) -> None:
    """Tell the simulator how refunds of a payment end."""
    payment_id = parse_payment(payment.name)[2]
    office.database.run_transaction(lambda session: script(session, payment_id, REFUND, outcome))


def send_together(*pages: Page, count: int = 2) -> list[int]:
    """From now on hold back what dialogs of these pages send until there are so many, and then let all of it go.

    Returns:
        The statuses of the answers, once there are any. The pages get the answers when the last one is there.
    """
    held: list[Route] = []
    statuses: list[int] = []

    def hold(route: Route) -> None:
        held.append(route)
        if len(held) < count:
            return
        answers = [one.fetch() for one in held]
        statuses.extend(answer.status for answer in answers)
        for one, answer in zip(held, answers, strict=True):
            one.fulfill(response=answer)

    for page in pages:
        page.route(ACTIONS, hold)
    return statuses


def told(page: Page) -> Any:
    """What the page says about what was done last: done, or refused."""
    return expect(page.locator(".alert").first)
