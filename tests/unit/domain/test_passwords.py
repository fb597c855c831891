import time

import pytest

from server.domain.common_passwords import COMMON, STEMS
from server.domain.passwords import PasswordHasher, is_common, require_acceptable
from server.errors import InvalidArgument

QUICK = PasswordHasher(memory_kib=64, passes=1)


@pytest.mark.promise("4.1")
def test_a_password_is_stored_as_an_argon2id_hash_with_its_own_salt() -> None:
    first, second = QUICK.hash("correct horse battery"), QUICK.hash("correct horse battery")
    assert first != second
    assert first.startswith("$argon2id$")
    assert "correct" not in first
    assert QUICK.verify(first, "correct horse battery")
    assert not QUICK.verify(first, "correct horse batterY")


def test_the_same_password_typed_on_another_keyboard_is_the_same() -> None:
    composed, decomposed = "pÿjamas-émile", "py\u0308jamas-e\u0301mile"
    assert composed != decomposed
    assert QUICK.verify(QUICK.hash(composed), decomposed)


@pytest.mark.parametrize(
    "password", ["       \u00a0", "🦊🦉🦇🐢🐙🦑🦐🦞", "a\0b\0c\0d\0efg", "\u202etxet desrever", "x" * 120 + "yzabcdef"]
)
def test_any_characters_may_be_in_a_password(password: str) -> None:
    stored = QUICK.hash(password)
    assert QUICK.verify(stored, password)
    assert not QUICK.verify(stored, password + "x")


def test_no_account_and_a_broken_hash_are_simply_wrong() -> None:
    assert not QUICK.verify(None, "nobody has this password")
    assert not QUICK.verify("not a hash", "whatever it is")


def test_an_unknown_account_costs_as_much_as_a_known_one() -> None:
    hasher = PasswordHasher(memory_kib=32_768, passes=2)
    stored = hasher.hash("correct horse battery")

    def seconds(password_hash: str | None) -> float:
        times = []
        for _ in range(3):
            begin = time.process_time()
            hasher.verify(password_hash, "wrong horse battery")
            times.append(time.process_time() - begin)
        return min(times)

    # The work is the same by construction; without it the difference would be a thousandfold.
    assert seconds(None) > seconds(stored) / 4


def test_a_hash_of_other_costs_is_outdated() -> None:
    stored = QUICK.hash("correct horse battery")
    assert not QUICK.is_outdated(stored)
    assert PasswordHasher(memory_kib=128, passes=1).is_outdated(stored)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password1!",
        "P@ssw0rd123",
        "p4$$w0rd2024",
        "QWERTY123",
        "iloveyou!!",
        "12345678",
        "aaaaaaaaaaaa",
        "ababababab",
        "abcdefghijk",
        "zyxwvuts",
        "xyz1xyz1xyz1",
        "Summer2025!",
        "Ada.Augusta@example.com",
        "ada.augusta",
        "AdaLovelace",
        "ada lovelace",
        "Rowlock2026",
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        require_acceptable(password, email="ada.augusta@example.com", display_name="Ada Lovelace")
    assert refused.value.reason == "PASSWORD_TOO_COMMON"
    assert [fault.field for fault in refused.value.fields] == ["password"]


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "passwordless-entry-9",
        "summer in the hills",
        "7h9Kq2Lx",
        "drawbridge",
        "password8842917",
    ],
)
def test_what_is_not_is_taken(password: str) -> None:
    require_acceptable(password, email="ada@example.com", display_name="Ada")


@pytest.mark.parametrize("password", ["", "1234567", "short", "x" * 129])
def test_the_length_is_8_to_128_characters(password: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        require_acceptable(password, email="ada@example.com", display_name="Ada", field="new_password")
    assert refused.value.reason == "INVALID_FIELD"
    assert [fault.field for fault in refused.value.fields] == ["new_password"]


def test_the_lists_are_folded_and_useful() -> None:
    assert len(COMMON) > 400
    assert all(word == word.casefold() and len(word) >= 8 for word in COMMON)
    assert all(word == word.casefold() for word in STEMS)
    assert all(is_common(word) for word in COMMON)
