from typing import Any

import pytest

from server.interceptors.rate_fields import tell
from server.rates import Rate


class Call:
    """What `tell` needs of a context."""

    def __init__(self) -> None:
        self.told: Any = ()

    def trailing_metadata(self) -> Any:
        return self.told

    def set_trailing_metadata(self, told: Any) -> None:
        self.told = told


@pytest.mark.parametrize(
    ("over", "left", "seconds"),
    [
        (-59.9, 599, 1),  # the first call of six hundred
        (-30.0, 300, 30),
        (-29.99, 299, 31),
        (0.0, 0, 60),  # the last one
        (0.1, 0, 61),  # one too many
    ],
)
def test_what_is_left_and_when_all_is_there_again(over: float, left: int, seconds: int) -> None:
    call: Any = Call()
    tell(call, "account", Rate(600, 60), over)
    assert call.told == (
        ("ratelimit", f'"account";r={left};t={seconds}'),
        ("ratelimit-policy", '"account";q=600;w=60'),
    )


def test_each_limit_adds_its_own() -> None:
    call: Any = Call()
    tell(call, "address", Rate(6000, 60), -10)
    tell(call, "account", Rate(600, 60), -10)
    assert [key for key, _ in call.told] == ["ratelimit", "ratelimit-policy"] * 2
