"""Who may call what: the one table, for every RPC of the contract, streams included.

A method that is missing here fails the build and the start of the server. The table says who may *call*; which
objects a caller may touch is decided where they are read, because an object of somebody else must look absent.
"""

from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from server.errors import PermissionDenied
from server.interceptors.authentication import Authenticator, Caller, authorization, missing, set_caller
from server.interceptors.method import Admit, Context, Guard, Method
from server.states import KeyPermission, Role


class Token(Enum):
    """What is done with the access token of a call."""

    IGNORED = "ignored"
    """Not looked at: these calls are how a client gets a token, so a stale one must not stop them."""
    OPTIONAL = "optional"
    """An anonymous caller may come in; a token that is sent must be valid."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a method: callers with one of the roles, and, by ``token``, those without any."""

    token: Token
    roles: frozenset[Role]

    def check(self, caller: Caller | None) -> None:
        """Return if this caller may.

        Raises:
            Unauthenticated: TOKEN_MISSING, only a signed-in caller may.
            PermissionDenied: not with this role.
        """
        if caller is None:
            if self.token is Token.REQUIRED:
                raise missing()
        elif caller.role not in self.roles:
            raise PermissionDenied(
                "PERMISSION_DENIED", f"a caller with the role {caller.role.name} may not do this", role=caller.role.name
            )


def _only(*roles: Role) -> Rule:
    return Rule(Token.REQUIRED, frozenset(roles))


OPEN: Final = Rule(Token.IGNORED, frozenset(Role))
PUBLIC: Final = Rule(Token.OPTIONAL, frozenset(Role))
SIGNED_IN: Final = _only(*Role)
PEOPLE: Final = _only(Role.CUSTOMER, Role.STAFF, Role.ADMIN)
BUYERS: Final = _only(Role.CUSTOMER, Role.PARTNER, Role.STAFF, Role.ADMIN)
DOOR: Final = _only(Role.GATE, Role.STAFF, Role.ADMIN)
PARTNERS: Final = _only(Role.PARTNER, Role.STAFF, Role.ADMIN)
STAFF: Final = _only(Role.STAFF, Role.ADMIN)
ADMIN: Final = _only(Role.ADMIN)

_TABLE: Final[dict[str, dict[Rule, str]]] = {
    "AuthService": {
        OPEN: """SignUp VerifyEmail ResendVerification LogIn RefreshToken LogOut RequestPasswordReset
                 ConfirmPasswordReset ExchangeApiKey RotateApiKey GetJwks""",
        PEOPLE: "LogOutEverywhere ChangePassword GetUser UpdateUser",
        STAFF: "ListUsers",
        ADMIN: "SetUserRole DisableUser EnableUser CreateApiKey ListApiKeys RevokeApiKey",
    },
    "EventService": {
        PUBLIC: """GetCategory ListCategories GetVenue ListVenues GetSeatMap ListSeatMaps GetEvent ListEvents
                   GetPerformance ListPerformances GetTicketType ListTicketTypes GetPerformanceSeatMap ListSeats
                   GetAvailability""",
        STAFF: """CreateCategory UpdateCategory DeleteCategory CreateVenue UpdateVenue DeleteVenue CreateSeatMap
                  UpdateSeatMap DeleteSeatMap ImportSeatMap CreateEvent UpdateEvent DeleteEvent PublishEvent
                  CancelEvent CreatePerformance UpdatePerformance DeletePerformance CancelPerformance
                  GetCancellationProgress CreateTicketType UpdateTicketType DeleteTicketType BlockSeats
                  UnblockSeats""",
        SIGNED_IN: "WatchSeats",
    },
    "BookingService": {
        BUYERS: """CreateBooking GetBooking ListBookings UpdateBooking AddSeats RemoveSeats ExtendBooking
                   CancelBooking RefundTickets WatchBooking ListTickets GetTicket GetTicketDocument
                   ResendTickets""",
        STAFF: "ConfirmBooking PayOutCash ListCashDue UndoCheckIn ListCheckIns",
        DOOR: "CheckInTicket GetEntryList UploadOfflineScans",
    },
    "BoxOfficeService": {
        STAFF: """CreateAllocation GetAllocation ListAllocations UpdateAllocation ReleaseAllocation OpenShift CloseShift
                  GetShift ListShifts""",
    },
    "PaymentService": {
        BUYERS: """CreatePayment CapturePayment CancelPayment GetPayment ListPayments GetRefund ListRefunds
                   SimulatePayment""",
        STAFF: "RefundPayment RetryRefund SettleRefund ResolvePayment",
        OPEN: "HandleProviderWebhook",
    },
    "PartnerService": {
        PARTNERS: """ListChanges CreateWebhookEndpoint GetWebhookEndpoint ListWebhookEndpoints UpdateWebhookEndpoint
                     DeleteWebhookEndpoint RotateWebhookSecret TestWebhookEndpoint ReplayDeliveries
                     ListWebhookDeliveries""",
    },
    "WaitingRoomService": {
        BUYERS: "JoinQueue GetQueueEntry WatchQueueEntry LeaveQueue",
        PUBLIC: "GetWaitingRoom",
        STAFF: "UpdateWaitingRoom",
    },
    "NotificationService": {
        PEOPLE: "ListNotifications MarkRead",
        STAFF: "SendNotification RetryNotifications",
    },
    "ContactService": {
        PUBLIC: "SubmitInquiry GetContactInfo GetSocialLink ListSocialLinks",
        STAFF: """ListInquiries GetInquiry AnswerInquiry UpdateContactInfo CreateSocialLink UpdateSocialLink
                  DeleteSocialLink""",
    },
    "ReportService": {
        STAFF: "GetSalesReport ExportSalesReport ListTopEvents",
    },
    "OperationsService": {
        STAFF: """ListStaffActions ListBookingHistory ListBacklog ListProviderWebhooks RetryProviderWebhooks""",
    },
}

