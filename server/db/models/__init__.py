"""All tables, one file per area."""

from server.db.models import accounts, catalogue, inventory, payments, simulator
from server.db.models.base import Base

__all__ = ["Base", "accounts", "catalogue", "inventory", "payments", "simulator"]
