"""Ticket codes: read by whoever has the public keys, made by nobody else."""

import base64
from uuid import UUID, uuid4

import pytest
import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.domain.signing_keys import Keys, keys_of
from server.tickets.codes import NotATicketError, digest, read_code, ticket_code

TICKET = UUID("0190f2aa-1111-7222-8333-444455556666")
NONCE = UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def keys(key: Ed25519PrivateKey) -> Keys:
    return keys_of([key])


def test_a_code_says_performance_ticket_and_nonce(keys: Keys) -> None:
    read = read_code(keys, ticket_code(keys, 42, TICKET, NONCE))

    assert (read.performance_id, read.ticket_id, read.nonce, read.signed) == (42, TICKET, NONCE, True)


def test_the_code_of_a_ticket_is_the_same_every_time_and_may_be_typed_in_small_letters(keys: Keys) -> None:
    code = ticket_code(keys, 42, TICKET, NONCE)

    assert ticket_code(keys, 42, TICKET, NONCE) == code
    assert read_code(keys, code.lower()) == read_code(keys, code)


def test_a_code_fits_a_moderate_symbol(keys: Keys) -> None:
    code = ticket_code(keys, 2**63 - 1, TICKET, NONCE)

    symbol = segno.make(code, error="m", micro=False, boost_error=False)
    assert (symbol.version, symbol.mode) == (7, "alphanumeric")


def test_whatever_is_changed_in_a_code_it_is_a_ticket_no_more(keys: Keys) -> None:
    code = ticket_code(keys, 42, TICKET, NONCE)
    unsigned = 0
    for position, letter in enumerate(code):
        changed = code[:position] + ("A" if letter != "A" else "B") + code[position + 1 :]
        try:
            read = read_code(keys, changed)
        except NotATicketError:
            continue
        # Another key's name: nobody can tell, and nothing is vouched for.
        assert not read.signed
        unsigned += 1
    assert unsigned <= 11, "the name of the key is six bytes long"


@pytest.mark.parametrize("text", ["", "A", "A" * 178, "!" * 178, "Ä" * 178, "A" * 177 + "1", "A" * 1024])
def test_what_is_no_code_is_none(keys: Keys, text: str) -> None:
    with pytest.raises(NotATicketError):
        read_code(keys, text)


def test_a_code_signed_by_somebody_else_under_our_name_is_a_forgery(key: Ed25519PrivateKey) -> None:
    ours, other = keys_of([key]), keys_of([Ed25519PrivateKey.generate()])
    forger = Keys(ours.signing_kid, other.signing_key, ours.public)

    with pytest.raises(NotATicketError, match="signature"):
        read_code(ours, ticket_code(forger, 42, TICKET, NONCE))


def test_the_signature_is_bound_to_its_purpose(keys: Keys, key: Ed25519PrivateKey) -> None:
    code = ticket_code(keys, 42, TICKET, NONCE)
    raw = base64.b32decode(code + "=" * (-len(code) % 8))
    elsewhere = raw[:47] + key.sign(raw[:47])

    with pytest.raises(NotATicketError, match="signature"):
        read_code(keys, base64.b32encode(elsewhere).decode().rstrip("="))


def test_tickets_outlive_the_change_of_keys(key: Ed25519PrivateKey) -> None:
    newer = Ed25519PrivateKey.generate()
    printed = ticket_code(keys_of([key]), 42, TICKET, NONCE)

    assert read_code(keys_of([newer, key]), printed).signed, "still published: still verified"
    retired = read_code(keys_of([newer]), printed)
    assert not retired.signed
    assert retired.nonce == NONCE, "retired: whoever knows the nonce decides"


def test_a_digest_gives_nothing_away_and_names_one_ticket() -> None:
    assert len(digest(42, TICKET, NONCE)) == 12
    assert digest(42, TICKET, NONCE) != digest(43, TICKET, NONCE)
    assert digest(42, TICKET, NONCE) != digest(42, uuid4(), NONCE)
    assert digest(42, TICKET, NONCE) != digest(42, TICKET, uuid4())
