"""Every state, role and kind that a row can carry: the same numbers in the database and on the wire."""

from enum import IntEnum, StrEnum


class Role(IntEnum):
    """People are CUSTOMER, STAFF or ADMIN; devices and partners sign in with API keys."""

    CUSTOMER = 1
    STAFF = 2
    ADMIN = 3
    KIOSK = 4
    GATE = 5
    PARTNER = 6


class CodePurpose(StrEnum):
    """What a code that was sent by mail proves or permits."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, not a password


class EventState(IntEnum):
    """Only a PUBLISHED event is seen by customers and sold."""

    DRAFT = 1
    PUBLISHED = 2
    CANCELLED = 3


class PerformanceState(IntEnum):
    """A cancelled performance sells nothing."""

    SCHEDULED = 1
    CANCELLED = 2


class SeatState(IntEnum):
    """What a screen shows for one place."""

    AVAILABLE = 1
    HELD = 2
    SOLD = 3
    BLOCKED = 4


class BookingState(IntEnum):
    """The life of a booking. CANCELLED and EXPIRED are final (RELIABILITY S6)."""

    HELD = 1
    CONFIRMED = 2
    CANCELLED = 3
    EXPIRED = 4


class ConfirmedBy(IntEnum):
    """How a booking was paid for: through a provider, or at the box office."""

    PROVIDER = 1
    CASH = 2
    COMP = 3


class TicketState(IntEnum):
    """The life of a ticket."""

    VALID = 1
    CHECKED_IN = 2
    VOID = 3


class CheckInOutcome(IntEnum):
    """What came of a scan at the door; UNDONE is no scan, but staff taking a check-in back."""

    ADMITTED = 1
    ALREADY_CHECKED_IN = 2
    TICKET_VOID = 3
    WRONG_PERFORMANCE = 4
    UNKNOWN_TICKET = 5
    DOORS_NOT_OPEN = 6
    DOORS_CLOSED = 7
    PERFORMANCE_CANCELLED = 8
    TURNED_AWAY = 9
    UNDONE = 10


class CommandKind(StrEnum):
    """What the append-only command log calls each command."""

    HOLD = "hold"
    ADD = "add"
    REMOVE = "remove"
    EXTEND = "extend"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    RETURN = "return"
    EXPIRE = "expire"
    BLOCK = "block"
    UNBLOCK = "unblock"
    TAKE_BACK = "take_back"
    RELEASE = "release"


class Provider(IntEnum):
    """Who moves the money."""

    SIMULATOR = 1
    PAYPAL = 2
    STRIPE = 3


class PaymentState(IntEnum):
    """The life of a payment."""

    CREATED = 1
    REQUIRES_ACTION = 2
    PROCESSING = 3
    SUCCEEDED = 4
    FAILED = 5
    CANCELLED = 6
    UNKNOWN = 7


OPEN_STATES = frozenset(
    {PaymentState.CREATED, PaymentState.REQUIRES_ACTION, PaymentState.PROCESSING, PaymentState.UNKNOWN}
)
"""A booking has at most one payment in one of these states."""


class RefundState(IntEnum):
    """The life of a refund."""

    REQUESTED = 1
    PROCESSING = 2
    SUCCEEDED = 3
    FAILED = 4


class RefundMethod(IntEnum):
    """How a refund was paid back that its provider refused."""

    CASH = 1
    BANK_TRANSFER = 2
    OTHER = 3


class Resolution(IntEnum):
    """What staff decide about money whose owner is in doubt."""

    OURS = 1
    GIVE_BACK = 2
    NOT_OURS = 3
    ASK_AGAIN = 4


class Account(IntEnum):
    """The accounts of the books. A gain is positive: of what we have, and of what somebody owes us."""

    SIMULATOR = 11
    """With a provider (10 + its number): what it took for us and has not given back."""
    PAYPAL = 12
    STRIPE = 13
    SALES = 20
    """What tickets were sold for, less what came back: negative, as income is."""
    SUSPENSE = 30
    """Customers' money that bought nothing. It leaves in the transaction that it came in with."""
    REFUNDS_DUE = 31
    """What we owe customers and a provider has not given back yet; negative, as a debt is."""
    CASH_DUE = 32
    """The same, to be fetched at the box office."""
    REFUNDED_TWICE = 33
    """What customers have twice: a refund was settled in another way, and then its provider gave it back after all."""
    CASH = 40
    """What is in the tills."""
    BANK = 41
    """The house's own bank account, as far as refunds were paid from it: negative by what was paid."""
    OTHER_MEANS = 42
    """The same for vouchers, cheques and claims that were given up."""
    COMPS = 50
    """Tickets given for nothing, at their price."""


