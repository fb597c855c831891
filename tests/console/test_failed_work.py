"""The page of failed work: mails, messages of providers and webhooks, each with its remedy."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from playwright.sync_api import expect
from sqlalchemy import text
from sqlalchemy.orm import Session

from server import clock
from server.db.ids import new_id
from server.db.models.partner import WebhookEndpoint
from server.domain import webhooks
from server.payments.webhook_port import ProviderEvent
from server.states import NotificationState, Provider, Role, WebhookSubject
from tests.axe import serious
from tests.console.conftest import BackOffice, Visitor
from tests.console.selling import told

Visit = Callable[..., Visitor]


def fail_everything(session: Session, email: str) -> tuple[UUID, UUID]:
    """Work of several kinds that workers have given up, of the account with this address.

    Returns:
        The ids of the message of a provider and of the webhook.
    """
    event = ProviderEvent("evt_1", "charge.dispute.created", datetime.now(UTC), WebhookSubject.DISPUTE, summary="fraud")
    webhooks.receive(session, Provider.STRIPE, event, b"{}", {})
    (message,) = webhooks.take_due(session, 1, timedelta(minutes=1))
    webhooks.needs_attention(session, message, "DISPUTE")
    session.execute(
        text(
            "UPDATE notifications SET state = 3, next_attempt_time = NULL, error_reason = '550 no such box' "
            "WHERE email = :email"
        ),
        {"email": email},
    )
    owner = session.execute(text("SELECT id FROM users WHERE email = :email"), {"email": email}).scalar_one()
    endpoint = WebhookEndpoint(
        id=new_id(),
        user_id=owner,
        uri="https://partner.example/hooks",
        display_name="Accounting",
        secret=b"secret",
        disable_time=clock.now(),
        disable_reason="nothing was taken for three days",
    )
    session.add(endpoint)
    return message.webhook_id, endpoint.id


def test_what_workers_gave_up_is_done_from_one_page(office: BackOffice, visit: Visit) -> None:
    email = office.account(name="Ada")
    message, endpoint = office.database.run_transaction(lambda session: fail_everything(session, email))
    desk = visit("/failed-work", office.account(Role.STAFF))
    assert serious(desk.page) == []

    mails = desk.page.get_by_role("form", name="Mails that could not be sent")
    expect(mails).to_contain_text("550 no such box")
    expect(mails).to_contain_text(email)
    mails.get_by_role("button", name="Send again").click()
    told(desk.page).to_contain_text("Mails that are sent again: 1.")
    expect(mails).to_have_count(0)
    state = "SELECT state FROM notifications WHERE email = :email"
    assert one(office, state, email=email) == NotificationState.QUEUED

    messages = desk.page.get_by_role("form", name="Messages of payment providers that could not be acted on")
    expect(messages).to_contain_text("fraud")
    messages.get_by_role("checkbox").uncheck()
    messages.get_by_role("button", name="Act on them once more").click()
    told(desk.page).to_contain_text("Choose at least one.")
    messages.get_by_role("button", name="Act on them once more").click()
    told(desk.page).to_contain_text("Messages that are acted on once more: 1.")
    recorded = "SELECT resources FROM staff_actions WHERE method = 'OperationsService.RetryProviderWebhooks'"
    assert one(office, recorded) == [f"providerWebhooks/{message}"]

    switched_off = desk.page.get_by_role("form", name="Partners' webhooks that were switched off")
    expect(switched_off).to_contain_text("nothing was taken for three days")
    switched_off.get_by_role("button", name="Switch on again").click()
    told(desk.page).to_contain_text("Webhooks that are switched on again: 1.")
    assert one(office, "SELECT disable_reason FROM webhook_endpoints WHERE id = :id", id=endpoint) == ""


def one(office: BackOffice, statement: str, **values: object) -> object:
    """The one value of a statement's one row."""
    return office.database.run_transaction(lambda session: session.execute(text(statement), values).scalar_one())
