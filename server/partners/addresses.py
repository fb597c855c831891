"""Where messages may be sent to: hosts on the public internet, and never what only our own network can reach.

Whoever may name an address could otherwise have us speak to our database, to a neighbour's printer, or to the service
that hands out a machine's credentials. So the address is looked at when it is set, and again each time something is
sent: a name can stand for another machine by then. What was looked at is what is connected to; see ``sending``.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the network addresses of a host, in the order in which to try them."""

_MOST_ADDRESSES: Final = 16
_NAT64: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_V4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        # Beyond what the registry says is not global: anycast relays, site-local, documentation, the AWS metadata.
        ("192.88.99.0/24", "192.0.0.0/24", "fec0::/10", "3fff::/20", "5f00::/16", "fd00:ec2::254/128"),
    )
)


class AddressError(ValueError):
    """Nothing may be sent there; the text says why, in words for whoever set it."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was taken apart. ``host`` has no brackets."""

    uri: str
    host: str
    port: int


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, by the resolver of the machine.

    Raises:
        OSError: it has none, or nobody answers.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Addresses:
    """Which addresses may be sent to.

    Args:
        allow_private: also private ones, and without encryption: for tests, and for houses that run everything.
        resolver: looks names up.
    """

    def __init__(self, *, allow_private: bool = False, resolver: Resolver = resolve) -> None:
        self._allow_private = allow_private
        self._resolver = resolver

    def parse(self, uri: str) -> Target:
        """Take an address apart.

        Raises:
            AddressError: it cannot be one, whatever it leads to.
        """
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise AddressError("is not an address") from None
        if parts.scheme not in {"https", "http"} or (parts.scheme == "http" and not self._allow_private):
            raise AddressError("must begin with https://")
        if not host or not uri.isascii() or any(c.isspace() or c == "\\" for c in uri):
            raise AddressError("is not an address")
        if parts.username is not None or parts.password is not None:
            raise AddressError("must have no user name and no password")
        if parts.fragment or "#" in uri:
            raise AddressError("must have no fragment")
        if port == 0:
            raise AddressError("must have another port")
        return Target(uri, host, port or (443 if parts.scheme == "https" else 80))

    async def check(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, each of which may be connected to.

        Raises:
            AddressError: the host is unknown, or one of its addresses is not public. One is enough: whoever mixes them
                means to have us take the wrong one.
        """
        literal = _literal(host)
        if literal is not None:
            found: Sequence[str] = [str(literal)]
        else:
            try:
                found = await self._resolver(host, port)
            except (OSError, UnicodeError):
                raise AddressError("has a host name that nobody knows") from None
        addresses = list(dict.fromkeys(found))[:_MOST_ADDRESSES]
        if not addresses:
            raise AddressError("has a host name that nobody knows")
        if not self._allow_private:
            for address in addresses:
                if not is_public(address):
                    raise AddressError("leads into a private network")
        return addresses


def is_public(address: str) -> bool:
    """Whether a network address belongs to the public internet, whatever it is wrapped in. Pure."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(parsed)
    if inner is not None:
        return is_public(str(inner))
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not parsed.is_reserved
        and not any(parsed.version == network.version and parsed in network for network in _NEVER)
    )


def _inner(address: IpAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for; None: none."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in (*_NAT64, _V4_COMPATIBLE)):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _literal(host: str) -> IpAddress | None:
    """The address that a host is written as; None: it is a name.

    What else the C library reads as an address (127.1, 0x7f000001, 2130706433) goes through the resolver, which turns
    it into the address that would be connected to; that is looked at.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
