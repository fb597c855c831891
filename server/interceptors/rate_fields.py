"""Tells callers how near they are to a limit, in the words of HTTP's fields RateLimit and RateLimit-Policy.

They are those of the IETF's draft-ietf-httpapi-ratelimit-headers-10: a policy is named, with its quota ``q`` and the
seconds ``w`` in which it is given anew; of each the calls that remain are told (``r``), and the seconds until all of
the quota is there again (``t``). They travel as trailing metadata, which the gateway makes headers of.

Four texts more in an answer cost a call some 5 % of its time, and most callers that speak gRPC never look at them: so
they are for those who ask, by ``WANTED_KEY`` in their metadata, as the gateway does.
"""

import math
from typing import Final

from server.interceptors.method import Context
from server.rates import Rate

WANTED_KEY: Final = "rowlock-ratelimit"
"""Whoever sends this, with whatever value, is told."""

LEFT_KEY: Final = "ratelimit"
POLICY_KEY: Final = "ratelimit-policy"


def tell(context: Context, limit: str, rate: Rate, over: float) -> None:
    """Add one limit to what the caller is told.

    Args:
        context: of the call.
        limit: what is limited, as ``RATE_LIMITED`` calls it: account, address, key, credentials, webhooks.
        rate: how much.
        over: what taking the call out of its bucket gave, see ``LocalBuckets.take``.
    """
    # Rounded, as the last call of a bucket must not be lost between two floats.
    left = max(int(-over * rate.calls / rate.period + 1e-6), 0)
    full_in = math.ceil(max(over + rate.period, 0.0))
    context.set_trailing_metadata(
        (
            *(context.trailing_metadata() or ()),
            (LEFT_KEY, f'"{limit}";r={left};t={full_in}'),
            (POLICY_KEY, f'"{limit}";q={rate.calls};w={rate.period:.0f}'),
        )
    )
