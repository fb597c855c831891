"""Nothing but what is listed answers UNIMPLEMENTED."""

from server.config import Settings
from server.interceptors.access import ACCESS
from server.interceptors.method import methods_of
from server.registration import contract, implementation_of
from server.runtime import runtime
from server.services.unserved import UNSERVED


async def test_what_is_not_served_is_exactly_what_is_listed(settings: Settings) -> None:
    async with runtime(settings) as running:
        missing = {
            method.path
            for service in contract()
            for method in methods_of(service)
            if implementation_of(running.servicers, method) is None
        }
    assert missing == UNSERVED


def test_the_list_names_methods_of_the_contract() -> None:
    assert {method.path for service in contract() for method in methods_of(service)} >= UNSERVED


def test_every_method_of_the_contract_is_in_the_access_table() -> None:
    assert {method.path for service in contract() for method in methods_of(service)} == set(ACCESS)
