"""How often anybody may do something with one e-mail address, from wherever they come: log in, or have mail sent.

The limit per network address does not stop who comes from thousands of them. Known and unknown addresses count alike,
and so do right and wrong passwords: so the answer says nothing of the account. Redis is given a keyed hash, from which
nobody reads an address.
"""

import hashlib

from server.domain.email_addresses import email_key
from server.errors import ResourceExhausted
from server.interceptors.rate_limit import SharedBuckets


class EmailLimit:
    """One bucket per e-mail address, shared by all processes.

    Args:
        buckets: count the tries; None: there is no limit.
        key: at most 64 secret bytes, the same in all processes.
        what: what is counted, for people: "log-ins with".
    """

    def __init__(self, buckets: SharedBuckets | None, key: bytes, what: str) -> None:
        self._buckets = buckets
        self._key = key
        self._what = what

    async def admit(self, email: str) -> None:
        """Count one try.

        Raises:
            ResourceExhausted: RATE_LIMITED.
        """
        if self._buckets is None:
            return
        bucket = hashlib.blake2b(email_key(email).encode(), digest_size=16, key=self._key).hexdigest()
        if wait := await self._buckets.wait(bucket):
            raise ResourceExhausted(
                "RATE_LIMITED",
                f"too many {self._what} this e-mail address; come back later",
                retry_after=wait,
                limit="email",
            )
