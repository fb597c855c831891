"""Calls that one form makes of several rows, and how refusals are told."""

import grpc
import pytest
from starlette_admin.exceptions import ActionFailed

from console.calling import one_by_one, sentence
from rowlock_client.errors import FailedPrecondition, FieldViolation, InvalidArgument


def refused(message: str, *faults: FieldViolation) -> InvalidArgument:
    return InvalidArgument(grpc.StatusCode.INVALID_ARGUMENT, message, reason="INVALID_FIELD", field_violations=faults)


async def test_how_many_were_done_before_a_refusal_is_told() -> None:
    done: list[str] = []

    async def change(name: str) -> None:
        if name == "c":
            raise FailedPrecondition(grpc.StatusCode.FAILED_PRECONDITION, "too late", reason="REFUND_STATE")
        done.append(name)

    with pytest.raises(ActionFailed, match=r"2 of 4 are done, then: too late \(REFUND_STATE\)"):
        await one_by_one(["a", "b", "c", "d"], change)
    assert done == ["a", "b"]


def test_each_fault_is_told_once() -> None:
    one, other = FieldViolation("a", "is odd"), FieldViolation("b", "is even")
    assert sentence(refused("a: is odd", one)) == "a: is odd (INVALID_FIELD)"
    assert sentence(refused("two fields are wrong", one, other)) == (
        "two fields are wrong: a: is odd; b: is even (INVALID_FIELD)"
    )


def test_what_only_programs_read_is_left_out() -> None:
    assert sentence(refused("name: does not match regex pattern `^x$`")) == (
        "name: is not written as it has to be (INVALID_FIELD)"
    )
