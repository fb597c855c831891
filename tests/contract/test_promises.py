"""Every promise that this release keeps has a test, and the document names exactly those tests."""

from scripts.promises import DOCUMENT, PROMISES, document, shown


def test_every_promise_has_a_test_and_no_test_names_one_that_nobody_made() -> None:
    assert shown().keys() == PROMISES.keys()


def test_every_promise_is_a_sentence_and_names_what_keeps_it() -> None:
    for name, (text, calls) in PROMISES.items():
        assert text.endswith("."), name
        assert calls, name


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), "run `python scripts/promises.py`"
