"""What customers carry is for them, for one performance, and for one purpose."""

from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server import clock
from server.domain.signing_keys import Keys, keys_of
from server.domain.tokens import Tokens
from server.states import Role
from server.waiting_room.order import FIRST_ARRIVAL
from server.waiting_room.tickets import AdmissionToken, EntryTicket, QueueTickets

KEYS = keys_of([Ed25519PrivateKey.generate()])
TICKETS = QueueTickets(lambda: KEYS)
TICKET = EntryTicket(12, uuid4(), uuid4(), FIRST_ARRIVAL + 7, early=False)
TOKEN = AdmissionToken(12, uuid4(), uuid4())


def test_both_are_read_as_they_were_signed() -> None:
    assert TICKETS.read_entry(TICKETS.entry(TICKET)) == TICKET
    assert TICKETS.read_admission(TICKETS.admission(TOKEN, clock.now())) == TOKEN


def test_none_stands_for_another_kind() -> None:
    access = Tokens(KEYS, issuer="i", audience="a", ttl=timedelta(minutes=1)).issue(
        uuid4(), Role.CUSTOMER, session_id=uuid4()
    )
    admission, entry = TICKETS.admission(TOKEN, clock.now() + timedelta(minutes=1)), TICKETS.entry(TICKET)
    assert TICKETS.read_entry(admission) is None
    assert TICKETS.read_admission(entry) is None
    assert TICKETS.read_entry(access.text) is None
    assert TICKETS.read_admission(access.text) is None
    with pytest.raises(Exception, match="not valid"):
        Tokens(KEYS, issuer="i", audience="a", ttl=timedelta(minutes=1)).verify(admission)


def test_what_others_sign_is_nothing() -> None:
    stranger = QueueTickets(lambda: keys_of([Ed25519PrivateKey.generate()]))
    assert TICKETS.read_entry(stranger.entry(TICKET)) is None
    assert TICKETS.read_admission(stranger.admission(TOKEN, clock.now())) is None
    same_kid = Keys(KEYS.signing_kid, Ed25519PrivateKey.generate(), KEYS.public)
    assert TICKETS.read_admission(QueueTickets(lambda: same_kid).admission(TOKEN, clock.now())) is None


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é", "." * 3000, "eyJhbGciOiJub25lIn0.e30."])
def test_rubbish_is_nothing(text: str) -> None:
    assert TICKETS.read_entry(text) is None
    assert TICKETS.read_admission(text) is None


@pytest.mark.parametrize("changed", [{"place": -1}, {"place": 2**60}, {"place": "1"}, {"early": 1}, {"performance": 0}])
def test_claims_of_other_kinds_are_nothing(changed: dict[str, object]) -> None:
    claims = {"performance": 12, "entry": str(uuid4()), "sub": str(uuid4()), "place": 5, "early": True} | changed
    headers = {"kid": KEYS.signing_kid, "typ": "queue-entry+jwt"}
    assert TICKETS.read_entry(jwt.encode(claims, KEYS.signing_key, algorithm="EdDSA", headers=headers)) is None
