"""Everything that Rowlock refuses, as one tree of exceptions.

::

    RowlockError
    ├── InvalidArgument       wrong whatever the state            INVALID_ARGUMENT
    ├── FailedPrecondition    right words, wrong moment           FAILED_PRECONDITION
    ├── NotFound              absent, or somebody else's          NOT_FOUND
    ├── AlreadyExists         the name is in use                  ALREADY_EXISTS
    ├── Unauthenticated       no valid token                      UNAUTHENTICATED
    ├── PermissionDenied      a valid token of the wrong role     PERMISSION_DENIED
    ├── ResourceExhausted     a limit of rate or of size          RESOURCE_EXHAUSTED
    ├── Aborted               lost a race: start the step again   ABORTED
    ├── DeadlineExceeded      the caller's time ran out           DEADLINE_EXCEEDED
    ├── Unimplemented         announced, not served here          UNIMPLEMENTED
    └── Unavailable           the only one to retry blindly       UNAVAILABLE

Each carries a ``reason``: the name of a member of ``rowlock.v1.ErrorReason``, which is what programs look at,
a sentence for people, and metadata (string to string). Domain code raises them; the status interceptor is the
only reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

DOMAIN = "rowlock.dev"


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field of a request: its path as in the proto, and a sentence."""

    field: str
    description: str


class RowlockError(Exception):
    """Base of everything refused on purpose. ``code`` is the name of a ``grpc.StatusCode``.

    Args:
        reason: name of a member of ``rowlock.v1.ErrorReason``.
        message: a sentence for people; never holds SQL, paths or secrets.
        fields: the request's fields at fault, shown to the caller as ``google.rpc.BadRequest``.
        retry_after: seconds after which to try again, shown as ``google.rpc.RetryInfo``.
        metadata: further facts for programs, shown in ``google.rpc.ErrorInfo``.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        fields: Sequence[FieldFault] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.metadata = metadata


class InvalidArgument(RowlockError):
    """The request is wrong whatever the state of the system."""

    code = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, field: str, description: str) -> "InvalidArgument":
        """One field at fault, named by its path in the request."""
        return cls("INVALID_FIELD", f"{field}: {description}", fields=[FieldFault(field, description)])


class FailedPrecondition(RowlockError):
    """The request is well made, but the state of the system does not allow it."""

    code = "FAILED_PRECONDITION"


class NotFound(RowlockError):
    """The resource is absent or belongs to somebody else; the two look alike on purpose."""

    code = "NOT_FOUND"

    @classmethod
    def of(cls, name: str) -> "NotFound":
        """The resource called ``name`` is not there for this caller."""
        return cls("NOT_FOUND", f"{name} was not found", name=name)


class AlreadyExists(RowlockError):
    """Something else has the name that must be unique."""

    code = "ALREADY_EXISTS"


class Unauthenticated(RowlockError):
    """No token, or one that is not valid (any more)."""

    code = "UNAUTHENTICATED"


class PermissionDenied(RowlockError):
    """The caller is known and may not do this."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(RowlockError):
    """A limit of rate, size or number is reached."""

    code = "RESOURCE_EXHAUSTED"


class Aborted(RowlockError):
    """The step lost a race; the caller reads again and starts it anew."""

    code = "ABORTED"


class DeadlineExceeded(RowlockError):
    """The caller's deadline passed before the work was done."""

    code = "DEADLINE_EXCEEDED"


class Unimplemented(RowlockError):
    """The contract names this and this release does not serve it."""

    code = "UNIMPLEMENTED"


class Unavailable(RowlockError):
    """Nothing is wrong with the request; trying again soon, with the same request_id, is safe."""

    code = "UNAVAILABLE"
