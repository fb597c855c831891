from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from rowlock_client import errors
from rowlock_client.errors import FieldViolation, error_of
from server.errors import InvalidArgument
from server.interceptors.status import DETAILS_KEY, rich_status


@dataclass
class Ended:
    """A call that ended."""

    status: Any
    text: str | None = ""
    trailing: Any = field(default_factory=tuple)

    def code(self) -> Any:
        return self.status

    def details(self) -> str | None:
        return self.text

    def trailing_metadata(self) -> Any:
        return self.trailing


def rich(*details: Message) -> tuple[tuple[str, bytes], ...]:
    status = status_pb2.Status()
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return (("server", b""), (DETAILS_KEY, status.SerializeToString()))


def test_what_the_server_packs_the_client_reads() -> None:
    given = InvalidArgument.of("seats[0].seat", "is required")
    trailing = ((DETAILS_KEY, rich_status(given, "trace-1").SerializeToString()),)

    error = error_of(Ended(grpc.StatusCode.INVALID_ARGUMENT, given.message, trailing), request_id="r1")

    assert isinstance(error, errors.InvalidArgument)
    assert error.reason == "INVALID_FIELD"
    assert error.field_violations == (FieldViolation("seats[0].seat", "is required"),)
    assert (error.request_id, error.trace_id) == ("r1", "trace-1")
    assert str(error) == "seats[0].seat: is required (INVALID_FIELD)"


def test_the_metadata_and_the_wait_are_read() -> None:
    info = error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="rowlock.dev", metadata={"limit": "5/second"})
    delay = Duration()
    delay.FromMilliseconds(1500)
    trailing = rich(info, error_details_pb2.RetryInfo(retry_delay=delay))

    error = error_of(Ended(grpc.StatusCode.RESOURCE_EXHAUSTED, "slower", trailing))

    assert isinstance(error, errors.ResourceExhausted)
    assert error.metadata == {"limit": "5/second"}
    assert error.retry_after == 1.5


def test_reasons_of_another_domain_are_not_ours() -> None:
    info = error_details_pb2.ErrorInfo(reason="SEAT_TAKEN", domain="proxy.example")

    error = error_of(Ended(grpc.StatusCode.UNAVAILABLE, "no", rich(info)))

    assert error.reason == ""


@pytest.mark.parametrize("trailing", [None, (), ((DETAILS_KEY, b"\xff\xff not protobuf"),), ((DETAILS_KEY, "text"),)])
def test_a_status_without_readable_details_is_still_an_error(trailing: Any) -> None:
    error = error_of(Ended(grpc.StatusCode.NOT_FOUND, "gone", trailing))

    assert isinstance(error, errors.NotFound)
    assert str(error) == "gone (NOT_FOUND)"


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_code_has_a_class(code: grpc.StatusCode) -> None:
    error = error_of(Ended(code, None))

    assert error.code is code
    assert error.message == code.name


def test_a_code_that_grpc_does_not_know_is_a_fault_of_the_server() -> None:
    assert isinstance(error_of(Ended(99, "?")), errors.ServerFault)
