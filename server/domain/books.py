"""The books in double entry: every movement of money is one row whose legs sum to zero, written with its cause.

===================  ==========================  ======================================================================
kind                 from → to                   when
===================  ==========================  ======================================================================
PAYMENT              sales → provider            a payment bought a booking (the ledger's statement)
PAYMENT              suspense → provider         money came in vain
REFUND_ASKED         refunds due → sales         a refund of what had bought something was asked for
REFUND_ASKED         refunds due → suspense      all of what came in vain was asked back, in the same transaction
REFUND_DONE          provider → refunds due      the provider gave it back
REFUND_TAKEN_BACK    refunds due → provider      it took back what it had given: a card was closed; it is owed again
BOX_OFFICE_SALE      sales → cash, or comps      sold at the box office (the ledger's statement)
BOX_OFFICE_RETURN    cash, or comps → sales      given back over the counter; by anybody else: cash due → sales
CASH_FETCHED         cash → cash due             the customer fetched it
REFUND_SETTLED       cash, bank … → refunds due  the house paid back in another way what a provider refused
REFUND_DONE (1)      provider → refunded twice   a provider gave back after all what was settled before
REFUND_SETTLED (1)   refunded twice → bank …     what was paid too much came back, or was given up
REFUND_TAKEN_BACK    refunded twice → provider   the provider took back what it had given too much
===================  ==========================  ======================================================================

The arrow shows where the amount leaves (its leg is negative) and where it arrives. Kept here: one entry for one cause
(the key of the table), an entry in the transaction of its cause, and no entry without one (``server.audit.books``).
A refund that was taken back n times is done under the number 2n, and twice under 2n + 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from server import resources
from server.db.clock import database_now
from server.db.models.books import BookEntry
from server.db.models.payments import Payment, Refund
from server.domain.bookings import lock_booking
from server.domain.shifts import count_cash_refund
from server.errors import FailedPrecondition, NotFound
from server.states import Account, EntryKind, Provider, RefundMethod

_BALANCES = text(
    "SELECT account, currency, sum(amount)::bigint AS balance FROM book_legs"
    " WHERE CAST(:performance_id AS bigint) IS NULL OR performance_id = :performance_id"
    " GROUP BY account, currency ORDER BY account, currency"
)
_CASH_DUE = text(
    "SELECT coalesce(-sum(amount), 0)::bigint FROM book_legs"
    " WHERE performance_id = :performance_id AND kind IN (5, 6) AND source_id = :booking_id AND account = 32"
)

_PAID_FROM = {
    RefundMethod.CASH: Account.CASH,
    RefundMethod.BANK_TRANSFER: Account.BANK,
    RefundMethod.OTHER: Account.OTHER_MEANS,
}


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds, in minor units."""

    account: Account
    currency: str
    amount: int


def provider_account(provider: Provider) -> Account:
    """The account of what a provider holds for us."""
    return Account(10 + provider)


def enter_vain_payment(session: Session, payment: Payment) -> None:
    """A payment was taken and bought nothing."""
    if payment.amount:
        debit = provider_account(payment.provider)
        _enter(session, EntryKind.PAYMENT, payment, payment.amount, debit=debit, credit=Account.SUSPENSE)


def enter_refund_asked(session: Session, refund: Refund, *, out_of: Account) -> None:
    """A refund is owed; ``out_of`` is where the payment had gone: SALES or SUSPENSE."""
    _enter(
        session,
        EntryKind.REFUND_ASKED,
        refund,
        refund.amount,
        debit=out_of,
        credit=Account.REFUNDS_DUE,
        actor_id=refund.actor_id,
    )


def enter_refund_done(session: Session, refund: Refund, *, twice: bool = False) -> None:
    """A provider gave the money back; ``twice``: that had been done before, by the house or by the provider."""
    debit, credit = (Account.REFUNDED_TWICE if twice else Account.REFUNDS_DUE), provider_account(refund.provider)
    number = 2 * len(refund.taken_back) + twice
    _enter(session, EntryKind.REFUND_DONE, refund, refund.amount, debit=debit, credit=credit, number=number)


