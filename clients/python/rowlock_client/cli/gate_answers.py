"""What a gate says about a scan: in words first, then in colour. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from rowlock_client.doors import Verdict
from rowlock_client.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RowlockError,
    Unauthenticated,
    Unimplemented,
)


class Tone(Enum):
    """How an answer sounds and looks: its number is how often the bell rings."""

    GOOD = 1
    WARNING = 2
    BAD = 3


class Outcome(Enum):
    """What came of a scan: the words on the screen, and their tone."""

    ADMITTED = ("ADMITTED", Tone.GOOD)
    ALREADY_USED = ("ALREADY USED", Tone.BAD)
    REFUNDED = ("REFUNDED", Tone.BAD)
    NOT_A_TICKET = ("NOT A TICKET", Tone.BAD)
    PERFORMANCE_CANCELLED = ("CANCELLED", Tone.BAD)
    DOORS_CLOSED = ("DOORS CLOSED", Tone.BAD)
    WRONG_PERFORMANCE = ("WRONG PERFORMANCE", Tone.WARNING)
    NOT_LISTED = ("NOT LISTED", Tone.WARNING)
    DOORS_NOT_OPEN = ("DOORS NOT OPEN", Tone.WARNING)
    NO_ANSWER = ("NO ANSWER", Tone.WARNING)
    NOT_ALLOWED = ("NOT ALLOWED", Tone.WARNING)
    TAKEN_BACK = ("TAKEN BACK", Tone.WARNING)

    def __init__(self, words: str, tone: Tone) -> None:
        self.words = words
        self.tone = tone


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gate says about one scan.

    Attributes:
        outcome: in short.
        time: when it was given, aware.
        seat: the place, for people; empty: not known.
        ticket_type: what was paid for, or the price zone where a list of an older server does not tell it.
        detail: when and where, or what to do.
        offline: whether it was decided without the server.
        code: what was scanned, tidied.
        ticket: the ticket's name; empty: not known.
        scan_id: of a scan without a connection, on its way to the server.
        digest: how entry lists name the ticket.
        again: how often the same ticket was held to the scanner once more within moments.
    """

    outcome: Outcome
    time: datetime
    seat: str = ""
    ticket_type: str = ""
    detail: str = ""
    offline: bool = False
    code: str = ""
    ticket: str = ""
    scan_id: str = ""
    digest: bytes = b""
    again: int = 0


_BY_VERDICT: Final = {
    Verdict.ADMITTED: Outcome.ADMITTED,
    Verdict.ALREADY_CHECKED_IN: Outcome.ALREADY_USED,
    Verdict.NOT_A_TICKET: Outcome.NOT_A_TICKET,
    Verdict.WRONG_PERFORMANCE: Outcome.WRONG_PERFORMANCE,
    Verdict.NOT_LISTED: Outcome.NOT_LISTED,
    Verdict.VOID: Outcome.REFUNDED,
}
_BY_REASON: Final = {
    "ALREADY_CHECKED_IN": Outcome.ALREADY_USED,
    "TICKET_VOID": Outcome.REFUNDED,
    "TICKET_WRONG_PERFORMANCE": Outcome.WRONG_PERFORMANCE,
    "TICKET_CODE_INVALID": Outcome.NOT_A_TICKET,
    "PERFORMANCE_CANCELLED": Outcome.PERFORMANCE_CANCELLED,
    "DOORS_NOT_OPEN": Outcome.DOORS_NOT_OPEN,
    "DOORS_CLOSED": Outcome.DOORS_CLOSED,
    "NOT_FOUND": Outcome.NOT_A_TICKET,
}
_LONG_AS_A_CODE: Final = 170


def outcome_of(verdict: Verdict) -> Outcome:
    """What a door without a connection says."""
    return _BY_VERDICT[verdict]


def refusal_of(error: RowlockError) -> Outcome | None:
    """What the server decided; None: it decided nothing, so the gate has to do without it."""
    if isinstance(error, FailedPrecondition | InvalidArgument | NotFound):
        return _BY_REASON.get(error.reason, Outcome.NOT_ALLOWED)
    return None


def forbids(error: RowlockError) -> bool:
    """Whether the server does not let this gate work, which is no reason to go on without it."""
    return isinstance(error, Unauthenticated | PermissionDenied | Unimplemented)


def moment(text: str, now: datetime) -> str:
    """A time of the server's as the people at the gate say it: of today only the hour.

    Args:
        text: ISO 8601.
        now: aware; its zone is that of the answer.
    """
    try:
        time = datetime.fromisoformat(text).astimezone(now.tzinfo)
    except ValueError:
        return text
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%a %d %b %H:%M}"


def first_use(when: str, where: str) -> str:
    """When and where a ticket let somebody in before."""
    return " · ".join(part for part in (f"first used {when}" if when else "", where) if part)


def what_is_wrong(code: str) -> str:
    """A hint about a text that is no ticket code."""
    if len(code) > 1024:
        return "far too long: pasted by mistake?"
    if len(code) >= _LONG_AS_A_CODE and code.isascii():
        return "as long as one, but not signed by this house; if all are: the scanner's keyboard layout"
    return "no code of this house"
