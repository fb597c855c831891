"""The commands of `rowlock` for those who book and watch; `app` has them all."""

import typer

from rowlock_client.cli import (
    accounts,
    bookings,
    box_office,
    catalogue,
    contact,
    doors,
    gate,
    money_staff,
    notifications,
    operations,
    partner,
    payments,
    queue,
    refunds,
    reports,
    tickets,
    watch,
)

app = typer.Typer(no_args_is_help=True)

for _module in (
    accounts,
    catalogue,
    bookings,
    payments,
    refunds,
    money_staff,
    tickets,
    watch,
    doors,
    gate,
    box_office,
    contact,
    notifications,
    operations,
    reports,
):
    app.registered_commands += _module.app.registered_commands

app.add_typer(queue.app, name="queue")
app.add_typer(partner.app, name="partner")
