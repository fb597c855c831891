"""What we write into Stripe's books beside a payment or a refund, so that both sides name the same thing."""

from typing import Final
from uuid import UUID

PAYMENT_KEY: Final = "payment"
"""Our resource name of the payment."""
PAYMENT_ID_KEY: Final = "payment_id"
REFUND_ID_KEY: Final = "refund_id"


def id_in(written: object) -> UUID | None:
    """An id of ours as it stands there; None: something else does."""
    try:
        return UUID(written) if isinstance(written, str) else None
    except ValueError:
        return None
