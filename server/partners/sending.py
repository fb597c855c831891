"""One message over HTTP: to the address that was checked, and to no other.

The name is looked up once, all its addresses are checked, and the connection is made to one of these; TLS is still
verified with the name. Redirects are not followed, proxies of the environment are not asked, and connections are not
kept: the next message may be for another machine.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpcore

from server import clock
from server.domain.deliveries import Answer
from server.partners.addresses import AddressError, Addresses

MOST_BYTES: Final = 64 * 1024
SHOWN_CHARACTERS: Final = 500
_USER_AGENT: Final = "Rowlock-Webhooks"


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, in place of whatever their name may stand for by then."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers."""
        failure: Exception = httpcore.ConnectError("no address answers")
        for address in await self._addresses.check(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Sending:
    """Sends messages.

    Args:
        addresses: which may be sent to.
        time_limit: seconds for all of one message: to look the name up, to connect, to send and to be answered.
        ca_file: authorities that receivers' certificates are checked by; None: those of the system.
    """

    def __init__(self, addresses: Addresses, *, time_limit: float = 10.0, ca_file: str | None = None) -> None:
        self._addresses = addresses
        self._time_limit = time_limit
        self._tls = ssl.create_default_context(cafile=ca_file)

    async def send(self, uri: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one message. Whatever goes wrong is in the answer."""
        begin, started = clock.now(), time.monotonic()
        status, error, text = 0, "", b""
        received: list[Any] = [0, text]
        try:
            async with asyncio.timeout(self._time_limit):
                await self._exchange(uri, headers, body, received)
        except TimeoutError:
            error = f"no answer within {self._time_limit:g} s"
        except AddressError as refusal:
            error = f"the address {refusal}"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}".rstrip(": ")
        except httpcore.UnsupportedProtocol:
            error = "the address must begin with https://"
        status, text = received
        if 200 <= status < 300:
            # The status says that it was taken; whatever happens to the rest of the answer is of no account.
            error = ""
        elif 300 <= status < 400:
            error = "redirects are not followed"
        elif status and not error:
            error = f"answered {status}"
        milliseconds = round((time.monotonic() - started) * 1000)
        return Answer(status, error, readable(text), milliseconds, begin)

    async def _exchange(self, uri: str, headers: Mapping[str, str], body: bytes, received: list[Any]) -> None:
        """Fill ``received`` with the status and then with the answer, as far as it comes."""
        self._addresses.parse(uri)
        sent = {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "accept-encoding": "identity",  # nothing of 64 kB that becomes gigabytes
            "connection": "close",
            **headers,
        }
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=1,
                max_keepalive_connections=0,
                http2=False,
                retries=0,
                network_backend=_CheckedBackend(self._addresses),
            ) as pool,
            pool.stream("POST", uri, headers=list(sent.items()), content=body) as response,
        ):
            received[0] = response.status
            read = b""
            async for part in response.aiter_stream():
                read = (read + part)[:MOST_BYTES]
                received[1] = read
                if len(read) >= MOST_BYTES:
                    return


def readable(text: bytes) -> str:
    """The first characters of an answer, without what PostgreSQL or a terminal could not bear. Pure."""
    shown = text[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in shown)[
        :SHOWN_CHARACTERS
    ]
