"""What nobody should send, for every field of every RPC that is served: refused, named, and without effect.

The requests are derived from the descriptors, so an RPC that comes to be served is in here from its first day.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from rowlock.v1 import category_pb2
from server.config import Settings
from server.db.engine import Database
from server.interceptors.access import Token, rule_of
from server.interceptors.method import Method, methods_of
from server.registration import contract
from server.services.event_cancellations import CancellationMethods
from server.states import Role
from tests.invariants import assert_sound
from tests.paying import desk_on
from tests.rpc.auth.conftest import QUICK, served
from tests.rpc.good_requests import WEBHOOK_SECRET, Maker, Metadata, World, good_request, good_requests
from tests.wrong_requests import Wrong, absent, fields_of, wrong_requests

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS: Final = [method for service in contract() for method in methods_of(service)]
LISTS: Final = [method for method in METHODS if "page_token" in method.request_class.DESCRIPTOR.fields_by_name]
REFUSALS: Final = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "ALREADY_EXISTS",
    "ABORTED",
}
BETRAYAL: Final = re.compile(
    r"Traceback|sqlalchemy|psycopg|protovalidate|\b(SELECT|INSERT|UPDATE|DELETE)\b .*\b(FROM|INTO|SET)\b|\.py\b"
    r"|site-packages|object at 0x|constraint|<class "
)
AT_ONCE: Final = 16


@dataclass(frozen=True)
class Answer:
    """How a call ended."""

    code: str
    reason: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()

    def names(self, path: str) -> bool:
        """Whether it names a field, something in it, or what has it."""
        return any(path == field or _within(path, field) or _within(field, path) for field in self.fields)


def _within(inner: str, outer: str) -> bool:
    return bool(outer) and inner.startswith((f"{outer}.", f"{outer}["))


class Caller:
    """Calls one RPC with bytes."""

    def __init__(self, channel: grpc.aio.Channel, method: Method) -> None:
        kind: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
        self._call = kind(method.path)
        self._streams = method.server_streaming

    async def __call__(self, raw: bytes, metadata: Metadata | None) -> Answer:
        """The answer; of a stream, how it begins."""
        call = self._call(raw, metadata=metadata, timeout=60)
        try:
            if self._streams:
                await call.read()
                call.cancel()
            else:
                await call
        except grpc.aio.AioRpcError as error:
            return _answer(error)
        return Answer("OK")

    async def all(self, requests: Sequence[bytes], metadata: Metadata | None) -> list[Answer]:
        """The answers to many."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def in_turn(raw: bytes) -> Answer:
            async with turn:
                return await self(raw, metadata)

        return await asyncio.gather(*map(in_turn, requests))


def _answer(error: grpc.aio.AioRpcError) -> Answer:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        detail.Unpack(info)
        detail.Unpack(bad)
    said = [error.details() or "", *(violation.description for violation in bad.field_violations)]
    fields = tuple(violation.field for violation in bad.field_violations)
    return Answer(error.code().name, info.reason, "; ".join(said), fields)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker(settings: Settings, database: Database) -> AsyncIterator[Maker]:
    believing = {**QUICK, "stripe_webhook_secrets": (WEBHOOK_SECRET,)}
    async with served(settings.model_copy(update=believing), database) as client, desk_on(database) as desk:
        maker = Maker(client, database, desk)
        await maker.begin()
        yield maker
    assert_sound(database)


def everything(database: Database) -> dict[str, str]:
    """A digest of every table."""

    def read(session: Any) -> dict[str, str]:
        names = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")).all()
        digest = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"
        return {name: session.scalar(text(digest.format(name))) for name in names}

    return database.run_transaction(read)


async def quiet(database: Database) -> dict[str, str]:
    """Wait until nothing changes: a cancelled performance is wound up after its answer. Returns `everything`."""
    winding_up = CancellationMethods._wound_up.__code__
    # The server is in this event loop.
    work = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "cr_code", None) is winding_up]
    await asyncio.gather(*work)
    return everything(database)


def by_name(method: Method) -> str:
    return method.name


def faults(cases: Sequence[Wrong], answers: Sequence[Answer]) -> Iterator[str]:
    for case, answer in zip(cases, answers, strict=True):
        told = f"{case.path}, {case.what}: {answer}"
        if answer.code not in {"OK", *REFUSALS}:
            yield f"wrong code: {told}"
        elif BETRAYAL.search(answer.message):
            yield f"says too much: {told}"
        elif case.refused and answer.code != "INVALID_ARGUMENT":
            yield f"not refused: {told}"
        elif (
            answer.code == "INVALID_ARGUMENT" and case.named and not answer.fields and answer.reason == "INVALID_FIELD"
        ):
            yield f"names no field: {told}"
        elif case.refused and case.named and not answer.names(case.path):
            yield f"names another field: {told}"


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_what_is_wrong_is_refused_with_its_field_named_and_has_no_effect(
    maker: Maker, database: Database, method: Method
) -> None:
    world = await maker.world(spare=method.name.startswith("Delete"))
    good = good_requests(method, world)
    call, who = Caller(maker.channel, method), world.caller(method)
    cases = [case for request in good for case in wrong_requests(request)]

    before = await quiet(database)
    refused = [case for case in cases if case.refused]
    found = list(faults(refused, await call.all([case.raw for case in refused], who)))
    changed = [table for table, digest in everything(database).items() if digest != before[table]]

    assert not found, "\n".join(found)
    assert not changed
    # That it was the fault that was refused is shown by the same request without it.
    async with maker.working():
        assert [await call(request.SerializeToString(), who) for request in good] == [Answer("OK")] * len(good)
    doubtful = [case for case in cases if not case.refused]
    found = list(faults(doubtful, await call.all([case.raw for case in doubtful], who)))
    await quiet(database)
    assert not found, "\n".join(found)


