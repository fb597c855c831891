"""Changes, webhook endpoints and deliveries as callers see them."""

from datetime import timedelta

from google.protobuf.json_format import ParseDict

from rowlock.v1 import partner_pb2
from server import resources
from server.db.models.partner import Change, WebhookDelivery, WebhookEndpoint
from server.domain.endpoints import SHOWN, secret_text
from server.domain.etags import etag_of
from server.partners.snapshots import snapshot, type_of
from server.seats.hall import Hall
from server.services.wire import duration, timestamp
from server.states import ChangeKind

_FIELDS = {
    ChangeKind.BOOKING: "booking",
    ChangeKind.PAYMENT: "payment",
    ChangeKind.REFUND: "refund",
    ChangeKind.TICKET: "ticket",
    ChangeKind.PERFORMANCE: "performance_resource",
}


def change_message(change: Change, hall: Hall | None) -> partner_pb2.Change:
    """A change, with what it was about; ``hall`` gives places their ids. The same words as the webhook's."""
    message = partner_pb2.Change(
        position=change.position or 0,
        kind=partner_pb2.Change.Kind.ValueType(change.kind),
        type=type_of(change.kind, change.old_state, change.new_state),
        performance=resources.performance(change.performance_id),
        time=timestamp(change.change_time),
    )
    resource = getattr(message, _FIELDS[change.kind])
    ParseDict(snapshot(change.kind, change.performance_id, change.data, hall), resource)
    return message


def endpoint_message(endpoint: WebhookEndpoint, waiting: int = 0) -> partner_pb2.WebhookEndpoint:
    """An endpoint, without its secret; ``waiting`` is for how many performances something is to be delivered."""
    former = endpoint.former_secret_expire_time
    return partner_pb2.WebhookEndpoint(
        name=resources.webhook_endpoint(endpoint.user_id, endpoint.id),
        uri=endpoint.uri,
        display_name=endpoint.display_name,
        kinds=[partner_pb2.Change.Kind.ValueType(kind) for kind in endpoint.kinds],
        disabled=endpoint.disable_time is not None,
        disable_reason=endpoint.disable_reason,
        disable_time=timestamp(endpoint.disable_time),
        scopes=endpoint.scopes,
        all_bookings=endpoint.all_bookings,
        secret_prefix=secret_text(endpoint.secret)[:SHOWN],
        former_secret_expire_time=timestamp(former),
        failing_since_time=timestamp(endpoint.failing_since),
        waiting_performances=waiting,
        etag=etag_of(endpoint.version),
        create_time=timestamp(endpoint.create_time),
        update_time=timestamp(endpoint.update_time),
    )


def delivery_message(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> partner_pb2.WebhookDelivery:
    """One attempt to deliver."""
    return partner_pb2.WebhookDelivery(
        name=resources.webhook_delivery(endpoint.user_id, endpoint.id, delivery.id),
        webhook_id=delivery.message_id,
        position=delivery.position,
        type=delivery.type,
        performance=resources.performance(delivery.performance_id) if delivery.position else "",
        attempt=delivery.attempt,
        outcome=partner_pb2.WebhookDelivery.Outcome.ValueType(delivery.outcome),
        status=delivery.status,
        error=delivery.error,
        answer=delivery.answer,
        duration=duration(timedelta(milliseconds=delivery.milliseconds)),
        create_time=timestamp(delivery.create_time),
    )
