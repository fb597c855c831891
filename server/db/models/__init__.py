"""All tables, one file per area."""

from server.db.models import accounts, catalogue, contact, inventory, notifications, payments, simulator, webhooks
from server.db.models.base import Base

__all__ = [
    "Base",
    "accounts",
    "catalogue",
    "contact",
    "inventory",
    "notifications",
    "payments",
    "simulator",
    "webhooks",
]
