"""Our books beside those of PayPal, which is asked about each payment, and of Stripe, which gives statements."""

from server.db.engine import Database
from server.db.models.payments import Payment
from server.payments.book_comparison import Comparison, compare
from server.payments.port import PaymentProvider
from server.states import Provider
from tests.fake_paypal import fake_paypal
from tests.paying import Desk, ProviderDesk
from tests.paypal_desk import paypal_desk_on
from tests.staging import Staged, stage
from tests.stripe_desk import StripeDesk


async def some_business(desk: ProviderDesk, house: Staged) -> Payment:
    """A payment that was kept, one of which a part went back, and one that was never approved."""
    kept, partly = [await desk.bought(house, place) for place in (0, 1)]
    desk.ask_back(partly, 1000)
    await desk.settle()
    await desk.pay(await desk.hold(house, 2))
    return kept


def edit_our_books(desk: Desk, payment: Payment) -> None:
    """As if we believed that less had been paid: by somebody who may switch the triggers off."""
    desk.one("ALTER TABLE book_entries DISABLE TRIGGER ALL")
    desk.one("UPDATE book_entries SET amounts = '{2400,-2400}' WHERE source_id = :id AND kind = 1", id=payment.id)


async def compared(desk: Desk, provider: Provider, connected: PaymentProvider) -> Comparison:
    return await compare(desk.database, {provider: connected})


async def test_paypal(fresh_database: Database) -> None:
    house = fresh_database.run_transaction(stage)
    with fake_paypal() as paypal:
        async with paypal_desk_on(fresh_database, paypal) as desk:
            kept = await some_business(desk, house)
            found = await compared(desk, Provider.PAYPAL, desk.provider)
            assert (found.differences, found.compared, found.under_way) == ([], 2, 1)

            edit_our_books(desk, kept)
            (difference,) = (await compared(desk, Provider.PAYPAL, desk.provider)).differences
            said = (difference.ours, difference.theirs)
            assert said == ("2400 EUR taken, 0 given back", "2500 EUR taken, 0 given back")


async def test_stripe(database: Database, stripe_desk: StripeDesk) -> None:
    desk = stripe_desk
    kept = await some_business(desk, database.run_transaction(stage))
    found = await compared(desk, Provider.STRIPE, desk.provider)
    assert (found.differences, found.compared) == ([], 3)  # two payments and a refund

    desk.stripe.give_back(str(kept.provider_reference), 700)  # by hand, in Stripe's own pages
    (difference,) = (await compared(desk, Provider.STRIPE, desk.provider)).differences
    assert (difference.ours, difference.theirs) == ("nothing", "a refund of 700 EUR")
