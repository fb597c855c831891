from typing import Any

import pytest

from server.interceptors.address import Addresses


class Call:
    def __init__(self, peer: str, *forwarded: str) -> None:
        self._peer = peer
        self._metadata = tuple(("x-forwarded-for", value) for value in forwarded)

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return (("user-agent", "x"), *self._metadata)


def address(trusted: list[str], peer: str, *forwarded: str) -> str:
    return Addresses(trusted).of(Call(peer, *forwarded))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:203.0.113.7:54248", "203.0.113.7"),
        ("ipv6:%5B2001:db8::1%5D:54248", "2001:db8::1"),
        ("ipv6:[::ffff:203.0.113.7]:54248", "203.0.113.7"),
        ("unix:", "local"),
        ("", "local"),
    ],
)
def test_the_peer_is_read_without_its_port(peer: str, expected: str) -> None:
    assert address([], peer) == expected


def test_a_stranger_cannot_say_who_it_is() -> None:
    assert address(["10.0.0.0/8"], "ipv4:203.0.113.7:1", "198.51.100.1") == "203.0.113.7"


def test_a_trusted_hop_says_who_called_it() -> None:
    assert address(["10.0.0.0/8"], "ipv4:10.0.0.1:1", "198.51.100.1") == "198.51.100.1"
    assert address(["fd00::/8"], "ipv6:[fd00::1]:1", "2001:db8::2") == "2001:db8::2"


def test_only_what_trusted_hops_added_counts() -> None:
    forged = "1.1.1.1, 198.51.100.1, 10.0.0.2"
    assert address(["10.0.0.0/8"], "ipv4:10.0.0.1:1", forged) == "198.51.100.1"


@pytest.mark.parametrize("rubbish", ["", "unknown", "' OR 1=1", "999.1.1.1", ",,,"])
def test_rubbish_leaves_the_hop_itself(rubbish: str) -> None:
    assert address(["10.0.0.0/8"], "ipv4:10.0.0.1:1", rubbish) == "10.0.0.1"
