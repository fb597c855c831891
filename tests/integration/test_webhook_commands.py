"""`rowlock webhooks`, called as a shell would."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from typer.testing import CliRunner, Result

from server.cli import build
from server.db.engine import Database
from server.domain import webhooks
from server.payments.webhook_port import ProviderEvent
from server.states import Provider, WebhookSubject


def run(url: str, *arguments: str) -> Result:
    environment = {"ROWLOCK_DATABASE_URL": url, "COLUMNS": "200"}
    return CliRunner(env=environment).invoke(build("webhooks"), ["webhooks", *arguments], catch_exceptions=False)


def dispute(database: Database) -> UUID:
    """A message that waits for people."""
    event = ProviderEvent(
        "evt_1", "charge.dispute.created", datetime.now(UTC), WebhookSubject.DISPUTE, summary="dispute dp_1 fraudulent"
    )
    database.run_transaction(lambda s: webhooks.receive(s, Provider.STRIPE, event, b'{"a": "\x1b[2J"}', {}))
    (message,) = database.run_transaction(lambda s: webhooks.take_due(s, 1, timedelta(minutes=1)))
    database.run_transaction(lambda s: webhooks.needs_attention(s, message, "DISPUTE"))
    return message.webhook_id


def test_what_waits_for_people_is_listed_shown_tried_again_and_closed(
    fresh_database: Database, fresh_database_url: str
) -> None:
    nothing = run(fresh_database_url, "list")
    assert (nothing.exit_code, nothing.stdout) == (0, "None waits for anybody.\n")

    webhook_id = str(dispute(fresh_database))
    listed = run(fresh_database_url, "list")
    assert listed.exit_code == 1, "so that a monitor notices"
    assert f"{webhook_id}  " in listed.stdout
    assert "STRIPE  charge.dispute.created  ATTENTION  DISPUTE  (dispute dp_1 fraudulent)" in listed.stdout

    shown = run(fresh_database_url, "show", webhook_id)
    assert "event: evt_1" in shown.stdout
    assert "\x1b" not in shown.stdout, "what somebody else wrote does not steer the terminal"

    assert run(fresh_database_url, "retry", webhook_id).stdout == "1 will be acted on.\n"
    assert "RECEIVED" in run(fresh_database_url, "list", "--state", "all").stdout

    (message,) = fresh_database.run_transaction(lambda s: webhooks.take_due(s, 1, timedelta(minutes=1)))
    fresh_database.run_transaction(lambda s: webhooks.needs_attention(s, message, "DISPUTE"))
    assert run(fresh_database_url, "close", webhook_id, "--note", "evidence sent").stdout == "1 closed.\n"
    assert "DONE  DISPUTE | closed by staff: evidence sent" in run(fresh_database_url, "show", webhook_id).stdout
    assert run(fresh_database_url, "list").exit_code == 0


def test_wrong_words_are_explained(fresh_database_url: str) -> None:
    absent = run(fresh_database_url, "show", str(UUID(int=7)))
    assert (absent.exit_code, absent.stderr) == (1, f"providerWebhooks/{UUID(int=7)} was not found\n")
    assert run(fresh_database_url, "retry").exit_code == 2
    assert run(fresh_database_url, "retry", "--all", str(UUID(int=7))).exit_code == 2
    assert run(fresh_database_url, "close", "no-id", "--note", "x").exit_code == 2