def of_somebody_else(method: Method, world: World) -> Iterator[tuple[str, Message, Message]]:
    """Requests that name what another customer has, each beside the same request that names nothing."""
    good = good_request(method, world)
    foreign = {**world.foreign, "rowlock.dev/User": world.other}
    for field in fields_of(good):
        kind = field.reference or (field.resource if field.name == "name" else "")
        if field.ignored or kind not in foreign:
            continue
        name = foreign[kind].rsplit("/", 2)[0] if field.is_parent else foreign[kind]
        if re.fullmatch(r"users|performances/\d+", name):
            continue  # what contains it is nobody's
        pair = []
        for value in (name, absent(name)):
            request = type(good)()
            request.CopyFrom(good)
            holder = field.holder(request)
            if isinstance(getattr(holder, field.name), str):
                setattr(holder, field.name, value)
            else:
                getattr(holder, field.name)[:] = [value]
            pair.append(request)
        yield field.path, pair[0], pair[1]


OWNED: Final = [
    method
    for method in METHODS
    if rule_of(method.path).token is Token.REQUIRED and Role.CUSTOMER in rule_of(method.path).roles
]


@pytest.mark.promise("1.8", "0.8")
@pytest.mark.mistake("any customer pays, refunds or reads another's order")
@pytest.mark.parametrize("method", OWNED, ids=by_name)
async def test_what_is_another_customers_looks_absent(maker: Maker, database: Database, method: Method) -> None:
    world = await maker.shared_world()
    call = Caller(maker.channel, method)
    before = await quiet(database)
    for path, foreign, nothing in of_somebody_else(method, world):
        for request in (foreign, nothing):
            answer = await call(request.SerializeToString(), world.customer.token)
            if answer.code == "OK":
                # A filter: what it lets through is nobody else's.
                assert "page_token" in foreign.DESCRIPTOR.fields_by_name, path
            else:
                assert (answer.code, answer.reason) in {
                    ("NOT_FOUND", "NOT_FOUND"),
                    ("PERMISSION_DENIED", "PERMISSION_DENIED"),
                }
        answers = [await call(r.SerializeToString(), world.customer.token) for r in (foreign, nothing)]
        assert _without_ids(answers[0]) == _without_ids(answers[1]), path
    assert everything(database) == before


def _without_ids(answer: Answer) -> Answer:
    return replace(answer, message=re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "…", answer.message))


@pytest.mark.parametrize("method", LISTS, ids=by_name)
async def test_a_page_token_that_was_edited_or_is_of_another_query_is_refused(maker: Maker, method: Method) -> None:
    world = await maker.shared_world()
    categories: Any = maker.channel.unary_unary(
        "/rowlock.v1.EventService/ListCategories", None, category_pb2.ListCategoriesResponse.FromString
    )
    page = await categories(category_pb2.ListCategoriesRequest(page_size=1).SerializeToString())
    token = page.next_page_token
    assert token
    request: Any = good_request(method, world)
    edited = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for wrong in (
        edited,
        token[1:],
        token + "=",
        token.swapcase(),
        *(() if method.name == "ListCategories" else (token,)),
    ):
        request.page_token = wrong
        answer = await Caller(maker.channel, method)(request.SerializeToString(), world.caller(method))
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), wrong
        assert answer.names("page_token")


@pytest.mark.parametrize("method", [m for m in METHODS if m.mutating and m.name != "LogOutEverywhere"], ids=by_name)
async def test_a_request_id_makes_a_second_call_harmless_and_is_refused_with_another_body(
    maker: Maker, database: Database, method: Method
) -> None:
    world = await maker.world(spare=method.name.startswith("Delete"))
    request: Any = good_request(method, world)
    request.request_id = f"the-same-{method.name}"
    who, raw = world.caller(method), request.SerializeToString()
    call: Any = maker.channel.unary_unary(method.path, None, method.response_class.FromString)
    async with maker.working():
        first = await call(raw, metadata=who, timeout=60)
    before = await quiet(database)
    again = await call(raw, metadata=who, timeout=60)
    if "secret" in method.response_class.DESCRIPTOR.fields_by_name:
        first.secret = ""  # which is told once, and kept nowhere
    assert again == first
    if other := _another_body(request):
        answer = await Caller(maker.channel, method)(other.SerializeToString(), who)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
        assert answer.names("request_id")
    assert everything(database) == before


def _another_body(request: Message) -> Message | None:
    """The same but for one word that the server looks at; None: there is none."""
    for field in fields_of(request):
        if not field.ignored and field.name in {"reason", "note", "display_name", "title", "description"}:
            other = type(request)()
            other.CopyFrom(request)
            setattr(field.holder(other), field.name, "another")
            return other
    return None
