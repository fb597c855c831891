import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowlock_client.errors import (
    Aborted,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    RowlockError,
    ServerFault,
    Unavailable,
)
from rowlock_client.retrying import RetryPolicy, may_retry

POLICY = RetryPolicy(first_pause=0.1, longest_pause=2.0)


def unavailable(retry_after: float | None = None) -> RowlockError:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, "away", retry_after=retry_after)


def aborted(reason: str) -> RowlockError:
    return Aborted(grpc.StatusCode.ABORTED, "lost", reason=reason)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_pauses_grow_to_the_longest_and_keep_apart(attempt: int, chance: float) -> None:
    pause = POLICY.backoff(attempt, lambda: chance)

    whole = min(2.0, 0.1 * 2 ** min(attempt - 1, 40))
    assert whole / 2 <= pause <= whole


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (unavailable(), True),
        (aborted("CONTENDED"), True),
        (aborted("ETAG_MISMATCH"), False),
        (ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow", retry_after=0.5), True),
        (ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large"), False),
        (FailedPrecondition(grpc.StatusCode.FAILED_PRECONDITION, "taken"), False),
        (NotFound(grpc.StatusCode.NOT_FOUND, "gone"), False),
        (ServerFault(grpc.StatusCode.INTERNAL, "bug"), False),
    ],
)
def test_only_what_may_succeed_unchanged_is_retried(error: RowlockError, retried: bool) -> None:
    assert may_retry(error) is retried


@given(st.floats(0, 1))
def test_the_server_is_not_asked_earlier_than_it_wishes(chance: float) -> None:
    pause = POLICY.pause(unavailable(retry_after=3.0), 1, elapsed=0, remaining=60, chance=lambda: chance)

    assert pause is not None
    assert 3.0 <= pause <= 3.75


def test_no_attempt_begins_after_the_deadline() -> None:
    assert POLICY.pause(unavailable(retry_after=3.0), 1, elapsed=0, remaining=2.9) is None


def test_patience_ends_before_the_deadline() -> None:
    policy = RetryPolicy(patience=1.0)

    assert policy.pause(unavailable(), 1, elapsed=0.5, remaining=60) is not None
    assert policy.pause(unavailable(), 5, elapsed=0.9, remaining=60) is None
