from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as DatabaseSession

from server.db.engine import Database
from server.db.models.accounts import RefreshToken, RequestResult, Session
from server.domain import accounts, sessions
from server.domain.housekeeping import delete_outdated

DAY = timedelta(hours=24)


def tidy(database: Database) -> int:
    return database.run_transaction(lambda session: delete_outdated(session, answers_after=DAY, limit=2))


def test_what_is_old_goes_in_batches_and_what_is_not_stays(fresh_database: Database) -> None:
    def make(session: DatabaseSession) -> None:
        accounts.sign_up(session, email="ada@example.com", display_name="Ada", locale="", password_hash="x")
        user = accounts.find_by_email(session, "ada@example.com")
        assert user is not None
        for number in range(5):
            begun = sessions.begin(session, user.id, checked_hash="x", ttl=timedelta(days=30))
            assert begun is not None
            session.flush()
            if number < 3:  # ended a day and an hour ago, just now, or not at all
                session.execute(
                    update(Session)
                    .where(Session.id == begun.session_id)
                    .values(revoke_time=func.now() - timedelta(hours=25 if number < 2 else 0))
                )
        for number, hours in enumerate((23, 25, 25, 25)):
            session.add(
                RequestResult(
                    scope="one",
                    request_id=str(number),
                    fingerprint=b"x",
                    answer=b"",
                    create_time=func.now() - timedelta(hours=hours),
                )
            )

    fresh_database.run_transaction(make)
    assert [tidy(fresh_database) for _ in range(3)] == [4, 1, 0]

    def left(session: DatabaseSession) -> list[int | None]:
        return [
            session.scalar(select(func.count()).select_from(kind)) for kind in (Session, RefreshToken, RequestResult)
        ]

    assert fresh_database.run_transaction(left) == [3, 3, 1]


def test_tidying_waits_for_nobody(fresh_database: Database) -> None:
    def make(session: DatabaseSession) -> None:
        session.add(
            RequestResult(
                scope="one", request_id="a", fingerprint=b"x", answer=b"", create_time=func.now() - timedelta(hours=25)
            )
        )

    fresh_database.run_transaction(make)

    def tidy_meanwhile(session: DatabaseSession) -> int:
        session.execute(select(RequestResult).with_for_update())
        return tidy(fresh_database)

    assert fresh_database.run_transaction(tidy_meanwhile) == 0
    assert tidy(fresh_database) == 1
