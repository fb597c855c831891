"""The metadata of a call becomes a caller, or a refusal, once."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.clock import now
from server.domain.signing_keys import Keys, keys_of
from server.domain.tokens import Claims, Tokens
from server.errors import PermissionDenied, Unauthenticated
from server.interceptors import authentication
from server.interceptors.access import access
from server.interceptors.authentication import (
    Authenticator,
    Caller,
    authorization,
    caller,
    optional_caller,
    set_caller,
)
from server.interceptors.method import methods_of
from server.interceptors.revocations import Revocations
from server.registration import contract
from server.states import Role

USER, SESSION = uuid4(), uuid4()
METHODS = {method.name: method for service in contract() for method in methods_of(service)}


class Metadata:
    """What a guard sees of a call."""

    def __init__(self, *entries: tuple[str, str | bytes]) -> None:
        self._entries = entries

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        return self._entries


def revocations() -> Revocations:
    """One that never reads: the tests add to it themselves."""
    return Revocations(cast("Any", None), interval=timedelta(seconds=5), token_ttl=timedelta(minutes=15))


def tokens_of(key: Ed25519PrivateKey, minutes: float = 15) -> Tokens:
    return Tokens(keys_of([key]), issuer="i", audience="a", ttl=timedelta(minutes=minutes))


KEY = Ed25519PrivateKey.generate()
TOKENS = tokens_of(KEY)


def bearer(role: Role = Role.CUSTOMER, session_id: UUID = SESSION, tokens: Tokens = TOKENS) -> str:
    return "Bearer " + tokens.issue(USER, role, session_id=session_id).text


async def authenticate(authenticator: Authenticator, metadata: Metadata) -> Caller | None:
    """As the guard does: remembered, or else verified."""
    header = authorization(metadata)
    if header is None:
        return None
    return authenticator.remembered(header) or await authenticator.verified(header)


async def reason(authenticator: Authenticator, *entries: tuple[str, str | bytes]) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await authenticate(authenticator, Metadata(*entries))
    return refused.value.reason


async def test_a_good_token_makes_a_caller_and_none_makes_nobody() -> None:
    authenticator = Authenticator(TOKENS, revocations())
    found = await authenticate(authenticator, Metadata(("user-agent", "x"), ("authorization", bearer(Role.STAFF))))
    assert found is not None
    assert (found.user_id, found.role, found.grant, found.scope) == (USER, Role.STAFF, SESSION, f"users/{USER}")
    assert await authenticate(authenticator, Metadata(("user-agent", "x"))) is None


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_is_written_in_any_case(scheme: str) -> None:
    header = bearer().replace("Bearer", scheme)
    assert await authenticate(Authenticator(TOKENS, revocations()), Metadata(("authorization", header)))


async def test_two_tokens_are_none_even_if_both_are_good() -> None:
    authenticator = Authenticator(TOKENS, revocations())
    entry = ("authorization", bearer())
    assert await reason(authenticator, entry, entry) == "TOKEN_INVALID"
    assert await reason(authenticator, entry, ("authorization", "Basic x")) == "TOKEN_INVALID"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer\tx", b"Bearer x", " "])
async def test_what_is_no_bearer_token_is_refused(header: str | bytes) -> None:
    assert await reason(Authenticator(TOKENS, revocations()), ("authorization", header)) == "TOKEN_INVALID"


async def test_a_token_with_anything_around_it_is_refused() -> None:
    authenticator = Authenticator(TOKENS, revocations())
    text = bearer()
    for header in (text + " ", text.replace(" ", "  "), text + "," + text, text + "A" * 20_000, text[7:]):
        assert await reason(authenticator, ("authorization", header)) == "TOKEN_INVALID"


async def test_nothing_else_in_the_metadata_says_who_somebody_is() -> None:
    forged = [(key, str(USER)) for key in ("x-user-id", "user", "x-forwarded-user", "grpc-metadata-authorization")]
    assert await authenticate(Authenticator(TOKENS, revocations()), Metadata(*forged)) is None


async def test_a_remembered_token_still_ends_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(TOKENS, revocations())
    entry = ("authorization", bearer())
    assert await authenticate(authenticator, Metadata(entry))
    monkeypatch.setattr(authentication, "now", lambda: now() + timedelta(minutes=15))
    assert await reason(authenticator, entry) == "TOKEN_EXPIRED"


async def test_a_remembered_token_is_refused_as_soon_as_its_session_is_known_to_be_revoked() -> None:
    revoked = revocations()
    authenticator = Authenticator(TOKENS, revoked)
    entry, other = ("authorization", bearer()), ("authorization", bearer(session_id=uuid4()))
    assert await authenticate(authenticator, Metadata(entry))
    revoked.add([SESSION])
    assert await reason(authenticator, entry) == "TOKEN_REVOKED"
    assert await reason(authenticator, entry) == "TOKEN_REVOKED"
    assert await authenticate(authenticator, Metadata(other))


async def test_memory_is_bounded_and_only_good_tokens_are_kept() -> None:
    authenticator = Authenticator(TOKENS, revocations(), cache_size=3)
    for _ in range(5):
        await authenticate(authenticator, Metadata(("authorization", bearer())))
        await reason(authenticator, ("authorization", bearer()[:-4]))
    assert len(authenticator._cache) == 3
    nothing_kept = Authenticator(TOKENS, revocations(), cache_size=0)
    assert await authenticate(nothing_kept, Metadata(("authorization", bearer())))
    assert not nothing_kept._cache


async def test_a_remembered_token_costs_no_signature_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = 0
    verify = Tokens.verify

    def counting(self: Tokens, token: str) -> Claims:
        nonlocal checks
        checks += 1
        return verify(self, token)

    monkeypatch.setattr(Tokens, "verify", counting)
    authenticator = Authenticator(TOKENS, revocations())
    entry = Metadata(("authorization", bearer()))
    for _ in range(100):
        assert await authenticate(authenticator, entry)
    assert checks == 1


async def test_a_new_signing_key_is_learnt_when_it_is_first_met_but_not_for_every_made_up_one() -> None:
    new = tokens_of(Ed25519PrivateKey.generate())
    reads = 0

    async def reload() -> Keys:
        nonlocal reads
        reads += 1
        return new.keys

    authenticator = Authenticator(tokens_of(KEY), revocations(), reload_keys=reload)
    assert await authenticate(authenticator, Metadata(("authorization", bearer(tokens=new))))
    for _ in range(5):
        made_up = bearer(tokens=tokens_of(Ed25519PrivateKey.generate()))
        assert await reason(authenticator, ("authorization", made_up)) == "TOKEN_INVALID"
    assert reads == 1


async def test_keys_that_cannot_be_read_leave_the_known_ones_in_force() -> None:
    async def fail() -> Keys:
        raise OSError("no such file")

    authenticator = Authenticator(tokens_of(KEY), revocations(), reload_keys=fail)
    strange = bearer(tokens=tokens_of(Ed25519PrivateKey.generate()))
    assert await reason(authenticator, ("authorization", strange)) == "TOKEN_INVALID"
    assert await authenticate(authenticator, Metadata(("authorization", bearer())))


def holder(expires_in: timedelta = timedelta(minutes=15)) -> Caller:
    return Caller(USER, Role.CUSTOMER, SESSION, None, now() + expires_in)


async def test_a_stream_learns_that_its_session_was_revoked() -> None:
    revoked = revocations()
    authenticator = Authenticator(TOKENS, revoked)
    waiting = [asyncio.create_task(authenticator.until_ended(holder())) for _ in range(3)]
    await asyncio.sleep(0.01)
    revoked.add([uuid4()])
    await asyncio.sleep(0.01)
    assert authenticator.still_valid(holder())
    assert not any(task.done() for task in waiting)
    revoked.add([SESSION])
    assert {error.reason for error in await asyncio.gather(*waiting)} == {"TOKEN_REVOKED"}
    assert (await authenticator.until_ended(holder())).reason == "TOKEN_REVOKED"
    assert not authenticator.still_valid(holder())
    with pytest.raises(Unauthenticated):
        authenticator.check(holder())
    assert not revoked._waiting


async def test_a_stream_learns_that_its_token_expired() -> None:
    revoked = revocations()
    authenticator = Authenticator(TOKENS, revoked)
    assert (await authenticator.until_ended(holder(timedelta(milliseconds=30)))).reason == "TOKEN_EXPIRED"
    assert (await authenticator.until_ended(holder(timedelta(minutes=-1)))).reason == "TOKEN_EXPIRED"
    assert not authenticator.still_valid(holder(timedelta(0)))
    assert not revoked._waiting


async def test_a_stream_that_ends_first_leaves_nothing_behind() -> None:
    revoked = revocations()
    waiting = asyncio.create_task(Authenticator(TOKENS, revoked).until_ended(holder()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not revoked._waiting


async def admit(method: str, *entries: tuple[str, str]) -> Caller | None:
    """Pass the guard of one method, in a context of its own as gRPC gives each call."""
    guard = access(Authenticator(TOKENS, revocations()))(METHODS[method])

    async def call() -> Caller | None:
        if guard is not None:
            waiting = guard(cast("Any", Metadata(*entries)))
            if waiting is not None:
                await waiting
        return optional_caller()

    return await asyncio.create_task(call())


async def test_the_guard_knows_the_caller_and_lets_in_whom_the_table_lets_in() -> None:
    entry = ("authorization", bearer())
    found = await admit("GetBooking", entry)
    assert found is not None
    assert found.user_id == USER
    assert optional_caller() is None
    with pytest.raises(PermissionDenied):
        await admit("CreateEvent", entry)
    with pytest.raises(Unauthenticated) as missing:
        await admit("GetBooking")
    assert missing.value.reason == "TOKEN_MISSING"


async def test_a_remembered_token_passes_the_guard_without_waiting() -> None:
    authenticator = Authenticator(TOKENS, revocations())
    header = bearer()
    await authenticator.verified(header)
    context = cast("Any", Metadata(("authorization", header)))
    read, write = access(authenticator)(METHODS["GetBooking"]), access(authenticator)(METHODS["CreateEvent"])
    assert read is not None
    assert write is not None
    assert read(context) is None
    with pytest.raises(PermissionDenied):
        write(context)
    set_caller(None)


async def test_a_public_call_is_anonymous_or_has_a_good_token() -> None:
    assert await admit("ListEvents") is None
    found = await admit("ListEvents", ("authorization", bearer(Role.STAFF)))
    assert found is not None
    assert found.role is Role.STAFF
    with pytest.raises(Unauthenticated):
        await admit("ListEvents", ("authorization", "Bearer stale"))


async def test_the_calls_that_give_tokens_do_not_mind_a_stale_one() -> None:
    assert await admit("LogIn", ("authorization", "Bearer stale")) is None
    assert await admit("RefreshToken", ("authorization", "Bearer stale")) is None


def test_asking_who_calls_where_nobody_does_is_a_refusal() -> None:
    with pytest.raises(Unauthenticated):
        caller()


def test_request_ids_of_a_person_and_of_each_key_are_apart() -> None:
    key = uuid4()
    end = datetime(2030, 1, 1, tzinfo=UTC)
    assert Caller(USER, Role.CUSTOMER, SESSION, None, end).scope == f"users/{USER}"
    assert Caller(USER, Role.GATE, None, key, end).scope == f"apiKeys/{key}"
