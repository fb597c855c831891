"""Every RPC of the contract has its row in the one access table, and the table has no other rows."""

from uuid import uuid4

import pytest

from server.clock import now
from server.errors import PermissionDenied, RowlockError, Unauthenticated
from server.interceptors.access import ACCESS, Token, check, require_scope, rule_of
from server.interceptors.authentication import Caller
from server.interceptors.method import methods_of
from server.registration import contract
from server.states import Role

METHODS = {method.path: method for service in contract() for method in methods_of(service)}


def holder(role: Role, *scopes: str) -> Caller:
    device = role in {Role.KIOSK, Role.GATE, Role.PARTNER}
    return Caller(
        user_id=uuid4(),
        role=role,
        session_id=None if device else uuid4(),
        key_id=uuid4() if device else None,
        expire_time=now(),
        scopes=frozenset(scopes),
    )


def may(path: str, role: Role | None) -> bool:
    try:
        check(path, holder(role) if role else None)
    except RowlockError:
        return False
    return True


def test_every_method_of_the_contract_is_in_the_table_and_nothing_else_is() -> None:
    assert set(ACCESS) == set(METHODS)


def test_a_method_that_is_not_in_the_table_cannot_be_served() -> None:
    with pytest.raises(LookupError, match="NoSuchCall"):
        rule_of("/rowlock.v1.AuthService/NoSuchCall")


@pytest.mark.parametrize("path", sorted(METHODS))
def test_an_administrator_may_call_what_staff_may(path: str) -> None:
    assert may(path, Role.ADMIN) >= may(path, Role.STAFF)


CATALOGUE_WRITES = [
    path
    for path, method in METHODS.items()
    if method.service == "rowlock.v1.EventService" and not method.name.startswith(("Get", "List", "Watch"))
]


@pytest.mark.promise("0.4")
@pytest.mark.parametrize("path", CATALOGUE_WRITES)
def test_only_staff_write_the_catalogue(path: str) -> None:
    assert [role for role in (None, *Role) if may(path, role)] == [Role.STAFF, Role.ADMIN]


@pytest.mark.promise("0.3")
def test_anybody_reads_events() -> None:
    for name in ("ListEvents", "GetEvent", "ListPerformances", "GetPerformance", "GetAvailability"):
        assert may(f"/rowlock.v1.EventService/{name}", None)


@pytest.mark.promise("0.7")
def test_only_signed_in_buyers_book() -> None:
    able = [role for role in (None, *Role) if may("/rowlock.v1.BookingService/CreateBooking", role)]
    assert able == [Role.CUSTOMER, Role.STAFF, Role.ADMIN, Role.PARTNER]


def test_any_token_may_watch_seats_and_nobody_without_one() -> None:
    assert [role for role in (None, *Role) if may("/rowlock.v1.EventService/WatchSeats", role)] == list(Role)


@pytest.mark.parametrize("path", sorted(METHODS))
def test_what_needs_a_token_says_so_and_what_needs_a_role_says_which_one_came(path: str) -> None:
    rule = rule_of(path)
    if rule.token is Token.REQUIRED:
        with pytest.raises(Unauthenticated) as missing:
            check(path, None)
        assert missing.value.reason == "TOKEN_MISSING"
    for role in set(Role) - rule.roles:
        with pytest.raises(PermissionDenied) as denied:
            check(path, holder(role))
        assert denied.value.reason == "PERMISSION_DENIED"
        assert denied.value.metadata == {"role": role.name}


def test_only_the_calls_that_give_tokens_ignore_them() -> None:
    ignoring = {path for path, rule in ACCESS.items() if rule.token is Token.IGNORED}
    assert all(
        path.startswith("/rowlock.v1.AuthService/")
        for path in ignoring - {"/rowlock.v1.PaymentService/HandleProviderWebhook"}
    )


def test_a_narrowed_key_stays_within_its_scopes() -> None:
    names = ["performances/7", "events/3", "venues/1"]
    require_scope(holder(Role.KIOSK), names)
    require_scope(holder(Role.KIOSK, "venues/1", "venues/2"), names)
    with pytest.raises(PermissionDenied):
        require_scope(holder(Role.KIOSK, "venues/2", "performances/70"), names)
