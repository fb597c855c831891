"""The implementations of the contract, each with the parts that it works with."""

from collections.abc import Callable
from dataclasses import dataclass

from server.config import Settings
from server.db.engine import Database
from server.domain.performances import SaleDefaults
from server.domain.tokens import Tokens
from server.interceptors.authentication import Authenticator
from server.interceptors.rate_limit import LocalBuckets, SharedBuckets
from server.interceptors.revocations import Revocations
from server.partners.addresses import Addresses
from server.parts import make_renderer
from server.payments.providers import connect_verifiers, offered
from server.payments.wake import Waker
from server.rates import Rate
from server.redis_clients import RedisClient
from server.seats.halls import Halls
from server.seats.hub import Hub
from server.seats.ledger import Ledger
from server.services.auth import AuthService, Lifetimes
from server.services.auth_credentials import AccountParts
from server.services.booking import BookingPolicy, BookingService, TicketParts
from server.services.booking_watch import BookingWatch
from server.services.box_office import BoxOfficeService
from server.services.contact import ContactService
from server.services.email_limit import EmailLimit
from server.services.event import EventService
from server.services.notification import NotificationService
from server.services.operations import OperationsService
from server.services.partner import PartnerService
from server.services.password_hashing import PasswordHashing
from server.services.payment import PaymentService
from server.services.payment_webhooks import PaymentWebhooks
from server.services.report import ReportService
from server.services.scan_queue import ScanQueue
from server.services.stream_end import StreamEnd
from server.services.ticket_printing import TicketPrinting
from server.services.waiting_room import QueueParts, QueuePolicy, WaitingRoomService
from server.services.watch_seats import SeatFeedService


@dataclass(frozen=True, slots=True)
class Parts:
    """What one process has once, and its servicers share."""

    database: Database
    redis: RedisClient
    tokens: Tokens
    revocations: Revocations
    authenticator: Authenticator
    passwords: PasswordHashing
    halls: Halls
    ledger: Ledger
    hub: Hub
    stream_end: StreamEnd
    waker: Waker
    queue: QueueParts
    printing: TicketPrinting
    scans: ScanQueue


def make_servicers(settings: Settings, parts: Parts) -> tuple[object, ...]:
    """Make one servicer of each service; nothing runs yet that would have to be stopped."""
    database, halls, ledger, waker = parts.database, parts.halls, parts.ledger, parts.waker
    return (
        _auth(settings, parts),
        _booking(settings, parts),
        BoxOfficeService(database, ledger, halls),
        ContactService(
            database, waker, shared_buckets(settings, parts.redis, "inquiries", settings.rate_limit_inquiries)
        ),
        EventService(  # type: ignore[abstract]
            database,
            ledger,
            SaleDefaults(settings.hold_duration, settings.customer_limit, settings.refund_deadline),
            halls,
        ),
        NotificationService(database, make_renderer(settings), halls),
        OperationsService(database, waker),
        PartnerService(database, halls, waker, Addresses(allow_private=settings.delivery_private_networks)),
        PaymentService(database, ledger, waker, offered(settings)),  # type: ignore[abstract]
        PaymentWebhooks(database, waker, connect_verifiers(settings)),  # type: ignore[abstract]
        ReportService(database),
        SeatFeedService(parts.hub, parts.authenticator),  # type: ignore[abstract]
        WaitingRoomService(
            database,
            parts.queue,
            parts.stream_end,
            QueuePolicy(
                require_verified_email=settings.require_verified_email,
                heartbeat=settings.stream_heartbeat.total_seconds(),
                joins=LocalBuckets(Rate.parse(settings.rate_limit_joins)) if settings.rate_limits else None,
            ),
        ),
    )


def shared_buckets(settings: Settings, redis: RedisClient, name: str, rate: str) -> SharedBuckets | None:
    """A rate over all processes; None: rates are off.

    Args:
        settings: whether rates are counted, and what keys in Redis begin with.
        redis: where they are counted.
        name: what sets these apart from other buckets there.
        rate: as a setting says it, such as 5/hour.
    """
    if not settings.rate_limits:
        return None
    return SharedBuckets(redis, f"{settings.redis_key_prefix}:limit:{name}:", Rate.parse(rate))


def _auth(settings: Settings, parts: Parts) -> AuthService:
    limit = _email_limits(settings, parts)
    return AuthService(
        AccountParts(
            database=parts.database,
            revocations=parts.revocations,
            passwords=parts.passwords,
            log_in_limit=limit("log-in", settings.rate_limit_log_in, "log-ins with"),
            mail_limit=limit("mail", settings.rate_limit_mail, "mails to"),
            waker=parts.waker,
            request_key=parts.tokens.keys.secret("request fingerprints"),
        ),
        parts.tokens,
        Lifetimes(settings.refresh_token_ttl, settings.refresh_reuse_window),
    )


def _booking(settings: Settings, parts: Parts) -> BookingService:
    limit = _email_limits(settings, parts)
    return BookingService(
        parts.database,
        parts.ledger,
        BookingWatch(parts.database),
        parts.stream_end,
        BookingPolicy(
            require_verified_email=settings.require_verified_email,
            heartbeat=settings.stream_heartbeat.total_seconds(),
        ),
        halls=parts.halls,
        tickets=TicketParts(
            keys=lambda: parts.tokens.keys,
            printing=parts.printing,
            scans=parts.scans,
            # Apart from what anybody may have mailed to an address, which would use this up.
            mail_limit=limit("ticket-mail", settings.rate_limit_mail, "mails of tickets to"),
        ),
        waker=parts.waker,
    )


def _email_limits(settings: Settings, parts: Parts) -> Callable[[str, str, str], EmailLimit]:
    """Makes limits by e-mail address, of which Redis keeps no more than a keyed hash."""

    def limit(name: str, rate: str, what: str) -> EmailLimit:
        return EmailLimit(
            shared_buckets(settings, parts.redis, name, rate), parts.tokens.keys.secret(f"{name} limit"), what
        )

    return limit
