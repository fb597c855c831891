"""A desk that is paid by Stripe, for each test; one stripe-mock for all of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from server.db.engine import Database
from tests.invariants import assert_sound
from tests.stripe_desk import StripeDesk, stripe_desk_on
from tests.stripe_mock import stripe_mock


@pytest.fixture(scope="session")
def mock() -> Iterator[str]:
    """The address of a stripe-mock."""
    with stripe_mock() as address:
        yield address


@pytest.fixture
async def stripe_desk(database: Database, mock: str) -> AsyncIterator[StripeDesk]:
    """A desk with a Stripe of its own, which nothing is left to ask when the test has ended."""
    async with stripe_desk_on(database, mock) as desk:
        yield desk
        try:
            assert_sound(database)
        finally:
            desk.forget()