def enter_refund_taken_back(session: Session, refund: Refund, *, twice: bool) -> None:
    """A provider took back what it had given; ``twice``: the customer has it still, from the house."""
    debit, credit = provider_account(refund.provider), (Account.REFUNDED_TWICE if twice else Account.REFUNDS_DUE)
    number = len(refund.taken_back)
    _enter(session, EntryKind.REFUND_TAKEN_BACK, refund, refund.amount, debit=debit, credit=credit, number=number)


def enter_refund_settled(session: Session, refund: Refund, method: RefundMethod, actor_id: UUID) -> None:
    """The house paid back in another way what is owed for a refund."""
    debit, credit = Account.REFUNDS_DUE, _PAID_FROM[method]
    _enter(session, EntryKind.REFUND_SETTLED, refund, refund.amount, debit=debit, credit=credit, actor_id=actor_id)


def enter_surplus_settled(session: Session, refund: Refund, method: RefundMethod, actor_id: UUID) -> None:
    """What a customer had twice came back, or was given up."""
    debit, credit = _PAID_FROM[method], Account.REFUNDED_TWICE
    _enter(
        session,
        EntryKind.REFUND_SETTLED,
        refund,
        refund.amount,
        debit=debit,
        credit=credit,
        actor_id=actor_id,
        number=1,
    )


def bought_something(session: Session, payment: Payment) -> bool:
    """Whether the payment's money went to the sales when it came."""
    entry = session.get(BookEntry, (payment.performance_id, EntryKind.PAYMENT, payment.id, 0))
    return entry is not None and Account.SALES in entry.accounts


def pay_cash_out(session: Session, performance_id: int, booking_id: UUID, actor_id: UUID) -> Balance:
    """Note that a customer has fetched, at the box office, the cash that was owed for a booking.

    Returns:
        How much it was.

    Raises:
        NotFound: there is no such booking.
        FailedPrecondition: NO_CASH_DUE, nothing is owed for it in cash (any more).
    """
    booking = lock_booking(session, performance_id, booking_id)
    if booking is None:
        raise NotFound.of(resources.booking(performance_id, booking_id))
    owed = cash_due(session, performance_id, booking_id)
    if owed <= 0:
        raise FailedPrecondition("NO_CASH_DUE", "nothing is owed for this booking in cash")
    count_cash_refund(session, actor_id, performance_id, booking_id, amount=owed, currency=booking.currency)
    session.add(
        BookEntry(
            performance_id=performance_id,
            kind=EntryKind.CASH_FETCHED,
            source_id=booking_id,
            number=booking.version,
            booking_id=booking_id,
            accounts=[Account.CASH_DUE, Account.CASH],
            amounts=[owed, -owed],
            currency=booking.currency,
            actor_id=actor_id,
            time=database_now(session),
        )
    )
    return Balance(Account.CASH_DUE, booking.currency, owed)


def cash_due(session: Session, performance_id: int, booking_id: UUID) -> int:
    """What a customer may fetch in cash for a booking, in minor units."""
    values = {"performance_id": performance_id, "booking_id": booking_id}
    return int(session.execute(_CASH_DUE, values).scalar_one())


def balances(session: Session, performance_id: int | None = None) -> Sequence[Balance]:
    """What every account holds, of one performance or of all; in sum nothing, for each currency."""
    rows = session.execute(_BALANCES, {"performance_id": performance_id})
    return [Balance(Account(account), currency, balance) for account, currency, balance in rows]


def _enter(
    session: Session,
    kind: EntryKind,
    source: Payment | Refund,
    amount: int,
    *,
    debit: Account,
    credit: Account,
    actor_id: UUID | None = None,
    number: int = 0,
) -> None:
    session.add(
        BookEntry(
            performance_id=source.performance_id,
            kind=kind,
            source_id=source.id,
            number=number,
            booking_id=source.booking_id,
            accounts=[debit, credit],
            amounts=[amount, -amount],
            currency=source.currency,
            actor_id=actor_id,
        )
    )
