"""Who calls, as a network address: what rate limits count by and what the log shows.

It is the peer of the connection. Only where that peer is one of ours (a gateway or a load balancer named in
``ROWLOCK_TRUSTED_PROXIES``) is ``x-forwarded-for`` believed, and of that only what trusted hops added: it is read
from its right end to the first address that is not a trusted hop. What a client writes there itself counts nothing.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote

from server.interceptors.method import Context

LOCAL = "local"
"""The address of callers over a unix socket."""


class Addresses:
    """Reads callers' addresses.

    Args:
        trusted: networks of the hops whose ``x-forwarded-for`` is believed, such as ``10.0.0.0/8``.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = tuple(ip_network(network, strict=False) for network in trusted)
        self._of_peer = lru_cache(maxsize=65_536)(self._read_peer)

    def of(self, context: Context) -> str:
        """The caller's address, such as ``203.0.113.7`` or ``2001:db8::1``; ``local`` for a unix socket."""
        peer, is_trusted = self._of_peer(context.peer())
        if not is_trusted:
            return peer
        for key, value in context.invocation_metadata() or ():
            if key == "x-forwarded-for" and isinstance(value, str):
                return self._first_untrusted(value, peer)
        return peer

    def _read_peer(self, peer: str) -> tuple[str, bool]:
        """``ipv4:127.0.0.1:54248`` or ``ipv6:%5B::1%5D:54248`` to (address, trusted hop)."""
        kind, _, rest = unquote(peer).partition(":")
        if kind not in {"ipv4", "ipv6"}:
            return LOCAL, False
        address = _parse(rest.rpartition(":")[0].strip("[]"))
        return (str(address), self._is_trusted(address)) if address else (LOCAL, False)

    def _first_untrusted(self, forwarded: str, peer: str) -> str:
        nearest = peer
        for hop in reversed(forwarded.split(",")):
            address = _parse(hop.strip())
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(address):
                break
        return nearest

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(_contains(network, address) for network in self._trusted)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _contains(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network
