"""What scanners and people type, put together to codes."""

import pytest

from rowlock_client.cli.gate_codes import CODE_CHARACTERS, ScannedText, tidied
from rowlock_client.cli.terminal import KeyReader

CODE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 5 + "ABCDEFGHIJKLMNOPQR"


def scanned(*chunks: str, seconds: float = 0.001) -> list[str]:
    """The codes that come of these pieces, one after the other."""
    keys, text = KeyReader(), ScannedText()
    found = []
    for number, chunk in enumerate(chunks):
        found += text.feed(keys.feed(chunk.encode()), number * seconds)
    return found + text.pause()


def test_a_code_is_as_long_as_the_contract_says() -> None:
    assert len(CODE) == CODE_CHARACTERS


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\t", "\t\r\n", ""])
def test_a_scanner_ends_a_code_with_anything_or_nothing(end: str) -> None:
    assert scanned(CODE + end) == [CODE]


@pytest.mark.parametrize("end", ["\r", "\t", ""])
def test_two_tickets_in_one_breath_are_two(end: str) -> None:
    other = CODE[::-1]

    assert scanned(CODE + end + other + end) == [CODE, other]


@pytest.mark.parametrize(
    "typed", [CODE.lower(), f"  {CODE} ", "".join(chr(ord(c) + 0xFEE0) for c in CODE), f"]Q1{CODE}", f"\ufeff{CODE}"]
)
def test_a_code_is_known_however_it_is_written(typed: str) -> None:
    assert scanned(typed + "\r") == [CODE]


def test_it_may_come_in_pieces_that_cut_characters_in_half() -> None:
    keys, text = KeyReader(), ScannedText()
    found = []
    for byte in f"{CODE.lower()}\r".encode():
        found += text.feed(keys.feed(bytes([byte])), 0.0)
    assert found == [CODE]
    halves = "é\r".encode()
    assert text.feed(keys.feed(halves[:1]), 0.0) == []
    assert text.feed(keys.feed(halves[1:]), 0.0) == ["É"]


def test_what_was_cut_off_does_not_spoil_the_next_ticket() -> None:
    assert scanned(CODE[:50], CODE + "\r", seconds=60) == [CODE]


def test_escape_and_backspace_correct_what_was_typed() -> None:
    assert scanned("oops\x1b", CODE + "\r") == [CODE]
    assert scanned("AC\x7fB\r") == ["AB"]
    assert scanned("oops\x15AB\r") == ["AB"]


def test_nothing_comes_of_nothing() -> None:
    assert scanned("\r\n\t \r\x1b[A\x1b[200~\r\x1b[201~\x00\x01") == []


def test_a_long_paste_is_kept_short() -> None:
    (found,) = scanned("x" * 1_000_000 + "\r")

    assert len(found) == 1025


def test_no_code_is_whole_while_it_is_typed() -> None:
    text = ScannedText()
    text.feed(list("HELLO"), 0.0)

    assert text.settles_after is None
    assert text.pause() == []
    text.feed(list(CODE), 0.1)
    assert text.settles_after is not None


def test_tidying_leaves_one_spelling() -> None:
    assert tidied("\u202e ａb\tc\u200b]Q1") == "ABC]Q1"


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"\x1b[A\x1b[B\x1bOC\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1b[5~\x1b[H+", ["page-up", "home", "+"]),
        (b"\x03\x1a\x15q", ["ctrl-c", "ctrl-z", "ctrl-u", "q"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\x1b[200~q\x1b[?1;2cq", ["q", "q"]),
        (b"\xff", ["\ufffd"]),
    ],
)
def test_keys_are_told_from_their_sequences(typed: bytes, keys: list[str]) -> None:
    assert KeyReader().feed(typed) == keys


def test_an_escape_alone_is_a_key_once_nothing_follows() -> None:
    reader = KeyReader()

    assert reader.feed(b"\x1b") == []
    assert reader.pause() == ["escape"]
    assert reader.pause() == []
