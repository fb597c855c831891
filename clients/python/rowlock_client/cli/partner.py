"""`rowlock partner`: API keys, the log of changes, and webhooks; for staff, and for partners with their key."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from rowlock.v1 import auth_pb2, auth_pb2_grpc, partner_pb2, partner_pb2_grpc
from rowlock_client.cli.options import API_KEY_VARIABLE, EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, print_json, print_table
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer(no_args_is_help=True, help="API keys, the log of changes and webhooks of partners.")

_Auth: Final = auth_pb2_grpc.AuthServiceStub
_Partners: Final = partner_pb2_grpc.PartnerServiceStub
_OWNER: Final = "users/me"
_FOLLOW_INTERVAL: Final = 1.0

Endpoint = Annotated[str, typer.Argument(metavar="WEBHOOK", help="As `rowlock partner webhooks` shows it.")]


class Permission(StrEnum):
    """What a key may be used for."""

    READ = "read"
    BOOK = "book"
    PAY = "pay"
    REFUND = "refund"
    WEBHOOKS = "webhooks"
    ALL_BOOKINGS = "all-bookings"


class Kind(StrEnum):
    """What changes are about."""

    BOOKING = "booking"
    PAYMENT = "payment"
    REFUND = "refund"
    TICKET = "ticket"
    PERFORMANCE = "performance"


Kinds = Annotated[list[Kind] | None, typer.Option("--kind", help="Of this kind only; may be given several times.")]


@app.command("add-key")
@told
def add_key(
    owner: Annotated[str, typer.Argument(metavar="USER", help="The account that answers for it: users/…")],
    *,
    name: Annotated[str, typer.Option(prompt="What is it for", help="Such as “Travel agency Miller”.")],
    permission: Annotated[
        list[Permission] | None, typer.Option(help="May be given several times; none: all but all-bookings.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="performances/…, events/… or venues/…; may be given several times.")
    ] = None,
    calls_per_minute: Annotated[int, typer.Option(min=0, help="0: as many as any account's.")] = 0,
    held_per_day: Annotated[int, typer.Option(min=0, help="Places that it may claim in a day; 0: no bound.")] = 0,
    sold_per_day: Annotated[int, typer.Option(min=0, help="Places that it may begin to pay; 0: no bound.")] = 0,
    days: Annotated[int, typer.Option(min=0, help="It ends after so many days; 0: never.")] = 365,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Make an API key for a partner. Its secret is shown once, here. For administrators.

    rowlock partner add-key users/0190… --name "Travel agency" --permission read --permission book --held-per-day 200
    """
    key = auth_pb2.ApiKey(
        display_name=name,
        role=auth_pb2.ROLE_PARTNER,
        scopes=scope or (),
        permissions=[auth_pb2.ApiKey.Permission.Value(one.name) for one in permission or ()],
        calls_per_minute=calls_per_minute,
        held_places_per_day=held_per_day,
        sold_places_per_day=sold_per_day,
        expire_time=_in_days(days),
    )
    request = auth_pb2.CreateApiKeyRequest(parent=owner, api_key=key)
    with connect(server, ca) as client:
        made: auth_pb2.CreateApiKeyResponse = client.call(Rpc(_Auth, "CreateApiKey", request))
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made.api_key.name}\n\n    {made.secret}\n")
    typer.echo(f"Nobody can read it again. To use it: export {API_KEY_VARIABLE}=…")


