"""All tables, one file per area."""

from server.db.models import (
    accounts,
    books,
    box_office,
    catalogue,
    check_ins,
    contact,
    inventory,
    notifications,
    partner,
    payments,
    simulator,
    staff_actions,
    waiting_room,
    webhooks,
)
from server.db.models.base import Base

__all__ = [
    "Base",
    "accounts",
    "books",
    "box_office",
    "catalogue",
    "check_ins",
    "contact",
    "inventory",
    "notifications",
    "partner",
    "payments",
    "simulator",
    "staff_actions",
    "waiting_room",
    "webhooks",
]