ACCESS: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        f"/rowlock.v1.{service}/{name}": rule
        for service, rules in _TABLE.items()
        for rule, names in rules.items()
        for name in names.split()
    }
)
"""Full method path, as on the wire, to its rule."""


_PERMISSIONS: Final[dict[KeyPermission, dict[str, str]]] = {
    KeyPermission.READ: {
        "EventService": "WatchSeats",
        "BookingService": "GetBooking ListBookings WatchBooking ListTickets GetTicket GetTicketDocument",
        "PaymentService": "GetPayment ListPayments GetRefund ListRefunds",
        "PartnerService": "ListChanges",
    },
    KeyPermission.BOOK: {
        "BookingService": """CreateBooking UpdateBooking AddSeats RemoveSeats ExtendBooking CancelBooking
                             ResendTickets""",
        "WaitingRoomService": "JoinQueue GetQueueEntry WatchQueueEntry LeaveQueue",
    },
    KeyPermission.PAY: {"PaymentService": "CreatePayment CapturePayment CancelPayment SimulatePayment"},
    KeyPermission.REFUND: {"BookingService": "RefundTickets"},
    KeyPermission.WEBHOOKS: {
        "PartnerService": """CreateWebhookEndpoint GetWebhookEndpoint ListWebhookEndpoints UpdateWebhookEndpoint
                             DeleteWebhookEndpoint RotateWebhookSecret TestWebhookEndpoint ReplayDeliveries
                             ListWebhookDeliveries""",
    },
}

PERMISSIONS: Final[Mapping[str, KeyPermission]] = MappingProxyType(
    {
        f"/rowlock.v1.{service}/{name}": permission
        for permission, services in _PERMISSIONS.items()
        for service, names in services.items()
        for name in names.split()
    }
)
"""Full method path to what an API key with permissions needs for it. What anybody may call needs none.

CancelBooking needs REFUND, too, for a booking that is paid for; that is looked at where the booking is.
"""


def require_permission(caller: Caller, permission: KeyPermission) -> None:
    """Keep the tokens of an API key to what it may be used for.

    Raises:
        PermissionDenied: the key has permissions, and not this one.
    """
    if caller.permissions and permission not in caller.permissions:
        raise PermissionDenied(
            "PERMISSION_DENIED",
            f"the API key has not the permission {permission.name}",
            role=caller.role.name,
            permission=permission.name,
        )


def check(path: str, caller: Caller | None) -> None:
    """Apply the rule of the method at ``path``; see ``Rule.check``."""
    rule_of(path).check(caller)


def rule_of(path: str) -> Rule:
    """The rule of a method.

    Raises:
        LookupError: the table does not know it, so nobody may call it, and the server must not start.
    """
    try:
        return ACCESS[path]
    except KeyError:
        raise LookupError(f"{path} is missing in the access table (server/interceptors/access.py)") from None


def access(authenticator: Authenticator) -> Guard:
    """The guard that finds out who calls, and lets in whom the table lets in."""

    def guard(method: Method) -> Admit | None:
        rule, needed = rule_of(method.path), PERMISSIONS.get(method.path)
        if rule.token is Token.IGNORED:
            return None

        def admit(context: Context) -> Awaitable[None] | None:
            header = authorization(context)
            if header is None:
                rule.check(None)
                return None
            found = authenticator.remembered(header)
            if found is None:
                return admit_unknown(header)
            let_in(found)
            return None

        async def admit_unknown(header: str) -> None:
            let_in(await authenticator.verified(header))

        def let_in(found: Caller) -> None:
            rule.check(found)
            if needed is not None:
                require_permission(found, needed)
            set_caller(found)

        return admit

    return guard


def require_scope(caller: Caller, names: Iterable[str]) -> None:
    """Keep a device or partner within the performances, events and venues that its key was made for.

    Args:
        caller: who asks.
        names: every resource name that covers what is asked for: the performance, its event and its venue.

    Raises:
        PermissionDenied: the key is narrowed, and to none of them.
    """
    if caller.scopes and caller.scopes.isdisjoint(names):
        raise PermissionDenied("PERMISSION_DENIED", "the API key was not made for this", role=caller.role.name)
