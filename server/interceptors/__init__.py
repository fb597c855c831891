"""The concerns of every RPC, and their order.

A concern either surrounds the call (``Around``) or lets it pass or not (``Guard``). Each is bound to each method
once, at start: gRPC's own interceptors would look the method up and build closures again for every call. Unary
calls and streams pass the same concerns.
"""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from server.interceptors.access import access
from server.interceptors.authentication import Authenticator
from server.interceptors.deadline import deadline
from server.interceptors.draining import Draining
from server.interceptors.method import Admit, Around, Call, Guard, Method
from server.interceptors.observe import Observer
from server.interceptors.rate_limit import RateLimits
from server.interceptors.status import status
from server.interceptors.streams import OpenStreams
from server.interceptors.validation import Validation


@dataclass(frozen=True, slots=True)
class Chain:
    """What every call passes, in this order: ``around`` from the outside in, ``guards``, the reading of the request."""

    around: tuple[Around, ...]
    guards: tuple[Guard, ...]
    validation: Validation
    streams: OpenStreams

    def admits(self, method: Method) -> tuple[Admit, ...]:
        """The guards of one method, those that have something to guard."""
        return tuple(admit for guard in self.guards if (admit := guard(method)) is not None)

    def surround(self, method: Method, call: Call) -> Call:
        """A call with everything that surrounds it."""
        for wrap in reversed(self.around):
            call = wrap(method, call)
        return call

    def reader(self, method: Method) -> Callable[[bytes], Message]:
        """What reads and checks the requests of one method."""
        return self.validation.reader(method)


def make_chain(
    *,
    observer: Observer,
    authenticator: Authenticator,
    rate_limits: RateLimits,
    validation: Validation,
    streams: OpenStreams,
    draining: Draining,
    default_deadline: float,
    traced: Around | None = None,
) -> Chain:
    """The one list of concerns.

    Args:
        observer: logs and counts.
        authenticator: knows the callers.
        rate_limits: knows how often they called.
        validation: reads requests.
        streams: the open streams.
        draining: knows when the process is about to stop.
        default_deadline: seconds for unary calls that come without one.
        traced: makes spans; None: nobody asked for any.
    """
    return Chain(
        around=(
            status,  # outermost: nothing leaves unmapped, not even a fault of the concerns inside
            observer.observe,  # sees what is refused below and why, before it becomes a status
            *([] if traced is None else [traced]),  # inside the log, whose trace id it takes
        ),
        guards=(
            draining.guard,  # first: what a stopping server takes up it may not finish
            deadline(default_deadline),  # before anything that costs: an expired call is owed no work
            access(authenticator),  # who calls, and whether they may; before anything of the request is read
            rate_limits.guard,  # after it, to count by account; anonymous callers count by address
        ),
        validation=validation,  # last: only a caller who may call makes us parse
        streams=streams,
    )
