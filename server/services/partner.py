"""PartnerService: what changed, and the webhook endpoints that are told of it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from sqlalchemy import select
from sqlalchemy.orm import Session

from rowlock.v1 import partner_pb2 as pb
from rowlock.v1 import partner_pb2_grpc
from server import resources
from server.db.engine import Database
from server.db.models.catalogue import Performance
from server.db.models.partner import WebhookEndpoint
from server.domain import bookings, changes, delivery_lanes, endpoints
from server.domain.changes import Read, Sight
from server.errors import InvalidArgument, NotFound
from server.interceptors.access import require_scope
from server.interceptors.authentication import Caller, caller
from server.partners.addresses import AddressError, Addresses
from server.payments.wake import DELIVERIES, Waker
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.services.field_mask import paths_of
from server.services.mutation import once
from server.services.paging import DEFAULT_SIZE, MAX_SIZE, page_of
from server.services.partner_messages import change_message, delivery_message, endpoint_message
from server.services.standing import STAFF
from server.services.wire import length_in
from server.states import ChangeKind, KeyPermission

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Answer = TypeVar("Answer", bound=Message)

_ALL_USERS: Final = "users/-"
_WRITABLE: Final = ("uri", "display_name", "kinds", "disabled")
_SECRET_OVERLAP: Final = timedelta(hours=24)
_NAMES_PLACES: Final = frozenset({ChangeKind.BOOKING, ChangeKind.TICKET})


class PartnerService(partner_pb2_grpc.PartnerServiceServicer):
    """The servicer.

    Args:
        database: where everything is.
        halls: gives places their ids.
        waker: has messages sent at once.
        addresses: which of them endpoints may have.
    """

    def __init__(self, database: Database, halls: Halls, waker: Waker, addresses: Addresses) -> None:
        self._database = database
        self._halls = halls
        self._waker = waker
        self._addresses = addresses

    async def ListChanges(self, request: pb.ListChangesRequest, context: Context) -> pb.ListChangesResponse:
        """List changes behind a position."""
        who = caller()
        performance_id = await self._performance(who, request.performance)
        sight = _sight_of(who)
        limit = min(request.page_size or DEFAULT_SIZE, MAX_SIZE)

        def work(session: Session) -> tuple[Read, dict[int, Hall]]:
            found = changes.read_changes(
                session,
                sight,
                after=request.after_position,
                limit=limit,
                kinds=request.kinds,
                performance_id=performance_id,
            )
            named = {change.performance_id for change in found.changes if change.kind in _NAMES_PLACES}
            known = session.scalars(select(Performance.id).where(Performance.id.in_(named))).all() if named else ()
            return found, self._halls.of_performances(session, known)

        found, halls = await self._database.read(work)
        return pb.ListChangesResponse(
            changes=[change_message(change, halls.get(change.performance_id)) for change in found.changes],
            next_position=found.next_position,
            more=found.more,
            outdated_position=found.outdated_position,
        )

    async def CreateWebhookEndpoint(
        self, request: pb.CreateWebhookEndpointRequest, context: Context
    ) -> pb.CreateWebhookEndpointResponse:
        """Make an endpoint. Its secret is told once: a repeated request gets the endpoint without it."""
        who = caller()
        owner_id = _owner(who, resources.parse_user(request.parent, who.user_id, "parent"), request.parent)
        wanted = request.webhook_endpoint
        await self._require_good(wanted.uri)

        def work(session: Session) -> pb.CreateWebhookEndpointResponse:
            made = endpoints.create(
                session,
                owner_id,
                _sight_for(who, owner_id),
                uri=wanted.uri,
                display_name=wanted.display_name,
                kinds=wanted.kinds,
            )
            if wanted.disabled:
                endpoints.change(session, owner_id, made.endpoint.id, {"disabled": True}, "")
            return pb.CreateWebhookEndpointResponse(
                webhook_endpoint=endpoint_message(made.endpoint), secret=made.secret
            )

        return await self._once(
            request,
            pb.CreateWebhookEndpointResponse,
            work,
            keep=lambda answer: pb.CreateWebhookEndpointResponse(webhook_endpoint=answer.webhook_endpoint),
        )

    async def GetWebhookEndpoint(self, request: pb.GetWebhookEndpointRequest, context: Context) -> pb.WebhookEndpoint:
        """Read an endpoint."""
        named = _named(request.name)
        return await self._database.read(lambda session: _shown(session, [endpoints.get(session, *named)])[0])

    async def ListWebhookEndpoints(
        self, request: pb.ListWebhookEndpointsRequest, context: Context
    ) -> pb.ListWebhookEndpointsResponse:
        """List endpoints, newest first."""
        who = caller()
        owner_id = None
        if request.parent != _ALL_USERS:
            owner_id = _owner(who, resources.parse_user(request.parent, who.user_id, "parent"), request.parent)
        elif who.role not in STAFF:
            raise NotFound.of(request.parent)
        page = page_of(request, datetime, UUID, scope=str(owner_id))

        def work(session: Session) -> pb.ListWebhookEndpointsResponse:
            found, total = endpoints.page(session, owner_id, page.after, page.limit)
            shown, token = page.cut(found, key=lambda endpoint: (endpoint.create_time, endpoint.id))
            return pb.ListWebhookEndpointsResponse(
                webhook_endpoints=_shown(session, shown), next_page_token=token, total_size=total
            )

        return await self._database.read(work)

    async def UpdateWebhookEndpoint(
        self, request: pb.UpdateWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Change an endpoint."""
        wanted = request.webhook_endpoint
        named = _named(wanted.name, "webhook_endpoint.name")
        values = {path: getattr(wanted, path) for path in paths_of(request.update_mask, wanted, _WRITABLE)}
        if "kinds" in values:
            values["kinds"] = list(wanted.kinds)
        if "uri" in values:
            await self._require_good(wanted.uri)

        def work(session: Session) -> pb.WebhookEndpoint:
            return _shown(session, [endpoints.change(session, *named, values, wanted.etag)])[0]

        answer = await self._once(request, pb.WebhookEndpoint, work)
        self._waker.wake(DELIVERIES)
        return answer

    async def DeleteWebhookEndpoint(self, request: pb.DeleteWebhookEndpointRequest, context: Context) -> Empty:
        """Delete an endpoint."""
        named = _named(request.name)

        def work(session: Session) -> Empty:
            endpoints.delete(session, *named)
            return Empty()

        return await self._once(request, Empty, work)

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.RotateWebhookSecretResponse:
        """Give an endpoint another secret, which is told once."""
        named = _named(request.name)
        asked = length_in(request, "overlap")
        overlap = _SECRET_OVERLAP if asked is None else asked

        def work(session: Session) -> pb.RotateWebhookSecretResponse:
            made = endpoints.rotate(session, *named, overlap)
            return pb.RotateWebhookSecretResponse(
                webhook_endpoint=_shown(session, [made.endpoint])[0], secret=made.secret
            )

        return await self._once(
            request,
            pb.RotateWebhookSecretResponse,
            work,
            keep=lambda answer: pb.RotateWebhookSecretResponse(webhook_endpoint=answer.webhook_endpoint),
        )

    async def TestWebhookEndpoint(
        self, request: pb.TestWebhookEndpointRequest, context: Context
    ) -> pb.TestWebhookEndpointResponse:
        """Have a test sent."""
        named = _named(request.name)

        def work(session: Session) -> pb.TestWebhookEndpointResponse:
            endpoint = endpoints.get(session, *named, lock=True)
            return pb.TestWebhookEndpointResponse(webhook_id=delivery_lanes.ask_for_test(session, endpoint))

        answer = await self._once(request, pb.TestWebhookEndpointResponse, work)
        self._waker.wake(DELIVERIES)
        return answer

    async def ReplayDeliveries(
        self, request: pb.ReplayDeliveriesRequest, context: Context
    ) -> pb.ReplayDeliveriesResponse:
        """Have changes sent again."""
        named = _named(request.name)
        performance_id = await self._performance(caller(), request.performance)

        def work(session: Session) -> pb.ReplayDeliveriesResponse:
            endpoint = endpoints.get(session, *named, lock=True)
            count = delivery_lanes.replay(session, endpoint, request.after_position, performance_id)
            return pb.ReplayDeliveriesResponse(performance_count=count)

        answer = await self._once(request, pb.ReplayDeliveriesResponse, work)
        self._waker.wake(DELIVERIES)
        return answer

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Context
    ) -> pb.ListWebhookDeliveriesResponse:
        """List attempts, newest first."""
        named = _named(request.parent, "parent")
        page = page_of(request, datetime, UUID, scope=str(named[0]))

        def work(session: Session) -> pb.ListWebhookDeliveriesResponse:
            endpoint = endpoints.get(session, *named)
            found = endpoints.attempts(
                session, endpoint, failed_only=request.failed_only, after=page.after, limit=page.limit
            )
            shown, token = page.cut(found, key=lambda attempt: (attempt.create_time, attempt.id))
            return pb.ListWebhookDeliveriesResponse(
                deliveries=[delivery_message(endpoint, attempt) for attempt in shown], next_page_token=token
            )

        return await self._database.read(work)

    async def _performance(self, who: Caller, name: str) -> int | None:
        """The performance that a list is narrowed to; None: all that the caller sees."""
        if not name:
            return None
        performance_id = resources.parse_performance(name, "performance")
        names = await self._database.read(lambda session: bookings.names_covering(session, performance_id))
        if not names:
            raise NotFound.of(name)
        require_scope(who, names)
        return performance_id

    async def _require_good(self, uri: str) -> None:
        """Refuse an address that nothing may be sent to. It is looked at again each time something is sent.

        Raises:
            InvalidArgument: why not.
        """
        try:
            target = self._addresses.parse(uri)
            await self._addresses.check(target.host, target.port)
        except AddressError as refusal:
            raise InvalidArgument.of("webhook_endpoint.uri", str(refusal)) from None

    async def _once(
        self,
        request: Message,
        answer: type[Answer],
        work: Callable[[Session], Answer],
        keep: Callable[[Answer], Answer] | None = None,
    ) -> Answer:
        return await once(self._database, request, answer, work, scope=caller().scope, keep=keep)


