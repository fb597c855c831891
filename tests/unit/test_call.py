import pytest

from server.call import new_trace_id, trace_of

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_the_callers_trace_is_kept() -> None:
    assert trace_of(f"00-{TRACE}-b7ad6b7169203331-01") == TRACE


@pytest.mark.parametrize(
    "text",
    ["", "00", f"00-{TRACE[1:]}-b7ad6b7169203331-01", f"00-{'0' * 32}-b7ad6b7169203331-01", f'00-{TRACE[:-1]}"-x-01'],
)
def test_what_is_no_trace_gets_a_new_one(text: str) -> None:
    made = trace_of(text)
    assert len(made) == 32
    assert set(made) <= set("0123456789abcdef")
    assert made not in {TRACE, "0" * 32}
    assert new_trace_id() != new_trace_id()
