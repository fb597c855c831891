"""How long a session lasts."""

from datetime import timedelta
from typing import Any

from console.sessions import Sessions, StaffSession
from rowlock.v1 import auth_pb2


def test_a_page_that_lies_open_keeps_no_session_alive() -> None:
    clock = [0.0]
    nobody: Any = None
    sessions = Sessions(nobody, timedelta(seconds=60), clock=lambda: clock[0])
    session = StaffSession(nobody, auth_pb2.User(), 0.0)
    sessions._sessions["id"] = session
    for clock[0] in (50.0, 100.0):
        assert sessions.find("id") is session
    for clock[0] in (120.0, 160.0):
        assert sessions.find("id", by_hand=False) is session
        assert sessions.is_open(session)
    clock[0] = 161.0
    assert not sessions.is_open(session)
    assert sessions.find("id", by_hand=False) is None