@app.command()
@told
def keys(
    owner: Annotated[str, typer.Argument(metavar="USER", help="Whose: users/…; without: everybody's.")] = "users/-",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List API keys, newest first, and what they have used up today. For administrators."""
    request = auth_pb2.ListApiKeysRequest(parent=owner, page_size=1000)
    with connect(server, ca) as client:
        page: auth_pb2.ListApiKeysResponse = client.call(Rpc(_Auth, "ListApiKeys", request))
    if as_json:
        print_json(page.api_keys)
        return
    rows = [
        (
            key.prefix,
            key.display_name,
            auth_pb2.Role.Name(key.role).removeprefix("ROLE_").lower(),
            ", ".join(_word(auth_pb2.ApiKey.Permission.Name(one)) for one in key.permissions) or "all",
            _used(key.held_places_today, key.held_places_per_day),
            _used(key.sold_places_today, key.sold_places_per_day),
            _ends(key),
            local_time(key.last_use_time) if key.HasField("last_use_time") else "never",
            key.name,
        )
        for key in page.api_keys
    ]
    columns = ("key", "for", "role", "may", "held today", "sold today", "ends", "last used", "name")
    print_table(columns, rows, empty="There are none.")


@app.command("revoke-key")
@told
def revoke_key(
    name: Annotated[str, typer.Argument(metavar="KEY", help="users/…/apiKeys/…, as `rowlock partner keys` shows it.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Make an API key useless, with every token got by it. For administrators."""
    with connect(server, ca) as client:
        client.call(Rpc(_Auth, "RevokeApiKey", auth_pb2.RevokeApiKeyRequest(name=name)))
    typer.echo("It is revoked.")


@app.command("rotate-key")
@told
def rotate_key(
    overlap: Annotated[int, typer.Option("--hours", min=0, max=720, help="The former one works for so long.")] = 168,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Get a successor of your API key, which is read from ROWLOCK_API_KEY. Both work until the former one ends."""
    former = os.environ.get(API_KEY_VARIABLE, "")
    if not former:
        raise Failure(f"set {API_KEY_VARIABLE} to the key that is to be replaced", EXIT_USAGE)
    request = auth_pb2.RotateApiKeyRequest(api_key=former)
    request.overlap.FromTimedelta(timedelta(hours=overlap))
    with connect(server, ca) as client:
        made: auth_pb2.RotateApiKeyResponse = client.call(Rpc(_Auth, "RotateApiKey", request, sends_token=False))
    if as_json:
        print_json(made)
        return
    typer.echo(f"    {made.secret}\n")
    typer.echo(f"Nobody can read it again. The former one ends {local_time(made.former_expire_time)}.")


@app.command()
@told
def changes(
    *,
    after: Annotated[int, typer.Option(min=0, help="Behind this position; 0: from the oldest that is kept.")] = 0,
    kind: Kinds = None,
    performance: Annotated[str, typer.Option(help="Of this performance only.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on for ever.")] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Read the log of changes: position, time, what happened, and to what.

    rowlock partner changes --after 4711 --kind booking --follow
    """
    position = after
    with connect(server, ca) as client:
        while True:
            request = partner_pb2.ListChangesRequest(
                after_position=position, page_size=1000, kinds=_kinds(kind), performance=performance
            )
            page: partner_pb2.ListChangesResponse = client.call(Rpc(_Partners, "ListChanges", request, repeatable=True))
            if as_json:
                if page.changes:
                    print_json(page.changes)
            else:
                for change in page.changes:
                    resource = getattr(change, change.WhichOneof("resource") or "booking")
                    typer.echo(f"{change.position}  {local_time(change.time)}  {change.type}  {resource.name}")
            position = page.next_position
            if not page.more:
                if not follow:
                    return
                time.sleep(_FOLLOW_INTERVAL)


@app.command()
@told
def webhooks(
    owner: Annotated[str, typer.Argument(metavar="USER", help="Whose; for staff, users/- are all.")] = _OWNER,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List webhook endpoints, newest first."""
    request = partner_pb2.ListWebhookEndpointsRequest(parent=owner, page_size=1000)
    with connect(server, ca) as client:
        page: partner_pb2.ListWebhookEndpointsResponse = client.call(Rpc(_Partners, "ListWebhookEndpoints", request))
    if as_json:
        print_json(page.webhook_endpoints)
        return
    rows = [
        (
            _health(one),
            one.uri,
            one.display_name,
            ", ".join(_word(partner_pb2.Change.Kind.Name(kind)) for kind in one.kinds) or "all",
            str(one.waiting_performances),
            one.name,
        )
        for one in page.webhook_endpoints
    ]
    print_table(("state", "address", "for", "told of", "waiting", "name"), rows, empty="There are none.")


@app.command("add-webhook")
@told
def add_webhook(
    uri: Annotated[str, typer.Argument(metavar="ADDRESS", help="https://…, on the public internet.")],
    *,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    kind: Kinds = None,
    owner: Annotated[str, typer.Option(help="Whose; for staff.")] = _OWNER,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Have changes sent to an address from now on. The secret that signs them is shown once, here.

    rowlock partner add-webhook https://example.com/rowlock --kind booking --kind payment
    """
    wanted = partner_pb2.WebhookEndpoint(uri=uri, display_name=name, kinds=_kinds(kind))
    request = partner_pb2.CreateWebhookEndpointRequest(parent=owner, webhook_endpoint=wanted)
    with connect(server, ca) as client:
        made: partner_pb2.CreateWebhookEndpointResponse = client.call(Rpc(_Partners, "CreateWebhookEndpoint", request))
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made.webhook_endpoint.name}\n\n    {made.secret}\n")
    typer.echo(f"Nobody can read it again. Try it: rowlock partner test-webhook {made.webhook_endpoint.name}")


@app.command("test-webhook")
@told
def send_test(endpoint: Endpoint, server: Server = DEFAULT_TARGET, ca: CaFile = None) -> None:
    """Have one message of the type “test” sent. What came of it: rowlock partner deliveries."""
    request = partner_pb2.TestWebhookEndpointRequest(name=endpoint)
    with connect(server, ca) as client:
        answer: partner_pb2.TestWebhookEndpointResponse = client.call(Rpc(_Partners, "TestWebhookEndpoint", request))
    typer.echo(f"{answer.webhook_id} is on its way. See: rowlock partner deliveries {endpoint}")


@app.command()
@told
def deliveries(
    endpoint: Endpoint,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List attempts to deliver to an endpoint, newest first, and how they were answered."""
    request = partner_pb2.ListWebhookDeliveriesRequest(parent=endpoint, page_size=most, failed_only=failed)
    with connect(server, ca) as client:
        page: partner_pb2.ListWebhookDeliveriesResponse = client.call(Rpc(_Partners, "ListWebhookDeliveries", request))
    if as_json:
        print_json(page.deliveries)
        return
    rows = [
        (
            local_time(one.create_time),
            _word(partner_pb2.WebhookDelivery.Outcome.Name(one.outcome)),
            one.type,
            str(one.attempt),
            one.error or str(one.status),
            f"{one.duration.ToMilliseconds()} ms",
            str(one.position or ""),
            one.webhook_id,
        )
        for one in page.deliveries
    ]
    columns = ("when", "outcome", "message", "attempt", "answer", "took", "position", "webhook-id")
    print_table(columns, rows, empty="Nothing was sent yet.")


@app.command()
@told
def replay(
    endpoint: Endpoint,
    *,
    after: Annotated[int, typer.Option(min=0, help="Behind this position; 0: all that is kept.")],
    performance: Annotated[str, typer.Option(help="Of this performance only.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Have everything behind a position sent again, in order, under the same ids."""
    request = partner_pb2.ReplayDeliveriesRequest(name=endpoint, after_position=after, performance=performance)
    with connect(server, ca) as client:
        answer: partner_pb2.ReplayDeliveriesResponse = client.call(Rpc(_Partners, "ReplayDeliveries", request))
    typer.echo(f"{answer.performance_count} performances begin anew.")


@app.command()
@told
def switch(
    endpoint: Endpoint,
    on: Annotated[bool, typer.Option("--on/--off", help="What it missed is sent when it is on again.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Switch an endpoint off or on."""
    wanted = partner_pb2.WebhookEndpoint(name=endpoint, disabled=not on)
    mask = FieldMask(paths=["disabled"])
    request = partner_pb2.UpdateWebhookEndpointRequest(webhook_endpoint=wanted, update_mask=mask)
    with connect(server, ca) as client:
        client.call(Rpc(_Partners, "UpdateWebhookEndpoint", request))
    typer.echo("It is on." if on else "It is off.")


@app.command("rotate-secret")
@told
def rotate_secret(
    endpoint: Endpoint,
    overlap: Annotated[int, typer.Option("--hours", min=0, max=720, help="Both sign for so long.")] = 24,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Give an endpoint another secret, which is shown once, here."""
    request = partner_pb2.RotateWebhookSecretRequest(name=endpoint)
    request.overlap.FromTimedelta(timedelta(hours=overlap))
    with connect(server, ca) as client:
        made: partner_pb2.RotateWebhookSecretResponse = client.call(Rpc(_Partners, "RotateWebhookSecret", request))
    typer.echo(f"    {made.secret}\n\nNobody can read it again.")


@app.command("delete-webhook")
@told
def delete_webhook(endpoint: Endpoint, server: Server = DEFAULT_TARGET, ca: CaFile = None) -> None:
    """Delete an endpoint, with the record of its deliveries."""
    with connect(server, ca) as client:
        client.call(Rpc(_Partners, "DeleteWebhookEndpoint", partner_pb2.DeleteWebhookEndpointRequest(name=endpoint)))
    typer.echo("It is gone.")


def _kinds(chosen: list[Kind] | None) -> list[partner_pb2.Change.Kind.ValueType]:
    return [partner_pb2.Change.Kind.Value(one.name) for one in chosen or ()]


def _in_days(days: int) -> Timestamp | None:
    if not days:
        return None
    end = Timestamp()
    end.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    return end


def _word(name: str) -> str:
    return name.lower().replace("_", " ")


def _used(used: int, most: int) -> str:
    return f"{used} of {most}" if most else ""


def _ends(key: auth_pb2.ApiKey) -> str:
    if key.HasField("revoke_time"):
        return "revoked"
    return local_time(key.expire_time) if key.HasField("expire_time") else "never"


def _health(endpoint: partner_pb2.WebhookEndpoint) -> str:
    if endpoint.disabled:
        return f"off: {endpoint.disable_reason}" if endpoint.disable_reason else "off"
    if endpoint.HasField("failing_since_time"):
        return f"failing since {local_time(endpoint.failing_since_time)}"
    return "on"
