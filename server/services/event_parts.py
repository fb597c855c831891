"""What the parts of EventService share: where things are, and how a change is made once."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy.orm import Session

from server.db.engine import Database
from server.domain.performances import SaleDefaults
from server.interceptors.authentication import caller, optional_caller
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.services.mutation import once
from server.states import Role

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Answer = TypeVar("Answer", bound=Message)

_STAFF = frozenset({Role.STAFF, Role.ADMIN})


class EventServiceParts:
    """Base of the parts.

    Args:
        database: where the catalogue is.
        ledger: changes seats.
        defaults: what holds for performances of which staff do not say otherwise.
        halls: the halls of this process.
    """

    def __init__(self, database: Database, ledger: Ledger, defaults: SaleDefaults, halls: Halls) -> None:
        self._database = database
        self._ledger = ledger
        self._defaults = defaults
        self._halls = halls
        self._winding_up: set[asyncio.Task[None]] = set()

    async def _once(self, request: Message, answer: type[Answer], work: Callable[[Session], Answer]) -> Answer:
        """Make a change once, however often it is asked for by the same ``request_id``."""
        return await once(self._database, request, answer, work, scope=caller().scope)


def by_staff() -> bool:
    """Whether the current caller is staff, who also see what is not published."""
    known = optional_caller()
    return known is not None and known.role in _STAFF


def view_scope(*, staff: bool) -> str:
    """The scope of page tokens: a page of what staff see is not continued by others."""
    return "staff" if staff else ""
