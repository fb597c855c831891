"""Who may do what, tried with every RPC that is served: ended tokens, roles that may not, streams that must end.

The requests are derived from the descriptors (``good_requests``), so an RPC that comes to be served is in here from
its first day. What another customer has is tried in ``test_bad_input``.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from rowlock.v1 import auth_pb2, stream_pb2
from server.config import Settings
from server.db.engine import Database
from server.domain.signing_keys import shared_keys
from server.domain.tokens import Tokens
from server.interceptors.access import Token, rule_of
from server.interceptors.method import Method, methods_of
from server.registration import contract
from server.states import CodePurpose, Role
from tests.invariants import assert_sound
from tests.paying import desk_on
from tests.rpc.auth.conftest import QUICK, Client, Person, refusal, served
from tests.rpc.auth.mailbox import code_in_mail
from tests.rpc.good_requests import Maker, Metadata, good_request
from tests.rpc.test_bad_input import Caller, everything, quiet

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS: Final = [method for service in contract() for method in methods_of(service)]
STREAMS: Final = [method for method in METHODS if method.server_streaming]
EOF: Final = grpc.aio.EOF  # type: ignore[attr-defined]  # which its stubs leave out
ATTENTIVE: Final = {
    "revocation_poll_interval": timedelta(milliseconds=200),
    "stream_token_check_interval": timedelta(milliseconds=200),
    "stream_heartbeat": timedelta(milliseconds=500),
}


class House:
    """Two servers of one database, and whoever makes requests for them."""

    def __init__(self, here: Client, elsewhere: Client, maker: Maker, tokens: Tokens) -> None:
        self.here, self.elsewhere, self.maker, self.tokens = here, elsewhere, maker, tokens

    async def expired(self, person: Person) -> Metadata:
        """A token of a session that lives on, and that was good until some minutes ago."""
        claims = self.tokens.verify(person.access)
        issued = self.tokens.issue(claims.user_id, claims.role, session_id=claims.session_id)
        return (("authorization", f"Bearer {issued.text}"),)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(settings: Settings, database: Database) -> AsyncIterator[House]:
    quick = settings.model_copy(update={**QUICK, **ATTENTIVE})
    async with served(quick, database) as here, served(quick, database) as elsewhere, desk_on(database) as desk:
        maker = Maker(here, database, desk)
        await maker.begin()
        keys = await database.transaction(shared_keys)
        past = Tokens(keys, issuer=quick.jwt_issuer, audience=quick.jwt_audience, ttl=timedelta(minutes=-5))
        yield House(here, elsewhere, maker, past)
    assert_sound(database)


def by_name(method: Method) -> str:
    return method.name


async def log_out_everywhere(client: Client, person: Person) -> None:
    await client.auth.LogOutEverywhere(auth_pb2.LogOutEverywhereRequest(name="users/me"), metadata=person.token)


async def reset_password(client: Client, database: Database, person: Person) -> None:
    await client.auth.RequestPasswordReset(auth_pb2.RequestPasswordResetRequest(email=person.email))
    code = await code_in_mail(database, person.email, CodePurpose.RESET_PASSWORD)
    request = auth_pb2.ConfirmPasswordResetRequest(code=code, new_password="another good secret")
    await client.auth.ConfirmPasswordReset(request)


# -- A2: what has ended starts nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("method", [m for m in METHODS if rule_of(m.path).token is not Token.IGNORED], ids=by_name)
async def test_a_token_that_ended_starts_nothing(house: House, database: Database, method: Method) -> None:
    world = await house.maker.shared_world()
    revoked, living = await house.here.admin(), await house.here.admin()
    await log_out_everywhere(house.here, revoked)
    raw = good_request(method, world).SerializeToString()
    before = await quiet(database)
    call = Caller(house.maker.channel, method)
    for who, reason in ((revoked.token, "TOKEN_REVOKED"), (await house.expired(living), "TOKEN_EXPIRED")):
        answer = await call(raw, who)
        assert (answer.code, answer.reason) == ("UNAUTHENTICATED", reason)
    assert everything(database) == before


# -- A2: and its streams end ---------------------------------------------------------------------------------


async def test_streams_learn_within_a_minute_by_default_that_their_token_has_ended() -> None:
    usual = Settings()
    assert usual.revocation_poll_interval + usual.stream_token_check_interval <= timedelta(minutes=1)


async def the_end(call: Any) -> str:
    """Read a stream to its end; returns what its last word was."""
    last: Any = None
    try:
        while (message := await call.read()) is not EOF:
            last = message
    except grpc.aio.AioRpcError as error:
        return error.code().name
    assert last is not None
    assert last.HasField("reconnect"), last
    return stream_pb2.Reconnect.Reason.Name(last.reconnect.reason)


@pytest.mark.parametrize("method", STREAMS, ids=by_name)
async def test_a_stream_ends_when_its_session_ends_at_another_server(house: House, method: Method) -> None:
    world = await house.maker.world(spare=False)
    request = good_request(method, world)
    call: Any = house.here.channel.unary_stream(
        method.path, type(request).SerializeToString, method.response_class.FromString
    )
    stream = call(request, metadata=world.customer.token, timeout=60)
    assert await stream.read() is not EOF

    await log_out_everywhere(house.elsewhere, world.customer)

    assert await the_end(stream) in {"TOKEN", "UNAUTHENTICATED"}
    again = call(request, metadata=world.customer.token, timeout=60)
    assert (await refusal(again.read())).reason == "TOKEN_REVOKED"


@pytest.mark.promise("2.2")
async def test_a_stream_ends_when_the_password_is_reset_at_another_server(house: House, database: Database) -> None:
    [method] = [method for method in STREAMS if method.name == "WatchSeats"]
    world = await house.maker.world(spare=False)
    request = good_request(method, world)
    call: Any = house.here.channel.unary_stream(
        method.path, type(request).SerializeToString, method.response_class.FromString
    )
    stream = call(request, metadata=world.customer.token, timeout=60)
    assert await stream.read() is not EOF
    await reset_password(house.elsewhere, database, world.customer)
    assert await the_end(stream) in {"TOKEN", "UNAUTHENTICATED"}


# -- A1: a refresh token works once, over two servers --------------------------------------------------------


async def refreshed(client: Client, token: str) -> str:
    try:
        answer = await client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=token))
    except grpc.aio.AioRpcError as error:
        return (await refusal(_raise(error))).reason
    return answer.refresh_token


async def _raise(error: grpc.aio.AioRpcError) -> None:
    raise error


@pytest.mark.race
async def test_a_refresh_token_presented_at_two_servers_at_once_has_one_successor(house: House) -> None:
    person = await house.here.sign_up()
    both = [house.here, house.elsewhere] * 8
    answers = await asyncio.gather(*(refreshed(client, person.refresh) for client in both))
    assert len(set(answers)) == 1
    assert answers[0].startswith("rlr_")


@pytest.mark.race
async def test_a_refresh_token_that_comes_later_at_another_server_ends_the_session_at_both(
    settings: Settings, database: Database
) -> None:
    strict = settings.model_copy(update={**QUICK, **ATTENTIVE, "refresh_reuse_window": timedelta(0)})
    async with served(strict, database) as here, served(strict, database) as elsewhere:
        person = await here.sign_up()
        answers = await asyncio.gather(*(refreshed(client, person.refresh) for client in [here, elsewhere] * 6))
        successors = [answer for answer in answers if answer.startswith("rlr_")]
        assert len(successors) == 1
        assert sorted(set(answers) - set(successors)) == ["REFRESH_TOKEN_REUSED", "TOKEN_REVOKED"]
        assert answers.count("REFRESH_TOKEN_REUSED") == 1
        # Whoever got the successor, thief or owner, has nothing of it.
        for client in (here, elsewhere):
            assert await refreshed(client, successors[0]) == "TOKEN_REVOKED"


# -- A3: roles -----------------------------------------------------------------------------------------------


@pytest.mark.promise("0.4")
@pytest.mark.parametrize("method", [m for m in METHODS if Role.CUSTOMER not in rule_of(m.path).roles], ids=by_name)
async def test_customers_do_nothing_of_what_only_the_house_may(
    house: House, database: Database, method: Method
) -> None:
    world = await house.maker.shared_world()
    request: Message = good_request(method, world)
    before = await quiet(database)
    answer = await Caller(house.maker.channel, method)(request.SerializeToString(), world.customer.token)
    assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    assert everything(database) == before
