"""Refunds: what went back, what is owed still, and seeing to those that a provider refused."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette_admin import ActionSelection, RequestAction, action, row_action
from starlette_admin.fields import StringField
from starlette_admin.flash import flash

from console import choices
from console.calling import call, one_by_one
from console.columns import Amount, Moment, Reference, State
from console.forms import choice, chosen, dialog, entered, said, words
from console.known import labels
from console.narrowing import Choice, Named, Narrowing, Words, member, worded, words_of
from console.records import Record
from console.resources import RpcView
from console.tables import performance_of, short
from rowlock.v1 import payment_pb2
from rowlock.v1.payment_pb2_grpc import PaymentServiceStub
from rowlock_client.rpc import Rpc

_State: Final = payment_pb2.Refund.State
_Method: Final = payment_pb2.Refund.Method


def _retry_dialog(_: Request, refund: Record[payment_pb2.Refund]) -> str:
    return dialog(
        said(f"The provider refused {refund.amount}: {refund.error_reason or 'it did not say why'}."),
        words("reason", "What is different now"),
    )


def _retry_all_dialog(_: Request) -> str:
    return dialog(
        said("Each that failed is tried anew; others stay as they are."), words("reason", "What is different now")
    )


def _settle_dialog(_: Request, refund: Record[payment_pb2.Refund]) -> str:
    return dialog(
        said(refund.discrepancy or f"{refund.amount} was paid back in another way than by the provider."),
        choice("method", "How", words_of(_Method), hint="Cash is counted in your open shift."),
        words("reference", "What proves it", most=200, hint="Such as the number of a transfer; the customer sees it."),
        words("reason", "Reason", required=True),
    )


class Refunds(RpcView[payment_pb2.Refund]):
    """All refunds, newest first."""

    key = "refunds"
    menu_label = "Refunds"
    display_name = "refund"
    icon = "fa fa-rotate-left"
    fields = (
        StringField("short", label="Refund", exclude_from_detail=True),
        Reference("payment", view="payments", text="payment_label"),
        Reference("booking", view="bookings", text="booking_label"),
        Reference("performance", view="performances", text="performance_label"),
        State("state"),
        Amount("amount"),
        StringField("reason", label="Why"),
        StringField("trouble", label="What is wrong", exclude_from_detail=True),
        StringField("error_reason", label="Why it failed", exclude_from_list=True),
        StringField("discrepancy", label="In doubt", exclude_from_list=True),
        Reference("requester", label="Asked for by", view="users", text="requester_label", exclude_from_list=True),
        StringField("provider_reference", label="The provider calls it", exclude_from_list=True),
        StringField("tickets_word", label="For tickets", exclude_from_list=True),
        StringField("settled", label="Paid back otherwise", exclude_from_list=True),
        Moment("create_time", label="Asked for"),
        Moment("next_attempt_time", label="Tried next", exclude_from_list=True),
        Moment("complete_time", label="Ended", exclude_from_list=True),
        StringField("name", label="Resource", exclude_from_list=True, copy_to_clipboard=True),
    )
    row_actions = ("view", "retry", "settle")
    actions = ("retry_all", "export")
    narrowing: ClassVar[Sequence[Narrowing]] = (
        Named("performance", "Performance", "performances", choices.performances),
        Words("booking", "Booking", "performances/7/bookings/…"),
        Choice("state", "State", words_of(_State)),
        Choice("only", "Only", (("discrepancies", "those in doubt"),)),
    )

    # -- Reading --------------------------------------------------------------------------------------------

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[payment_pb2.ListRefundsResponse]:
        """By performance or booking, by state, and whether something is in doubt."""
        performance = narrowed["performance"] or "performances/-"
        booking = narrowed["booking"] or f"{performance}/bookings/-"
        wanted = payment_pb2.ListRefundsRequest(
            parent=f"{booking}/payments/-",
            state=member(_State, narrowed["state"]),
            only_discrepancies=bool(narrowed["only"]),
        )
        return Rpc(PaymentServiceStub, "ListRefunds", wanted)

    def get_rpc(self, name: str) -> Rpc[payment_pb2.Refund]:
        """One refund."""
        return Rpc(PaymentServiceStub, "GetRefund", payment_pb2.GetRefundRequest(name=name))

    async def prepare(self, request: Request, messages: Sequence[payment_pb2.Refund]) -> None:
        """What people call the performances, and who asked for it or settled it."""
        names = [n for one in messages for n in (performance_of(one.name), one.requester, one.settlement.settler)]
        request.state.labels = await labels(request, names)

    async def record(self, request: Request, message: payment_pb2.Refund) -> Record[payment_pb2.Refund]:
        """A refund."""
        if request.state.action == RequestAction.DETAIL:
            await self.prepare(request, [message])
        known: Mapping[str, str] = getattr(request.state, "labels", {})
        performance, booking = performance_of(message.name), message.payment.rpartition("/payments/")[0]
        return Record(
            message,
            short=short(message.name),
            payment_label=short(message.payment),
            booking=booking,
            booking_label=short(booking),
            performance=performance,
            performance_label=known.get(performance, performance),
            trouble=message.discrepancy or message.error_reason,
            requester_label=known.get(message.requester, message.requester),
            tickets_word=f"{len(message.tickets)}" if message.tickets else "",
            settled=_settled(message, known),
        )

    # -- Changing -------------------------------------------------------------------------------------------

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """What the state of a refund allows."""
        failed = record.proto.state == _State.FAILED
        match name:
            case "retry":
                return bool(failed)
            case "settle":
                return bool(failed or record.discrepancy)
            case _:
                return True

    @row_action(
        name="retry",
        text="Try anew",
        confirmation="Ask the provider anew?",
        submit_btn_text="Try anew",
        exclude_from_list=True,
        form=_retry_dialog,
    )
    async def retry(self, request: Request, pk: Any) -> None:
        """Have it tried anew."""
        await self._retry(request, pk)
        flash(request, "The provider is asked anew.", "success")

    @action(
        name="retry_all",
        text="Try anew",
        confirmation="Ask the provider anew for those that are selected?",
        submit_btn_text="Try anew",
        form=_retry_all_dialog,
    )
    async def retry_all(self, request: Request, selection: ActionSelection) -> None:
        """Have several tried anew, one after the other."""
        names = sorted(await selection.pks())
        await one_by_one(names, lambda name: self._retry(request, name))
        flash(request, f"{len(names)} refunds are tried anew.", "success")

    async def _retry(self, request: Request, name: str) -> None:
        wanted = payment_pb2.RetryRefundRequest(name=name, reason=await entered(request, "reason"))
        await call(request, Rpc(PaymentServiceStub, "RetryRefund", wanted))

    @row_action(
        name="settle",
        text="Paid back otherwise",
        confirmation="Was it paid back in another way?",
        submit_btn_text="It is settled",
        exclude_from_list=True,
        form=_settle_dialog,
    )
    async def settle(self, request: Request, pk: Any) -> None:
        """Note that it was paid back in another way."""
        method: Any = await chosen(request, "method", _Method)
        reference, reason = await entered(request, "reference"), await entered(request, "reason")
        wanted = payment_pb2.SettleRefundRequest(name=pk, method=method, reference=reference, reason=reason)
        await call(request, Rpc(PaymentServiceStub, "SettleRefund", wanted))
        flash(request, "The refund is settled.", "success")


def _settled(refund: payment_pb2.Refund, known: Mapping[str, str]) -> str:
    if not refund.HasField("settlement"):
        return ""
    one = refund.settlement
    parts = [worded(_Method.Name(one.method)), one.reference, one.reason]
    who = known.get(one.settler, one.settler)
    return ", ".join(part for part in [*parts, f"by {who}" if who else ""] if part)
