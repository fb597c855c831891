"""Payments: what came in, by whom, and what is in doubt about it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette_admin import RequestAction, row_action
from starlette_admin.fields import StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call
from console.columns import Amount, Moment, Reference, State
from console.forms import choice, chosen, dialog, entered, money_of, said, words
from console.known import labels
from console.narrowing import Choice, Named, Narrowing, Words, member, worded, words_of
from console.pages.booking_parts import refunds_table
from console.records import Record
from console.resources import RpcView
from console.tables import Rows, performance_of, short
from rowlock.v1 import payment_pb2
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client.rpc import Rpc

_State: Final = payment_pb2.Payment.State
_Resolution: Final = payment_pb2.Payment.Resolution
_RESOLUTIONS: Final = (
    ("OURS", "It is this payment's: it buys the booking if it can, and goes back if it cannot"),
    ("GIVE_BACK", "It is this payment's, and goes back"),
    ("NOT_OURS", "It is not this payment's: nothing goes back"),
    ("ASK_AGAIN", "Ask the provider again"),
)


def _refund_dialog(_: Request, payment: Record[payment_pb2.Payment]) -> str:
    return dialog(
        said("Gives money back over every policy. The booking and its tickets stay as they are."),
        words("amount", "Amount", hint=f"Of {payment.amount}; empty: all that is left. Such as 12.50."),
        words("reason", "Reason", required=True),
    )


def _resolve_dialog(_: Request, payment: Record[payment_pb2.Payment]) -> str:
    return dialog(
        said(payment.discrepancy),
        choice("resolution", "Whose money is it?", _RESOLUTIONS),
        words("reason", "Reason", required=True),
    )


class Payments(RpcView[payment_pb2.Payment]):
    """All payments, newest first."""

    key = "payments"
    menu_label = "Payments"
    display_name = "payment"
    icon = "fa fa-credit-card"
    fields = (
        StringField("short", label="Payment", exclude_from_detail=True),
        Reference("booking", view="bookings", text="booking_label"),
        Reference("performance", view="performances", text="performance_label"),
        StringField("provider_word", label="Provider"),
        State("state"),
        Amount("amount"),
        Amount("refunded", label="Given back"),
        StringField("trouble", label="What is wrong", exclude_from_detail=True),
        StringField("discrepancy", label="In doubt", exclude_from_list=True),
        StringField("error_reason", label="Why it failed", exclude_from_list=True),
        StringField("provider_reference", label="The provider calls it", exclude_from_list=True),
        Reference("bought_booking", label="Bought another booking", view="bookings", exclude_from_list=True),
        StringField("resolution_word", label="Decided", exclude_from_list=True),
        StringField("resolution_reason", label="Decided because", exclude_from_list=True),
        Reference("resolver", label="Decided by", view="users", text="resolver_label", exclude_from_list=True),
        Moment("resolve_time", label="Decided on", exclude_from_list=True),
        Moment("create_time", label="Made"),
        Moment("complete_time", label="Ended", exclude_from_list=True),
        StringField("name", label="Resource", exclude_from_list=True, copy_to_clipboard=True),
        Rows("refunds", label="Refunds"),
    )
    row_actions = ("view", "refund", "resolve", "cancel")
    narrowing: ClassVar[Sequence[Narrowing]] = (
        Named("performance", "Performance", "performances", choices.performances),
        Words("booking", "Booking", "performances/7/bookings/…"),
        Choice("state", "State", words_of(_State)),
        Choice("only", "Only", (("discrepancies", "those in doubt"),)),
    )

    # -- Reading --------------------------------------------------------------------------------------------

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[payment_pb2.ListPaymentsResponse]:
        """By performance or booking, by state, and whether something is in doubt."""
        performance = narrowed["performance"] or "performances/-"
        wanted = payment_pb2.ListPaymentsRequest(
            parent=narrowed["booking"] or f"{performance}/bookings/-",
            state=member(_State, narrowed["state"]),
            only_discrepancies=bool(narrowed["only"]),
        )
        return Rpc(PaymentServiceStub, "ListPayments", wanted)

    def get_rpc(self, name: str) -> Rpc[payment_pb2.Payment]:
        """One payment."""
        return Rpc(PaymentServiceStub, "GetPayment", payment_pb2.GetPaymentRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[payment_pb2.Payment]) -> None:
        """What people call the performances, and who decided."""
        names = [name for one in messages for name in (performance_of(one.name), one.resolver)]
        request.state.labels = await labels(request, names)

    async def record(self, request: Request, message: payment_pb2.Payment) -> Record[payment_pb2.Payment]:
        """A payment; with its refunds on a page of its own."""
        more: dict[str, Any] = {}
        if request.state.action == RequestAction.DETAIL:
            await self.prepare(request, [message])
            wanted = payment_pb2.ListRefundsRequest(parent=message.name, page_size=1000)
            found: payment_pb2.ListRefundsResponse = await call(request, Rpc(PaymentServiceStub, "ListRefunds", wanted))
            more["refunds"] = refunds_table(request, found.refunds)
        known: Mapping[str, str] = getattr(request.state, "labels", {})
        performance = performance_of(message.name)
        return Record(
            message,
            short=short(message.name),
            booking_label=short(message.booking),
            performance=performance,
            performance_label=known.get(performance, performance),
            provider_word=worded(payment_pb2.Payment.Provider.Name(message.provider)),
            trouble=message.discrepancy or message.error_reason,
            resolver_label=known.get(message.resolver, message.resolver),
            resolution_word=worded(_Resolution.Name(message.resolution)) if message.resolution else "",
            **more,
        )

    # -- Changing -------------------------------------------------------------------------------------------

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """What the state of a payment allows."""
        state = record.proto.state
        match name:
            case "refund":
                return bool(state == _State.SUCCEEDED and record.amount != record.refunded)
            case "resolve":
                return bool(state != _State.SUCCEEDED and record.discrepancy)
            case "cancel":
                return state in {_State.CREATED, _State.REQUIRES_ACTION}
            case _:
                return True

    @row_action(
        name="refund",
        text="Give money back",
        confirmation="Give money back?",
        submit_btn_text="Give back",
        submit_btn_class="btn btn-danger",
        exclude_from_list=True,
        form=_refund_dialog,
    )
    async def refund(self, request: Request, pk: Any) -> None:
        """Give some or all of it back."""
        payment: payment_pb2.Payment = await call(request, self.get_rpc(pk))
        text = await entered(request, "amount")
        wanted = payment_pb2.RefundPaymentRequest(
            name=pk,
            amount=money_of(text, payment.amount.currency_code) if text else None,
            reason=await entered(request, "reason"),
        )
        refund: payment_pb2.Refund = await call(request, Rpc(PaymentServiceStub, "RefundPayment", wanted))
        flash(request, f"{Record(refund).amount} goes back.", "success")

    @row_action(
        name="resolve",
        text="Decide",
        confirmation="It is in doubt whose money was taken.",
        submit_btn_text="Decide so",
        exclude_from_list=True,
        modal_size="md",
        form=_resolve_dialog,
    )
    async def resolve(self, request: Request, pk: Any) -> None:
        """Say whose money it is."""
        resolution: Any = await chosen(request, "resolution", _Resolution)
        wanted = payment_pb2.ResolvePaymentRequest(
            name=pk, resolution=resolution, reason=await entered(request, "reason")
        )
        await call(request, Rpc(PaymentServiceStub, "ResolvePayment", wanted))
        flash(request, "Decided. A worker asks the provider once more, and then does so.", "success")

    @row_action(
        name="cancel",
        text="Give up",
        confirmation="Give this payment up? Nothing was taken; the booking stays held.",
        submit_btn_text="Give it up",
        exclude_from_list=True,
        form=lambda _, __: dialog(),
    )
    async def cancel(self, request: Request, pk: Any) -> None:
        """Give it up before money was taken."""
        await call(request, Rpc(PaymentServiceStub, "CancelPayment", payment_pb2.CancelPaymentRequest(name=pk)))
        flash(request, "The payment is given up.", "success")
