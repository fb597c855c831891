"""What the contract announces is served."""

from server.config import Settings
from server.interceptors.access import ACCESS
from server.interceptors.method import methods_of
from server.registration import contract, implementation_of
from server.runtime import runtime


async def test_every_method_of_the_contract_is_served(settings: Settings) -> None:
    async with runtime(settings) as running:
        missing = {
            method.path
            for service in contract()
            for method in methods_of(service)
            if implementation_of(running.servicers, method) is None
        }
    assert missing == set()


def test_every_method_of_the_contract_is_in_the_access_table() -> None:
    assert {method.path for service in contract() for method in methods_of(service)} == set(ACCESS)
