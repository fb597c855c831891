"""The gate's screen: unmistakable in every size, with colours and without."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from rowlock_client.cli.gate_answers import Answer, Outcome, Tone, moment, outcome_of, what_is_wrong
from rowlock_client.cli.gate_letters import large
from rowlock_client.cli.gate_link import Conflict, Link
from rowlock_client.cli.gate_screen import GateView, bell_of, draw, one_line
from rowlock_client.doors import Verdict

NOW = datetime(2030, 1, 1, 19, 2, 11, tzinfo=UTC)
SIZES = [(200, 60), (120, 40), (100, 30), (80, 24), (40, 12), (20, 8), (8, 3)]
VIEW = GateView(
    title="Hamlet — The House, Hall 1, Tue 01 Jan 2030 20:00",
    place="North",
    link=Link.ONLINE,
    link_since=NOW,
    trouble="",
    list_time=NOW,
    waiting=0,
    admitted=123,
    expected=400,
    answer=None,
    asking=False,
    typed=0,
    last=[],
    conflicts=[],
    notice="",
    may_undo=False,
)


def lines_of(view: GateView, size: tuple[int, int], *, colours: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=size[0], height=size[1], color_system="truecolor" if colours else None)
    with console.capture() as captured:
        console.print(draw(view, size))
    return captured.get().splitlines()


def answer(outcome: Outcome, detail: str = "") -> Answer:
    return Answer(outcome, NOW, seat="Stalls · row A · seat 1", ticket_type="Adult", detail=detail)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_answer_fits_every_terminal_and_is_said_in_words(outcome: Outcome, size: tuple[int, int]) -> None:
    lines = lines_of(replace(VIEW, answer=answer(outcome, "first used 18:59:01 · South")), size)

    assert len(lines) <= size[1]
    assert all(cell_len(line) <= size[0] for line in lines)
    if size[0] >= 80:
        text = "\n".join(lines)
        for words in (outcome.words, "Stalls · row A · seat 1", "Adult", "first used 18:59:01 · South", "North"):
            assert words in text
        assert "123 admitted of 400 expected" in text
        assert "█" * 3 in text, "large letters"


def test_tones_differ_by_sign_and_by_brightness_not_only_by_hue() -> None:
    by_tone = {
        tone: "\n".join(lines_of(replace(VIEW, answer=answer(outcome)), (80, 24), colours=True))
        for outcome in Outcome
        for tone in (outcome.tone,)
    }

    assert {tone: text.count("✓") > 20 for tone, text in by_tone.items()} == {
        Tone.GOOD: True,
        Tone.WARNING: False,
        Tone.BAD: False,
    }
    assert by_tone[Tone.BAD].count("✗") > 20
    assert by_tone[Tone.WARNING].count("▲") > 20
    grounds = ("48;2;0;112;79", "48;2;240;192;0", "48;2;178;58;0")
    assert [ground in by_tone[tone] for tone, ground in zip(Tone, grounds, strict=True)] == [True] * 3


def test_the_bell_tells_tones_apart_and_is_silent_for_the_same_ticket() -> None:
    rings = [bell_of(answer(outcome)) for outcome in (Outcome.ADMITTED, Outcome.NOT_LISTED, Outcome.ALREADY_USED)]

    assert rings == [1, 2, 3]
    assert bell_of(replace(answer(Outcome.ADMITTED), again=1)) == 0


def test_a_ticket_that_is_held_to_the_scanner_twice_is_no_second_welcome() -> None:
    again = replace(answer(Outcome.ADMITTED), again=1)

    assert "the same ticket again (2 times): it admits one person" in "\n".join(
        lines_of(replace(VIEW, answer=again), (80, 24))
    )
    assert "(again)" in one_line(again)


def test_without_a_connection_the_screen_says_so() -> None:
    view = replace(
        VIEW,
        link=Link.OFFLINE,
        waiting=3,
        trouble="no answer within 3 s",
        answer=replace(answer(Outcome.ADMITTED), offline=True),
        conflicts=[Conflict(f"Box {n}", NOW, "already checked in, first used 18:59:01 · South") for n in range(5)],
    )

    text = "\n".join(lines_of(view, (120, 40)))

    for words in ("◌ without connection since 19:02:11", "3 to hand in", "no answer within 3 s", "CONFLICT Box 4"):
        assert words in text
    assert "5 conflicts" in text
    assert "decided without connection" in text
    assert "no list" in "\n".join(lines_of(replace(view, list_time=None), (120, 40)))


def test_it_says_what_can_be_done() -> None:
    assert "SCAN A TICKET" not in "\n".join(lines_of(VIEW, (80, 24))), "in large letters"
    assert "Ctrl-Z" not in "\n".join(lines_of(VIEW, (80, 24)))
    assert "Ctrl-Z" in "\n".join(lines_of(replace(VIEW, may_undo=True), (80, 24)))
    assert "40 characters" in "\n".join(lines_of(replace(VIEW, typed=40), (80, 24)))
    assert "Too much" in "\n".join(lines_of(replace(VIEW, notice="Too much at once"), (80, 24)))


@pytest.mark.parametrize(("columns", "lines"), [(300, 80), (120, 20), (80, 12), (60, 12), (20, 5), (3, 1)])
@pytest.mark.parametrize("outcome", Outcome)
def test_large_letters_keep_to_their_room(outcome: Outcome, columns: int, lines: int) -> None:
    drawn = large(outcome.words, columns, lines)

    assert len(drawn) <= max(lines, 1)
    assert all(len(line) <= columns for line in drawn)


def test_a_door_and_a_server_say_the_same_in_the_same_words() -> None:
    assert {outcome_of(verdict) for verdict in Verdict} == {
        Outcome.ADMITTED,
        Outcome.ALREADY_USED,
        Outcome.NOT_A_TICKET,
        Outcome.WRONG_PERFORMANCE,
        Outcome.NOT_LISTED,
        Outcome.REFUNDED,
    }


def test_times_of_today_are_short() -> None:
    assert moment("2030-01-01T18:59:01+00:00", NOW) == "18:59:01"
    assert moment("2029-12-31T18:59:01+00:00", NOW) == "Mon 31 Dec 18:59"
    assert moment("?", NOW) == "?"


def test_garbage_gets_a_hint() -> None:
    assert "keyboard layout" in what_is_wrong("A" * 178)
    assert "pasted" in what_is_wrong("A" * 1025)
    assert what_is_wrong("4006381333931") == "no code of this house"
