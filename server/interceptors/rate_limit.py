"""How often one account and one address may call.

Every limit is a bucket that refills steadily ("generic cell rate algorithm"): ``600/minute`` lets 600 calls through
at once and then ten a second, with no edge of a window at which twice as many pass. Its whole state is one number
per key: the time at which the bucket would be full again.

Calls per account and per address are counted in this process, because asking Redis would cost more than the call.
What guesses at passwords is counted in Redis, for all processes together; while Redis is away, here, as Redis is
speed and never truth.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from server.call import address, limits_wanted
from server.errors import ResourceExhausted
from server.interceptors.authentication import Caller, optional_caller
from server.interceptors.method import Admit, Context, Method
from server.interceptors.rate_fields import tell
from server.rates import Rate
from server.redis_clients import RedisClient

CREDENTIAL_METHODS: Final = frozenset(
    f"/rowlock.v1.AuthService/{name}"
    for name in (
        "SignUp",
        "LogIn",
        "ExchangeApiKey",
        "RotateApiKey",
        "VerifyEmail",
        "ResendVerification",
        "RequestPasswordReset",
        "ConfirmPasswordReset",
        "ChangePassword",
    )
)
"""Methods that somebody without an account may use to guess, or to make us send mail."""

WEBHOOK_METHOD: Final = "/rowlock.v1.PaymentService/HandleProviderWebhook"
"""What payment providers call, each from few addresses and at times in thousands: counted apart from people's calls."""

_PAUSE_AFTER_FAULT: Final = 5.0

# KEYS[1]: the bucket. ARGV: microseconds per call, microseconds of the period.
# Answers as `LocalBuckets.take`, in microseconds. The clock is Redis's, shared by all processes.
_SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
local over = full - now - tonumber(ARGV[2])
if over <= 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
return over
"""

_log = logging.getLogger(__name__)


class LocalBuckets:
    """One bucket per key, in this process.

    Args:
        rate: what each key may do.
        clock: seconds, never going back.
        room: keys that are kept before those whose bucket is full are dropped.
    """

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic, room: int = 50_000) -> None:
        self.rate = rate
        self._period = rate.period
        self._per_call = rate.period / rate.calls
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}
        self._room = self._next_sweep = room

    def wait(self, key: Hashable) -> float:
        """Take one call out of the bucket of ``key``: 0, or, when it is empty, the seconds until the next."""
        return max(self.take(key), 0.0)

    def take(self, key: Hashable) -> float:
        """The same, but of a call that passes it is told what is left behind it.

        Returns:
            the seconds until the next call may pass, or, not above 0, how many seconds' worth of calls is left.
        """
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now) + self._per_call
        over = full_at - now - self._period
        if over > 1e-9:
            return over
        self._full_at[key] = full_at
        if len(self._full_at) > self._next_sweep:
            self._sweep(now)
        return min(over, 0.0)

    def _sweep(self, now: float) -> None:
        """A full bucket is the same as none. Sweeping at twice the size keeps its cost per call constant."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        self._next_sweep = max(self._room, 2 * len(self._full_at))


class SharedBuckets:
    """One bucket per key, in Redis; in this process while Redis does not answer.

    Args:
        redis: a client whose time-outs are short.
        prefix: first part of the keys.
        rate: what each key may do.
    """

    def __init__(self, redis: RedisClient, prefix: str, rate: Rate) -> None:
        self.rate = rate
        self._prefix = prefix
        self._script = redis.register_script(_SCRIPT)
        self._arguments = [int(rate.period / rate.calls * 1e6), int(rate.period * 1e6)]
        self._local = LocalBuckets(rate)
        self._away_until = 0.0

    async def wait(self, key: str) -> float:
        """As ``LocalBuckets.wait``."""
        return max(await self.take(key), 0.0)

    async def take(self, key: str) -> float:
        """As ``LocalBuckets.take``."""
        if time.monotonic() >= self._away_until:
            try:
                return int(await self._script(keys=[self._prefix + key], args=self._arguments)) / 1e6
            except (RedisError, OSError) as error:
                # Not asked again for a moment: each question to a Redis that hangs would cost a time-out.
                self._away_until = time.monotonic() + _PAUSE_AFTER_FAULT
                _log.warning("rate limits are counted per process while Redis is away: %s", type(error).__name__)
        return self._local.take(key)


class KeyBuckets:
    """One bucket per API key that has a rate of its own, in Redis, for all processes together.

    Args:
        redis: a client whose time-outs are short.
        prefix: first part of the keys.
    """

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._by_rate: dict[int, SharedBuckets] = {}

    def of(self, calls_per_minute: int) -> SharedBuckets:
        """The buckets of all keys with this rate."""
        buckets = self._by_rate.get(calls_per_minute)
        if buckets is None:
            rate = Rate(calls_per_minute, 60.0)
            buckets = self._by_rate[calls_per_minute] = SharedBuckets(self._redis, self._prefix, rate)
        return buckets


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits; None switches one off."""

    per_account: LocalBuckets | None = None
    per_address: LocalBuckets | None = None
    credentials: SharedBuckets | None = None
    webhooks: LocalBuckets | None = None
    keys: KeyBuckets | None = None

    def guard(self, method: Method) -> Admit | None:
        """The guard of one method."""
        if method.path in CREDENTIAL_METHODS and self.credentials is not None:
            return self._admit_guessing
        if method.path == WEBHOOK_METHOD:
            return self._admit_webhook if self.webhooks is not None else None
        return self._admit if self.per_account or self.per_address or self.keys else None

    def _admit(self, context: Context) -> Awaitable[None] | None:
        if self.per_address is not None:
            _pass(context, "address", self.per_address.rate, self.per_address.take(address.get()))
        known = optional_caller()
        if known is None:
            return None
        if known.calls_per_minute and self.keys is not None:
            return _admit_key(context, known, self.keys.of(known.calls_per_minute))
        if self.per_account is not None:
            account = known.family_id or known.key_id or known.user_id
            _pass(context, "account", self.per_account.rate, self.per_account.take(account))
        return None

    def _admit_webhook(self, context: Context) -> None:
        if self.webhooks is not None:
            _pass(context, "webhooks", self.webhooks.rate, self.webhooks.take(address.get()))

    def _admit_guessing(self, context: Context) -> Awaitable[None]:
        self._admit(context)
        return self._admit_shared(context)

    async def _admit_shared(self, context: Context) -> None:
        if self.credentials is not None:
            over = await self.credentials.take(address.get())
            _pass(context, "credentials", self.credentials.rate, over)


async def _admit_key(context: Context, known: Caller, buckets: SharedBuckets) -> None:
    """The rate of a key's own stands in for that of accounts, be it lower or higher."""
    _pass(context, "key", buckets.rate, await buckets.take(str(known.family_id or known.grant)))


def _pass(context: Context, limit: str, rate: Rate, over: float) -> None:
    """Let a call pass, or refuse it, by what taking it out of its bucket gave; tell callers who want to know."""
    if limits_wanted.get():
        tell(context, limit, rate, over)
    if over > 0:
        raise _too_many(limit, over)


def _too_many(limit: str, wait: float) -> ResourceExhausted:
    whose = {"account": "account", "key": "API key"}.get(limit, "network address")
    return ResourceExhausted(
        "RATE_LIMITED", f"too many calls from this {whose}; come back later", retry_after=wait, limit=limit
    )
