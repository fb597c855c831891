"""How the fake provider is to behave: what is scripted for one payment, and what happens by chance to the others."""

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Call(StrEnum):
    """What the provider is asked for."""

    CREATE = "create"
    CAPTURE = "capture"
    SHOW = "show"
    CLOSE = "close"
    REFUND = "refund"


class Behaviour(StrEnum):
    """What comes of one call."""

    DO = "do"
    DECLINE = "decline"
    SILENT_BEFORE = "silent-before"
    SILENT_AFTER = "silent-after"
    ERROR_BEFORE = "error-before"
    ERROR_AFTER = "error-after"
    GARBLED_AFTER = "garbled-after"
    BUSY = "busy"
    UNAUTHORIZED = "unauthorized"
    SLOW = "slow"
    PENDING = "pending"
    WRONG_AMOUNT = "wrong-amount"
    WRONG_CURRENCY = "wrong-currency"
    WRONG_PAYMENT = "wrong-payment"


class Delivery(StrEnum):
    """When the webhooks of a payment are sent. HELD ones are kept until somebody has them sent."""

    NORMAL = "normal"
    EARLY = "early"
    TWICE = "twice"
    FIVE_TIMES = "five-times"
    HELD = "held"
    NEVER = "never"


FAULTS: Final = (
    Behaviour.SILENT_BEFORE,
    Behaviour.SILENT_AFTER,
    Behaviour.ERROR_BEFORE,
    Behaviour.ERROR_AFTER,
    Behaviour.GARBLED_AFTER,
    Behaviour.BUSY,
    Behaviour.SLOW,
)
"""What may go wrong by chance: each leaves it open what was done, and none refuses the money."""


@dataclass(slots=True)
class Script:
    """What is to happen to one payment: the behaviours of each kind of call, one after the other, then DO."""

    calls: dict[Call, deque[Behaviour]] = field(default_factory=dict)
    delivery: Delivery | None = None


@dataclass(slots=True)
class Behaviours:
    """Those of one fake provider.

    Args:
        fault_rate: share of calls with a fault by chance, 0 to 1, where nothing is scripted.
        decline_rate: share of captures that are declined by chance, 0 to 1, where nothing is scripted.
        delivery: when webhooks are sent where nothing is scripted.
        chance: where chance comes from.
    """

    fault_rate: float = 0.0
    decline_rate: float = 0.0
    delivery: Delivery = Delivery.NORMAL
    chance: random.Random = field(default_factory=random.Random)
    _scripts: dict[str, Script] = field(default_factory=dict)

    def script(self, payment: str, call: Call, behaviours: Iterable[Behaviour]) -> None:
        """Say how the next calls of a kind about a payment end."""
        self._scripts.setdefault(payment, Script()).calls[call] = deque(behaviours)

    def deliver(self, payment: str, delivery: Delivery) -> None:
        """Say when the webhooks of a payment are sent."""
        self._scripts.setdefault(payment, Script()).delivery = delivery

    def next(self, payment: str | None, call: Call) -> Behaviour:
        """What comes of this call."""
        script = self._scripts.get(payment or "")
        if script is not None and (waiting := script.calls.get(call)):
            return waiting.popleft()
        if script is None and self.chance.random() < self.fault_rate:
            return self.chance.choice(FAULTS)
        if script is None and call is Call.CAPTURE and self.chance.random() < self.decline_rate:
            return Behaviour.DECLINE
        return Behaviour.DO

    def delivery_of(self, payment: str | None) -> Delivery:
        """When the webhooks of this payment are sent."""
        script = self._scripts.get(payment or "")
        return self.delivery if script is None or script.delivery is None else script.delivery
