"""Places for commands that name none: best available and general admission, picked before anything is locked."""

import random
from collections.abc import Iterable
from datetime import datetime

from server.errors import FailedPrecondition
from server.seats.best_available import Want as SeatsWanted
from server.seats.best_available import choose, choose_ga
from server.seats.commands import BestAvailable, Claim, Hold, Want
from server.seats.rules import SaleRules
from server.states import SeatState


def pick(rules: SaleRules, states: bytearray, command: Hold, now: datetime) -> tuple[Claim, ...] | None:
    """Pick places for every want of ``command`` and mark them in ``states``, so that nobody else gets them.

    Args:
        rules: the sale rules of the performance.
        states: a working copy of the board: one ``SeatState`` number a place.
        command: the hold.
        now: a rough time, to leave out ticket types that are not on sale.

    Returns:
        The claims, or None where fewer places are left than wanted.
    """
    picked: list[Claim] = []
    for want in command.wants:
        places = _places(rules, states, want, now)
        if places is None:
            release(states, picked)
            return None
        for place in places:
            states[place] = SeatState.HELD
            picked.append(Claim(place, want.ticket_type_id))
    return tuple(picked)


def release(states: bytearray, claims: Iterable[Claim]) -> None:
    """Take back what ``pick`` marked."""
    for claim in claims:
        states[claim.place] = SeatState.AVAILABLE


def sold_out() -> FailedPrecondition:
    """The refusal of a want that cannot be met."""
    return FailedPrecondition("SOLD_OUT", "not enough tickets: fewer places are left than wanted")


def _places(rules: SaleRules, states: bytearray, want: Want, now: datetime) -> tuple[int, ...] | None:
    zones = _zones(rules, want, now)
    if isinstance(want, BestAvailable):
        if want.zone:
            zones &= {want.zone}
        return choose(rules.hall, states, SeatsWanted(want.quantity, zones, want.section or None))
    # A random start makes two processes rarely reach for the same places.
    return choose_ga(
        rules.hall, states, want.quantity, zones=zones, area=want.area or None, offset=random.randrange(1 << 16)
    )


def _zones(rules: SaleRules, want: Want, now: datetime) -> frozenset[str]:
    kinds = rules.ticket_types.values()
    if want.ticket_type_id is not None:
        kinds = [kind for kind in kinds if kind.id == want.ticket_type_id]  # type: ignore[assignment]
    selling = [kind for kind in kinds if kind.is_on_sale(now)]
    return frozenset(zone.name for zone in rules.hall.zones if any(kind.covers(zone.name) for kind in selling))
