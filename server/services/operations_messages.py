"""What staff did, what became of a booking, what waits, and messages of providers, as callers see them."""

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from rowlock.v1 import auth_pb2, payment_pb2
from rowlock.v1 import operations_pb2 as pb
from server import resources
from server.db.models.webhooks import ProviderWebhook
from server.domain.backlog import Backlog
from server.domain.booking_history import HistoryEntry
from server.domain.staff_actions import ShownAction
from server.services.wire import duration, money, timestamp


def staff_action_message(shown: ShownAction) -> pb.StaffAction:
    """The record of something that staff did."""
    action = shown.action
    return pb.StaffAction(
        name=resources.staff_action(action.id),
        action_time=timestamp(action.action_time),
        actor=resources.user(action.actor_id),
        actor_display_name=shown.display_name or "",
        actor_email=shown.email or "",
        role=auth_pb2.Role.ValueType(action.role),
        api_key="" if action.key_id is None else resources.api_key(action.actor_id, action.key_id),
        method=action.method,
        resources=action.resources,
        request=ParseDict(action.request, Struct()),
        request_shortened=action.request_shortened,
        request_id=action.request_id or "",
    )


def history_message(entry: HistoryEntry) -> pb.BookingHistoryEntry:
    """One thing that happened to a booking."""
    return pb.BookingHistoryEntry(
        entry_time=timestamp(entry.time),
        kind=pb.BookingHistoryEntry.Kind.ValueType(entry.kind),
        what=entry.what,
        resource=entry.resource,
        actor="" if entry.actor_id is None else resources.user(entry.actor_id),
        actor_display_name=entry.actor_name or "",
        from_state=entry.from_state,
        to_state=entry.to_state,
        amount=None if entry.amount is None else money(entry.amount, entry.currency),
        place_count=entry.places,
        detail=entry.detail,
        staff_action="" if entry.action_id is None else resources.staff_action(entry.action_id),
    )


def backlog_message(kind: Backlog) -> pb.BacklogKind:
    """One kind of work."""
    return pb.BacklogKind(
        kind=kind.kind,
        waiting_count=kind.waiting,
        overdue=duration(kind.overdue),
        for_people_count=kind.for_people,
        remedy=kind.remedy,
    )


def provider_webhook_message(row: ProviderWebhook) -> pb.ProviderWebhook:
    """A message of a payment provider."""
    return pb.ProviderWebhook(
        name=resources.provider_webhook(row.id),
        provider=payment_pb2.Payment.Provider.ValueType(row.provider),
        event_id=row.event_id,
        event_type=row.kind,
        event_time=timestamp(row.event_time),
        state=pb.ProviderWebhook.State.ValueType(row.state),
        outcome=row.outcome or "",
        summary=row.summary,
        payment=row.payment_name or "",
        payment_reference=row.payment_reference or "",
        refund_reference=row.refund_reference or "",
        dispute_reference=row.dispute_reference or "",
        delivery_count=row.delivery_count,
        attempt_count=row.attempt_count,
        next_attempt_time=timestamp(row.next_attempt_time),
        create_time=timestamp(row.create_time),
        complete_time=timestamp(row.complete_time),
    )
