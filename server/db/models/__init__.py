"""All tables, one file per area."""

from server.db.models import (
    accounts,
    books,
    box_office,
    catalogue,
    contact,
    inventory,
    notifications,
    payments,
    simulator,
    webhooks,
)
from server.db.models.base import Base

__all__ = [
    "Base",
    "accounts",
    "books",
    "box_office",
    "catalogue",
    "contact",
    "inventory",
    "notifications",
    "payments",
    "simulator",
    "webhooks",
]
