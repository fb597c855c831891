"""`rowlock contact`, `ask`; for staff: `inquiries`, `answer`, `set-contact`, `add-link`, `remove-link`."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from rowlock.v1 import contact_pb2 as pb
from rowlock.v1 import contact_pb2_grpc
from rowlock_client.cli.options import EXIT_USAGE, CaFile, Failure, Json, Server, connect, told
from rowlock_client.cli.output import local_time, print_json, print_table
from rowlock_client.client import Client
from rowlock_client.connecting import DEFAULT_TARGET
from rowlock_client.rpc import Rpc

app = typer.Typer()

_Contact: Final = contact_pb2_grpc.ContactServiceStub


@app.command()
@told
def contact(server: Server = DEFAULT_TARGET, ca: CaFile = None, as_json: Json = False) -> None:
    """Say where the house is, how to reach it, and where else it can be found."""
    with connect(server, ca) as client:
        info: pb.ContactInfo = client.call(
            Rpc(_Contact, "GetContactInfo", pb.GetContactInfoRequest(name="contactInfo"))
        )
        links = _links(client)
    if as_json:
        print_json([info, *links])
        return
    said = (info.display_name, info.address, info.phone, info.email, info.opening_hours)
    typer.echo("\n".join(line for line in said if line) or "The house has not said where it is yet.")
    if links:
        typer.echo()
        print_table(
            ("elsewhere", "address", "name"), [(one.display_name, one.uri, one.name) for one in links], empty=""
        )


@app.command()
@told
def ask(
    subject: Annotated[str, typer.Argument(help='What it is about: "Wheelchairs".')],
    *,
    email: Annotated[str, typer.Option(prompt="Your e-mail address", help="Where the answer goes.")],
    name: Annotated[str, typer.Option(prompt="Your name", help="Who asks.")],
    message: Annotated[str, typer.Option(help="The question; without: read from standard input.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Ask the house something. The answer comes by mail.

    rowlock ask "Wheelchairs" --message "Is there a ramp?"
    """
    words = message or _read("Your question; end it with Ctrl-D:")
    inquiry = pb.Inquiry(sender_name=name, sender_email=email, subject=subject, message=words)
    with connect(server, ca) as client:
        taken: pb.SubmitInquiryResponse = client.call(
            Rpc(_Contact, "SubmitInquiry", pb.SubmitInquiryRequest(inquiry=inquiry))
        )
    typer.echo(f"Thank you. The answer goes to {email}. ({taken.name})")


@app.command()
@told
def inquiries(
    everything: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """List the inquiries that wait for an answer, newest first. For staff."""
    state = pb.Inquiry.STATE_UNSPECIFIED if everything else pb.Inquiry.OPEN
    rpc: Rpc[pb.ListInquiriesResponse] = Rpc(_Contact, "ListInquiries", pb.ListInquiriesRequest(state=state))
    with connect(server, ca) as client:
        found = [one for page in client.pages(rpc) for one in page.inquiries]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            local_time(one.create_time),
            pb.Inquiry.State.Name(one.state).lower(),
            f"{one.sender_name} <{one.sender_email}>",
            one.subject,
            one.name,
        )
        for one in found
    ]
    print_table(("asked", "state", "by", "about", "inquiry"), rows, empty="No inquiry waits for an answer.")


@app.command()
@told
def answer(
    inquiry: Annotated[str, typer.Argument(help="Its name, as `rowlock inquiries` shows it.")],
    words: Annotated[str, typer.Argument(metavar="[ANSWER]", help="Without: read from standard input.")] = "",
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Answer an inquiry, once; the answer is mailed. For staff.

    Without an answer on the command line the question is shown first.
    """
    with connect(server, ca) as client:
        if not words:
            asked: pb.Inquiry = client.call(Rpc(_Contact, "GetInquiry", pb.GetInquiryRequest(name=inquiry)))
            typer.echo(f"{asked.subject}\n\n{asked.message}\n", err=True)
            words = _read("Your answer; end it with Ctrl-D:")
        answered: pb.Inquiry = client.call(
            Rpc(_Contact, "AnswerInquiry", pb.AnswerInquiryRequest(name=inquiry, answer=words))
        )
    if as_json:
        print_json(answered)
    else:
        typer.echo(f"Answered; a mail to {answered.sender_email} is on its way.")


@app.command("set-contact")
@told
def set_contact(
    *,
    name: Annotated[str | None, typer.Option(help="The name of the house.")] = None,
    email: Annotated[str | None, typer.Option(help="The address for the public.")] = None,
    phone: Annotated[str | None, typer.Option(help="As people write it.")] = None,
    address: Annotated[str | None, typer.Option(help="The postal address.")] = None,
    opening_hours: Annotated[str | None, typer.Option(help="When the house can be reached.")] = None,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Change what `rowlock contact` says; what is not given stays, "" empties. For staff."""
    given = {"display_name": name, "email": email, "phone": phone, "address": address, "opening_hours": opening_hours}
    values = {path: value for path, value in given.items() if value is not None}
    if not values:
        raise Failure("say what to change: see --help", EXIT_USAGE)
    info = pb.ContactInfo()
    for path, value in values.items():
        setattr(info, path, value)
    request = pb.UpdateContactInfoRequest(contact_info=info, update_mask=FieldMask(paths=sorted(values)))
    with connect(server, ca) as client:
        changed: pb.ContactInfo = client.call(Rpc(_Contact, "UpdateContactInfo", request))
    if as_json:
        print_json(changed)
    else:
        typer.echo("Changed.")


@app.command("add-link")
@told
def add_link(
    name: Annotated[str, typer.Argument(help='What people call it: "Mastodon".')],
    uri: Annotated[str, typer.Argument(help="Where it leads: https://…")],
    *,
    position: Annotated[int, typer.Option(help="Links stand in the order of their positions.")] = 0,
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
    as_json: Json = False,
) -> None:
    """Say where else the house can be found. For staff."""
    link = pb.SocialLink(display_name=name, uri=uri, position=position)
    with connect(server, ca) as client:
        made: pb.SocialLink = client.call(
            Rpc(_Contact, "CreateSocialLink", pb.CreateSocialLinkRequest(social_link=link))
        )
    if as_json:
        print_json(made)
    else:
        typer.echo(f"Added as {made.name}.")


@app.command("remove-link")
@told
def remove_link(
    link: Annotated[str, typer.Argument(help="Its name, as `rowlock contact` shows it.")],
    server: Server = DEFAULT_TARGET,
    ca: CaFile = None,
) -> None:
    """Take a link away. For staff."""
    with connect(server, ca) as client:
        client.call(Rpc(_Contact, "DeleteSocialLink", pb.DeleteSocialLinkRequest(name=link)))
    typer.echo("Removed.")


def _links(client: Client) -> list[pb.SocialLink]:
    rpc: Rpc[pb.ListSocialLinksResponse] = Rpc(_Contact, "ListSocialLinks", pb.ListSocialLinksRequest())
    return [one for page in client.pages(rpc) for one in page.social_links]


def _read(prompt: str) -> str:
    """Everything on standard input."""
    if sys.stdin.isatty():
        typer.echo(prompt, err=True)
    words = sys.stdin.read().strip()
    if not words:
        raise Failure("nothing was said, so nothing was sent", EXIT_USAGE)
    return words