class EntryKind(IntEnum):
    """What moved the money that an entry of the books is about."""

    PAYMENT = 1
    REFUND_ASKED = 2
    REFUND_DONE = 3
    BOX_OFFICE_SALE = 4
    BOX_OFFICE_RETURN = 5
    CASH_FETCHED = 6
    REFUND_SETTLED = 7
    REFUND_TAKEN_BACK = 8


class SimulatedOrder(IntEnum):
    """The life of a payment in the books of the simulator."""

    OPEN = 1
    CAPTURED = 2
    DECLINED = 3
    CANCELLED = 4


class SimulatedOutcome(IntEnum):
    """How the simulator is told to answer."""

    RANDOM = 1
    APPROVE = 2
    DECLINE = 3
    TIMEOUT_BEFORE = 4
    TIMEOUT_AFTER = 5


class WebhookSubject(IntEnum):
    """What a message of a payment provider is about."""

    PAYMENT = 1
    REFUND = 2
    DISPUTE = 3
    OTHER = 4


class WebhookState(IntEnum):
    """The life of a provider's message: due until it was acted on, or until staff have to look at it."""

    RECEIVED = 1
    DONE = 2
    ATTENTION = 3


class NotificationKind(IntEnum):
    """What a message to somebody is about."""

    ANNOUNCEMENT = 1
    EMAIL_VERIFICATION = 2
    PASSWORD_RESET = 3
    BOOKING_CONFIRMED = 4
    BOOKING_CANCELLED = 5
    HOLD_EXPIRED = 6
    PAYMENT_FAILED = 7
    REFUND = 8
    PERFORMANCE_CANCELLED = 9
    INQUIRY_ANSWER = 10
    ADMISSION = 11
    ACCOUNT_EXISTS = 12
    EMAIL_CHANGED = 13
    PASSWORD_CHANGED = 14
    WEBHOOK_ENDPOINT_OFF = 15


class NotificationState(IntEnum):
    """The life of a message."""

    QUEUED = 1
    SENT = 2
    FAILED = 3
    INBOX_ONLY = 4


class AllocationState(IntEnum):
    """The life of places set aside."""

    LIVE = 1
    RELEASED = 2


class ShiftState(IntEnum):
    """The life of a shift at a till."""

    OPEN = 1
    CLOSED = 2


class TillEntryKind(IntEnum):
    """What happened at a till."""

    CASH_SALE = 1
    COMP = 2
    CASH_REFUND = 3


class KeyPermission(IntEnum):
    """What the tokens of an API key may be used for."""

    READ = 1
    BOOK = 2
    PAY = 3
    REFUND = 4
    WEBHOOKS = 5
    ALL_BOOKINGS = 6


class KeyQuota(IntEnum):
    """What an API key may do so often in a day."""

    HELD_PLACES = 1
    SOLD_PLACES = 2


class ChangeKind(IntEnum):
    """What an entry of the log of changes is about."""

    BOOKING = 1
    PAYMENT = 2
    REFUND = 3
    TICKET = 4
    PERFORMANCE = 5


class DeliveryOutcome(IntEnum):
    """What came of an attempt to deliver to a webhook endpoint."""

    DELIVERED = 1
    FAILED = 2
    GIVEN_UP = 3


class LineOrder(IntEnum):
    """In which order a waiting room admits."""

    FIRST_COME = 1
    DRAW = 2


class QueueEntryState(IntEnum):
    """The life of a place in line. USED, LEFT and EXPIRED are final."""

    WAITING = 1
    ADMITTED = 2
    USED = 3
    LEFT = 4
    EXPIRED = 5


class InquiryState(IntEnum):
    """An inquiry is answered once."""

    OPEN = 1
    ANSWERED = 2


class ReportGrouping(IntEnum):
    """What the rows of a report add up."""

    EVENT = 1
    PERFORMANCE = 2
    TICKET_TYPE = 3
    DAY = 4


class TopMetric(IntEnum):
    """By what events are compared."""

    PROFIT = 1
    TICKETS_SOLD = 2
    BOOKINGS = 3
    REVENUE = 4
