"""Access tokens, and every way to forge one that is known to us."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import OKPAlgorithm

from server.clock import now
from server.domain.signing_keys import Keys, SigningKeyError, keys_of, read_pem
from server.domain.tokens import Tokens, UnknownKey
from server.errors import Unauthenticated
from server.states import Role

KEY = Ed25519PrivateKey.generate()
TTL = timedelta(minutes=15)
USER, SESSION, DEVICE = uuid4(), uuid4(), uuid4()


def tokens_of(keys: Keys, **changes: Any) -> Tokens:
    return Tokens(keys, **{"issuer": "https://rowlock.dev", "audience": "rowlock", "ttl": TTL, **changes})


TOKENS = tokens_of(keys_of([KEY]))


def forged(
    *, sign: Any = KEY, algorithm: str = "EdDSA", header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """A token that is right but for what the arguments say; a claim of None is left out."""
    claims = {
        "iss": "https://rowlock.dev",
        "aud": "rowlock",
        "sub": str(USER),
        "role": "ADMIN",
        "sid": str(SESSION),
        "iat": now(),
        "nbf": now(),
        "exp": now() + TTL,
        "jti": "x",
        **changes,
    }
    headers = {"kid": TOKENS.keys.signing_kid, "typ": "at+jwt", **(header or {})}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        sign,
        algorithm=algorithm,
        headers={name: value for name, value in headers.items() if value is not None},
    )


def reason(text: str, tokens: Tokens = TOKENS) -> str:
    with pytest.raises(Unauthenticated) as refused:
        tokens.verify(text)
    return refused.value.reason


def segment(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_session_token_says_who_as_what_and_until_when() -> None:
    issued = TOKENS.issue(USER, Role.STAFF, session_id=SESSION)
    claims = TOKENS.verify(issued.text)
    assert (claims.user_id, claims.role, claims.session_id, claims.key_id) == (USER, Role.STAFF, SESSION, None)
    assert claims.expire_time == issued.expire_time
    assert timedelta(minutes=14, seconds=58) < issued.expire_time - now() <= TTL


def test_a_device_token_carries_its_key_and_scopes_and_ends_with_the_key() -> None:
    end = now().replace(microsecond=0) + timedelta(minutes=3)
    issued = TOKENS.issue(USER, Role.GATE, key_id=DEVICE, scopes=["venues/1", "events/2"], not_after=end)
    claims = TOKENS.verify(issued.text)
    assert (claims.key_id, claims.session_id) == (DEVICE, None)
    assert claims.scopes == {"venues/1", "events/2"}
    assert claims.expire_time == end


def test_the_widest_token_fits_into_the_metadata_that_every_proxy_lets_pass() -> None:
    scopes = [f"performances/{10**18 + number}" for number in range(100)]
    assert len(TOKENS.issue(USER, Role.PARTNER, key_id=DEVICE, scopes=scopes).text) < 7_000


@pytest.mark.promise("4.7")
def test_another_service_verifies_a_token_by_the_published_keys_alone() -> None:
    published = [
        {"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
        for key in TOKENS.keys.public.values()
    ]
    text = TOKENS.issue(USER, Role.CUSTOMER, session_id=SESSION).text
    kid = jwt.get_unverified_header(text)["kid"]
    key = OKPAlgorithm.from_jwk(next(key for key in published if key["kid"] == kid))
    claims = jwt.decode(text, key, algorithms=["EdDSA"], audience="rowlock", issuer="https://rowlock.dev")  # type: ignore[arg-type]
    assert claims["sub"] == str(USER)
    assert claims["role"] == "CUSTOMER"


PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def hs256(secret: bytes, **header: Any) -> str:
    """HS256 by hand: PyJWT itself refuses to take a public key for a secret."""
    good = forged().split(".")
    head = segment({"alg": "HS256", "typ": "at+jwt", "kid": TOKENS.keys.signing_kid, **header})
    mac = hmac.digest(secret, f"{head}.{good[1]}".encode(), hashlib.sha256)
    return f"{head}.{good[1]}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_the_forger_of_this_test_can_make_a_right_token() -> None:
    assert TOKENS.verify(forged()).role is Role.ADMIN


FORGERIES = {
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "three letters": "a.b.c",
    "null": "null",
    "a NUL": "\0",
    "empty objects": "e30.e30.e30",
    "signature cut short": forged()[:-3],
    "signature too long": forged() + "A",
    "a segment more": forged().replace(".", "..", 1),
    "no signature": forged().rsplit(".", 1)[0] + ".",
    "HS256 with the public key as PEM": hs256(PUBLIC_PEM),
    "HS256 with the raw public key": hs256(PUBLIC_RAW),
    "HS256 with an empty secret": hs256(b""),
    "HMAC called EdDSA": hs256(PUBLIC_RAW, alg="EdDSA"),
    "alg none": f"{segment({'alg': 'none', 'typ': 'at+jwt'})}.{forged().split('.')[1]}.",
    "alg None with our kid": (
        f"{segment({'alg': 'None', 'typ': 'at+jwt', 'kid': TOKENS.keys.signing_kid})}.{forged().split('.')[1]}."
    ),
    "another kind of JWT": forged(header={"typ": "JWT"}),
    "a refresh JWT": forged(header={"typ": "rt+jwt"}),
    "no kind": forged(header={"typ": None}),
    "no kid": forged(header={"kid": None}),
    "a critical extension": forged(header={"crit": ["b64"], "b64": False}),
    "another Ed25519 key": forged(sign=Ed25519PrivateKey.generate()),
    "another algorithm": forged(sign=generate_private_key(SECP256R1()), algorithm="ES256"),
    "another issuer": forged(iss="https://evil.example"),
    "no issuer": forged(iss=None),
    "another audience": forged(aud="another-service"),
    "several audiences": forged(aud=["rowlock", "another-service"]),
    "no audience": forged(aud=None),
    "not yet valid": forged(nbf=now() + timedelta(hours=1)),
    "issued in the future": forged(iat=now() + timedelta(hours=1)),
    "no end": forged(exp=None),
    "no jti": forged(jti=None),
    "no subject": forged(sub=None),
    "subject root": forged(sub="root"),
    "no role": forged(role=None),
    "unknown role": forged(role="OWNER"),
    "role as a number": forged(role=3),
    "role as a list": forged(role=["ADMIN"]),
    "no session": forged(sid=None),
    "session as a number": forged(sid=7),
    "session and key": forged(key=str(DEVICE)),
    "session malformed": forged(sid="not-a-uuid"),
    "scope as a number": forged(scope=5),
    "end beyond the calendar": forged(exp=10**30),
    "end in words": forged(exp="soon"),
    "a refresh token": "rlr_" + "A" * 43,
    "an API key": "rlk_" + "A" * 43,
    "a megabyte": "A" * 1_000_000,
    "a good token and a megabyte": forged() + "A" * 1_000_000,
}


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
def test_no_forged_token_passes(text: str) -> None:
    assert reason(text) == "TOKEN_INVALID"


def test_an_edited_claim_breaks_the_signature() -> None:
    head, body, signature = TOKENS.issue(USER, Role.CUSTOMER, session_id=SESSION).text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["role"] = "ADMIN"
    assert reason(f"{head}.{segment(claims)}.{signature}") == "TOKEN_INVALID"


def test_any_flipped_character_of_a_token_is_noticed() -> None:
    text = forged()
    for place in range(0, len(text) - 1, 7):
        edited = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert reason(edited) == "TOKEN_INVALID"


def test_an_expired_token_says_so_but_not_a_forged_one() -> None:
    old: dict[str, Any] = {"iat": now() - TTL * 2, "nbf": now() - TTL * 2, "exp": now() - TTL}
    assert reason(forged(**old)) == "TOKEN_EXPIRED"
    assert reason(forged(**old, sign=Ed25519PrivateKey.generate())) == "TOKEN_INVALID"


def test_a_key_that_is_not_known_yet_can_be_told_from_rubbish() -> None:
    with pytest.raises(UnknownKey):
        tokens_of(keys_of([Ed25519PrivateKey.generate()])).verify(forged())


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def test_a_file_may_hold_the_keys_of_a_change_of_keys() -> None:
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    before, between, after = read_pem(pem(old)), read_pem(pem(new) + pem(old)), read_pem(pem(new))
    text = tokens_of(before).issue(USER, Role.CUSTOMER, session_id=SESSION).text
    assert tokens_of(between).verify(text).user_id == USER
    assert reason(text, tokens_of(after)) == "TOKEN_INVALID"
    assert between.signing_kid == after.signing_kid != before.signing_kid
    assert set(between.public) == {before.signing_kid, after.signing_kid}


@pytest.mark.parametrize("text", ["", "secret", pem(generate_private_key(SECP256R1())), pem(KEY).replace("M", "?")])
def test_a_file_that_cannot_be_used_says_why(text: str) -> None:
    with pytest.raises(SigningKeyError, match="key"):
        read_pem(text)


def test_secrets_differ_by_purpose_and_key() -> None:
    other = keys_of([Ed25519PrivateKey.generate()])
    assert TOKENS.keys.secret("a") == keys_of([KEY]).secret("a")
    assert len({TOKENS.keys.secret("a"), TOKENS.keys.secret("b"), other.secret("a")}) == 3
