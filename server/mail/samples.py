"""One message of each kind, made up: for `rowlock mail preview`, and for whoever writes templates."""

from datetime import UTC, datetime, timedelta
from typing import Final

from server.domain.notification_facts import Amount, BookingFacts, Code, Facts, House, Line, PerformanceFacts, Question
from server.states import BookingState, NotificationKind

_START: Final = datetime(2027, 3, 13, 18, 30, tzinfo=UTC)
_PERFORMANCE: Final = "performances/42"
_BOOKING: Final = f"{_PERFORMANCE}/bookings/01990000-0000-7000-8000-000000000001"
_PAYMENT: Final = f"{_BOOKING}/payments/01990000-0000-7000-8000-000000000002"

_USER: Final = "users/01990000-0000-7000-8000-000000000003"

_ABOUT: Final = {
    NotificationKind.ANNOUNCEMENT: _PERFORMANCE,
    NotificationKind.EMAIL_VERIFICATION: _USER,
    NotificationKind.PASSWORD_RESET: _USER,
    NotificationKind.ACCOUNT_EXISTS: _USER,
    NotificationKind.EMAIL_CHANGED: _USER,
    NotificationKind.PASSWORD_CHANGED: _USER,
    NotificationKind.PAYMENT_FAILED: _PAYMENT,
    NotificationKind.REFUND: f"{_PAYMENT}/refunds/01990000-0000-7000-8000-000000000004",
    NotificationKind.INQUIRY_ANSWER: "inquiries/01990000-0000-7000-8000-000000000005",
    NotificationKind.ADMISSION: _PERFORMANCE,
    NotificationKind.WEBHOOK_ENDPOINT_OFF: f"{_USER}/webhookEndpoints/01990000-0000-7000-8000-000000000006",
}


def sample(kind: NotificationKind) -> Facts:
    """Facts of a message as they might be; every optional one is there."""
    return Facts(
        kind=kind,
        about=_ABOUT.get(kind, _BOOKING),
        name="Ada Lovelace",
        email="ada@example.org",
        data={
            "expire_time": (_START - timedelta(days=14)).isoformat(),
            "reason": "Asked for by phone.",
            "uri": "https://example.org/rowlock",
        },
        house=House("The House", "hello@example.org", "+49 30 1234567", "Stage Road 1, 10117 Berlin"),
        performance=PerformanceFacts(
            title="A Midsummer Night's Dream",
            start_time=_START,
            end_time=_START + timedelta(hours=3),
            zone="Europe/Berlin",
            venue="The House",
            address="Stage Road 1, 10117 Berlin",
            hall="Great Hall",
            cancel_reason="The stage was damaged by water.",
        ),
        booking=BookingFacts(
            name=_BOOKING,
            lines=(
                Line(1, "Stalls, row C, seat 7", "Adult", 4250),
                Line(1, "Stalls, row C, seat 8", "Child", 2000),
                Line(2, "Standing area", "Adult", 1500),
            ),
            total=9250,
            currency="EUR",
            hold_expire_time=_START - timedelta(days=20),
            state=BookingState.HELD if kind is NotificationKind.PAYMENT_FAILED else BookingState.CONFIRMED,
            was_confirmed=True,
            returning=9250,
        ),
        amount=Amount(9250, "EUR", "We are sorry for the noise."),
        question=Question(
            "Ada Lovelace",
            "Is there a place for a wheelchair?",
            "Dear team,\n\nis there a place for a wheelchair in the Great Hall?\n\nAda",
            "Dear Ada,\n\nyes, four of them, in row A.\nChoose one marked as accessible.\n\nYour box office",
        ),
        words=("Doors open earlier", "Because of the rain the doors open at 18:00.\n\nSee you there!"),
        code=Code(
            "nq3Xo1y0Qk5mV2n8r7T4c6Z9b1W3e5U7i9O0p2A4s6D",
            24.0 if kind is NotificationKind.EMAIL_VERIFICATION else 1 / 3,
        ),
    )
