"""Every promise that this release keeps has a test, and the document names exactly those tests."""

from scripts.promises import DOCUMENT, PROMISES, document, shown

SERVED = {
    *(f"0.{n}" for n in range(3, 14)),
    *(f"1.{n}" for n in (1, 2, 3, 4, 5, 6, 8)),
    *("2.3", "2.4", "2.10"),
    *(f"3.{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9)),
    *("4.1", "4.2"),
    *(f"4.{n}" for n in range(4, 10)),
}


def test_every_promise_that_is_kept_has_a_test() -> None:
    assert SERVED - shown().keys() == set()


def test_no_test_names_a_promise_that_nobody_made() -> None:
    assert shown().keys() - PROMISES.keys() == set()


def test_every_promise_is_a_sentence_and_names_what_keeps_it() -> None:
    for name, (text, calls) in PROMISES.items():
        assert text.endswith("."), name
        assert calls, name


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), "run `python scripts/promises.py`"
