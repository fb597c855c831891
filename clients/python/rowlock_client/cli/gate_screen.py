"""The screen of `rowlock gate`. Pure: from what the gate knows and a size to styled text.

The answer is told four ways, for eyes of every kind: in words, in large letters, by the signs around it, and by a
colour (Okabe and Ito's green, vermilion and yellow, which differ in brightness, too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.style import Style
from rich.text import Text

from rowlock_client.cli.gate_answers import Answer, Outcome, Tone
from rowlock_client.cli.gate_letters import large
from rowlock_client.cli.gate_link import Conflict, Link

_SIGNS: Final = {Tone.GOOD: "✓", Tone.WARNING: "▲", Tone.BAD: "✗"}
_GROUNDS: Final = {
    Tone.GOOD: Style(color="#ffffff", bgcolor="#00704f", bold=True),
    Tone.WARNING: Style(color="#000000", bgcolor="#f0c000", bold=True),
    Tone.BAD: Style(color="#ffffff", bgcolor="#b23a00", bold=True),
}
_TEXTS: Final = {
    Tone.GOOD: Style(color="#00b488"),
    Tone.WARNING: Style(color="#f0e442"),
    Tone.BAD: Style(color="#ff7733"),
}
_WAITING: Final = Style(color="#bbbbbb")
_DIM: Final = Style(dim=True)
_LINKS: Final = {
    Link.ONLINE: ("●", Tone.GOOD),
    Link.OFFLINE: ("◌", Tone.WARNING),
    Link.ON_PURPOSE: ("◌", Tone.WARNING),
    Link.FORBIDDEN: ("✗", Tone.BAD),
}
_LAST_SHOWN: Final = 5
_CONFLICTS_SHOWN: Final = 3
_BAR: Final = 20


@dataclass(frozen=True, slots=True)
class GateView:
    """What there is to show.

    Attributes:
        title: what is on.
        place: how the gate calls itself.
        link: how it stands to the server; `link_since`: since when; `trouble`: why.
        list_time: when the newest entry list was made; None: there is none.
        waiting: how many scans are to be handed in.
        admitted: how many are in, of `expected`.
        answer: the newest; None: nothing was scanned yet. `fresh`: whether it is of the last seconds.
        asking: whether the server is being asked just now.
        typed: how many characters of a code have come so far.
        last: the answers before, newest first.
        conflicts: people who should not have been let in, newest last.
        notice: a line for whoever works the gate.
        may_undo: whether the last admission can be taken back here.
    """

    title: str
    place: str
    link: Link
    link_since: datetime
    trouble: str
    list_time: datetime | None
    waiting: int
    admitted: int
    expected: int
    answer: Answer | None
    asking: bool
    typed: int
    last: Sequence[Answer]
    conflicts: Sequence[Conflict]
    notice: str
    may_undo: bool


def draw(view: GateView, size: tuple[int, int]) -> Group:
    """The screen.

    Args:
        view: what to show.
        size: columns and lines.
    """
    columns, lines = size
    head = [_title(view), _link(view), _counts(view), Text("")]
    conflicts = [_conflict(one) for one in view.conflicts[-_CONFLICTS_SHOWN:]]
    if len(view.conflicts) > _CONFLICTS_SHOWN:
        conflicts.insert(0, Text(f"▲ {len(view.conflicts)} conflicts, the last of them:", _TEXTS[Tone.WARNING]))
    foot = [Text(""), *conflicts, *_last(view, max(1, min(_LAST_SHOWN, lines // 6))), _keys(view)]
    banner = _banner(view, columns, max(3, lines - len(head) - len(foot)))
    parts = [*head, *banner, *foot][:lines]
    for part in parts:
        part.no_wrap, part.overflow = True, "ellipsis"
    return Group(*parts)


def one_line(answer: Answer) -> str:
    """An answer in words, for pipes and for the list of the last ones."""
    parts = [answer.outcome.words, answer.seat, answer.ticket_type, answer.detail]
    words = "  ".join(part for part in parts if part)
    return words + ("  (again)" if answer.again else "") + ("  (without connection)" if answer.offline else "")


def _title(view: GateView) -> Text:
    return Text(view.title, style="bold")


def _link(view: GateView) -> Text:
    dot, tone = _LINKS[view.link]
    text = Text.assemble((f"{view.place}   " if view.place else "", "bold"), (f"{dot} {view.link.value}", _TEXTS[tone]))
    if view.link is not Link.ONLINE:
        text.append(f" since {view.link_since:%H:%M:%S}")
        if view.list_time is not None:
            text.append(f"   list of {view.list_time.astimezone():%H:%M:%S}")
        else:
            text.append("   no list", _TEXTS[Tone.BAD])
    if view.waiting:
        text.append(f"   {view.waiting:,} to hand in", _TEXTS[Tone.WARNING])
    if view.trouble and view.link in {Link.OFFLINE, Link.FORBIDDEN}:
        text.append(f"   {view.trouble}", _DIM)
    return text


def _counts(view: GateView) -> Text:
    text = Text.assemble((f"{view.admitted:,}", "bold"), " admitted of ", (f"{view.expected:,}", "bold"), " expected")
    if view.expected:
        full = min(_BAR, view.admitted * _BAR // view.expected)
        text.append("   ").append("█" * full, _TEXTS[Tone.GOOD]).append("░" * (_BAR - full), _DIM)
        text.append(f" {100 * view.admitted // view.expected} %")
    return text


def _banner(view: GateView, columns: int, lines: int) -> list[Text]:
    if view.answer is None:
        # A long code comes in pieces: one that is on its way is seen.
        words = "ASKING" if view.asking else "READING" if view.typed else "SCAN A TICKET"
        return _framed(_inner(large(words, columns - 6, lines - 2), [], columns, lines), columns, _WAITING, " ")
    answer, tone = view.answer, view.answer.outcome.tone
    said = [one for one in (_with_sign(answer), answer.seat, answer.ticket_type, answer.detail) if one]
    if answer.offline:
        said.append("decided without connection")
    if answer.again:
        said.append(f"{_SIGNS[Tone.WARNING]} the same ticket again ({answer.again + 1} times): it admits one person")
    said = said[: max(1, lines - 2)]
    room = lines - len(said) - 3
    letters = large(answer.outcome.words, columns - 6, room)
    if len(letters) == 1:
        letters = []  # no room: the words stand below anyhow
    return _framed(_inner(letters, said, columns, lines), columns, _GROUNDS[tone], _SIGNS[tone])


def _with_sign(answer: Answer) -> str:
    return f"{_SIGNS[answer.outcome.tone]} {answer.outcome.words} {answer.time:%H:%M:%S}"


def _inner(letters: Sequence[str], said: Sequence[str], columns: int, lines: int) -> list[str]:
    """Words in the middle of their room: the large ones, and what is to be read below them."""
    width = max((len(line) for line in letters), default=0)
    inner = [_centred(line.ljust(width), columns - 2) for line in letters]
    if letters and said and len(letters) + len(said) + 3 <= lines:
        inner.append("")
    inner += [_centred(line, columns - 2) for line in said]
    room = max(lines - 2, 1)
    above = max(0, room - len(inner)) // 2
    return ([""] * above + inner + [""] * room)[:room]


def _framed(inner: Sequence[str], columns: int, style: Style, sign: str) -> list[Text]:
    """Lines on a ground, with signs along its edges."""
    edge = f"{sign} " * (columns // 2)
    lines = [edge, *(f"{sign}{set_cell_size(line, columns - 2)}{sign}" for line in inner), edge]
    return [Text(set_cell_size(line, columns), style=style) for line in lines]


def _centred(line: str, columns: int) -> str:
    return " " * max(0, (columns - cell_len(line)) // 2) + line


def _last(view: GateView, shown: int) -> list[Text]:
    found = []
    for answer in view.last[:shown]:
        tone = answer.outcome.tone
        text = Text.assemble((f"{answer.time:%H:%M:%S} ", _DIM))
        text.append(f"{_SIGNS[tone]} {one_line(answer)}", _TEXTS[tone])
        found.append(text)
    return found + [Text("")] * (shown - len(found))


def _conflict(one: Conflict) -> Text:
    return Text(f"▲ CONFLICT {one.seat}: let in here at {one.time:%H:%M:%S}, but {one.why}", style=_TEXTS[Tone.WARNING])


def _keys(view: GateView) -> Text:
    if view.notice:
        return Text(view.notice, style=_TEXTS[Tone.WARNING])
    keys = "Ctrl-C end" + ("   Ctrl-Z take the last admission back" if view.may_undo else "")
    typed = f"   {view.typed} characters…" if view.typed else ""
    return Text(keys + typed, style=_DIM)


def bell_of(answer: Answer) -> int:
    """How often the bell rings; 0 where it rang for the same ticket a moment ago."""
    return 0 if answer.again or answer.outcome is Outcome.TAKEN_BACK else answer.outcome.tone.value
