import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from rowlock.v1.auth_pb2 import ListApiKeysRequest, ListUsersRequest
from server.errors import InvalidArgument
from server.services.paging import ListRequest, _seal, page_of

WHEN = datetime(2026, 3, 1, 20, 15, 0, 123456, tzinfo=UTC)
WHO = UUID("0190a000-0000-7000-8000-000000000001")


def token_for(request: ListRequest, scope: str = "") -> str:
    """The token after the first of two rows, with pages of one row."""
    request.page_size = 1
    page = page_of(request, datetime, UUID, scope=scope)
    _, token = page.cut([(WHEN, WHO), (WHEN, WHO)], key=lambda row: row)
    return token


def refused(request: ListRequest, *kinds: type, scope: str = "") -> str:
    with pytest.raises(InvalidArgument) as error:
        page_of(request, *(kinds or (datetime, UUID)), scope=scope)
    assert [fault.field for fault in error.value.fields] == ["page_token"]
    return error.value.reason


def test_a_token_continues_its_query_where_the_page_ended() -> None:
    token = token_for(ListUsersRequest(text="ada"))
    page = page_of(ListUsersRequest(text="ada", page_token=token, page_size=7), datetime, UUID)
    assert page.after == (WHEN, WHO)
    assert page.size == 7


def test_the_last_page_has_no_token() -> None:
    page = page_of(ListUsersRequest(page_size=2), int)
    assert page.cut([1, 2], key=lambda row: (row,)) == ([1, 2], "")
    assert page.limit == 3


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_page_sizes(asked: int, given: int) -> None:
    assert page_of(ListUsersRequest(page_size=asked), int).size == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="page_size"):
        page_of(ListUsersRequest(page_size=-1), int)


def test_a_token_of_another_filter_rpc_or_caller_is_refused() -> None:
    token = token_for(ListUsersRequest(text="ada"), scope="one")
    assert refused(ListUsersRequest(text="bob", page_token=token), scope="one") == "PAGE_TOKEN_INVALID"
    assert refused(ListApiKeysRequest(page_token=token), scope="one") == "PAGE_TOKEN_INVALID"
    assert refused(ListUsersRequest(text="ada", page_token=token), scope="two") == "PAGE_TOKEN_INVALID"


def test_any_edited_character_is_noticed() -> None:
    token = token_for(ListUsersRequest())
    for place in range(len(token)):
        edited = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert refused(ListUsersRequest(page_token=edited)) == "PAGE_TOKEN_INVALID"
    for longer in (token + "A", token + "=", token + "AAAA", token[:-1], token[4:]):
        assert refused(ListUsersRequest(page_token=longer)) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "====", "%%%", "é", "a b", "A" * 1024, "null", "\x00"])
def test_rubbish_is_refused(token: str) -> None:
    assert refused(ListUsersRequest(page_token=token)) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("values", [[], [WHEN.isoformat()], [1, 2], [None, None], ["2026", str(WHO)], [{}, []]])
def test_a_token_with_a_right_digest_and_wrong_contents_is_refused(values: list[object]) -> None:
    # The digest has no secret, so anybody can make one.
    query = page_of(ListUsersRequest(), int).query
    for body in (json.dumps([1, *values]).encode(), json.dumps(values).encode(), b"{}", b"not json"):
        token = base64.urlsafe_b64encode(_seal(body, query) + body).rstrip(b"=").decode()
        assert refused(ListUsersRequest(page_token=token)) == "PAGE_TOKEN_INVALID"


def test_forged_numbers_and_texts_never_reach_the_database() -> None:
    query = page_of(ListUsersRequest(), int).query
    for values, kind in (([2**63], int), ([True], int), (["a\0b"], str), (["\ud800"], str)):
        body = json.dumps([1, *values]).encode()
        token = base64.urlsafe_b64encode(_seal(body, query) + body).rstrip(b"=").decode()
        assert refused(ListUsersRequest(page_token=token), kind) == "PAGE_TOKEN_INVALID"
