"""Databases that had moved money before there were books get an entry for each movement."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from server.audit import books as checks
from server.audit import faults
from server.db.engine import Database
from server.db.migrate import upgrade
from server.domain import books
from server.states import Account


@pytest.fixture
def before_the_books(postgres_url: str) -> Iterator[str]:
    """An empty database with the schema of the release before."""
    name = f"test_{uuid4().hex[:12]}"
    server = psycopg2.connect(make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False))
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url, "0002")
    yield url
    with server.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    server.close()


def test_what_moved_before_is_entered(before_the_books: str) -> None:
    database = Database(before_the_books, threads=1)
    database.run_transaction(some_business)
    upgrade(before_the_books)

    found = database.run_transaction(books.balances)

    assert {balance.account: balance.amount for balance in found if balance.amount} == {
        Account.SIMULATOR: 3000 + 2000,  # one sold and kept; one cancelled, and refused
        Account.SALES: -3000 - 400,
        Account.REFUNDS_DUE: -2000,
        Account.CASH: 400,
    }
    assert database.run_transaction(lambda s: faults(s, checks.ALWAYS)) == []
    database.close()


def some_business(session: Session) -> None:
    sale(session, 1, state=2, price=3000)
    sale(session, 2, state=3, price=2000, refund=4)
    sale(session, 3, state=3, price=1000, refund=3)
    sale(session, 4, state=4, price=700, refund=3, bought=False)
    at_the_counter(session, 5, state=2, price=400)
    at_the_counter(session, 6, state=3, price=500)
    at_the_counter(session, 7, state=2, price=0)


def sale(
    session: Session, number: int, *, state: int, price: int, refund: int | None = None, bought: bool = True
) -> None:
    """A booking, its payment, and what went back of it."""
    booking, payment = UUID(int=number), UUID(int=100 + number)
    _booking(session, booking, state, price, payment=payment if bought else None, by=1 if bought else None)
    session.execute(
        text(
            "INSERT INTO payments (performance_id, id, booking_id, customer_id, provider, state, amount, currency,"
            " complete_time) VALUES (1, :payment, :booking, :booking, 1, 4, :price, 'EUR', now())"
        ),
        {"payment": payment, "booking": booking, "price": price},
    )
    if refund is not None:
        session.execute(
            text(
                "INSERT INTO refunds (performance_id, id, booking_id, payment_id, state, amount, currency, reason,"
                " error_reason) VALUES (1, :id, :booking, :payment, :state, :price, 'EUR', 'x', 'x')"
            ),
            {"id": UUID(int=200 + number), "payment": payment, "booking": booking, "price": price, "state": refund},
        )


def at_the_counter(session: Session, number: int, *, state: int, price: int) -> None:
    """A booking that was paid for in cash."""
    _booking(session, UUID(int=number), state, price, payment=None, by=2)


def _booking(session: Session, booking: UUID, state: int, price: int, *, payment: UUID | None, by: int | None) -> None:
    values = {"id": booking, "state": state, "price": [price], "payment": payment, "by": by}
    session.execute(
        text(
            "INSERT INTO bookings (performance_id, id, customer_id, state, places, ticket_type_ids, prices, currency,"
            " hold_start_time, hold_expire_time, payment_id, confirmed_by, create_time, update_time, confirm_time,"
            " end_time) VALUES (1, :id, :id, :state, '{3}', '{1}', :price, 'EUR', now(), now(), :payment, :by, now(),"
            " now(), CASE WHEN CAST(:by AS int) IS NULL THEN NULL ELSE now() END, now())"
        ),
        values,
    )
    session.execute(
        text(
            "INSERT INTO command_log (performance_id, subject_id, version, command, to_state, time, answer)"
            " VALUES (1, :id, 1, 'confirm', :state, now(), json_build_object('prices', CAST(:price AS bigint[])))"
        ),
        {"id": booking, "state": state, "price": [price]},
    )