def _sight_of(who: Caller) -> Sight:
    """Which changes a caller may see."""
    if who.role in STAFF:
        return Sight(customer_id=None, drafts=True)
    every = KeyPermission.ALL_BOOKINGS in who.permissions
    return Sight(customer_id=None if every else who.user_id, scopes=who.scopes)


def _sight_for(who: Caller, owner_id: UUID) -> Sight:
    """What an endpoint that the caller makes may be told: what they see; but staff's for somebody else only that
    one's bookings, since the address is not theirs.
    """
    return _sight_of(who) if who.user_id == owner_id else Sight(customer_id=owner_id)


def _named(name: str, field: str = "name") -> tuple[UUID, UUID]:
    """The owner and the id of an endpoint that the caller may have to do with."""
    who = caller()
    owner_id, endpoint_id = resources.parse_webhook_endpoint(name, who.user_id, field)
    return _owner(who, owner_id, name), endpoint_id


def _owner(who: Caller, owner_id: UUID, name: str) -> UUID:
    """The owner that is named: partners themselves, staff anybody.

    Raises:
        NotFound: somebody else.
    """
    if who.role not in STAFF and owner_id != who.user_id:
        raise NotFound.of(name)
    return owner_id


def _shown(session: Session, found: Sequence[WebhookEndpoint]) -> list[pb.WebhookEndpoint]:
    waiting = endpoints.waiting(session, [endpoint.id for endpoint in found])
    return [endpoint_message(endpoint, waiting.get(endpoint.id, 0)) for endpoint in found]
