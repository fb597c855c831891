"""All tables, one file per area."""

from server.db.models import accounts, catalogue, inventory, payments
from server.db.models.base import Base

__all__ = ["Base", "accounts", "catalogue", "inventory", "payments"]
