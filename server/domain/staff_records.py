"""What is to be recorded of a change that staff make: a value that travels with the change into its transaction."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from server.db.ids import new_id
from server.states import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRecord:
    """One change of staff's.

    Attributes:
        actor_id: who makes it.
        role: in which role: STAFF or ADMIN.
        key_id: by which API key; None: by none.
        method: the RPC, as its service and name, such as ``EventService.CreateEvent``.
        resources: the names of what it is about.
        request: the request as JSON text, without secrets.
        shortened: whether long values were left out of ``request``.
        request_id: what the request was sent with; None: nothing.
        id: its own.
    """

    actor_id: UUID
    role: Role
    method: str
    resources: tuple[str, ...]
    request: str
    key_id: UUID | None = None
    shortened: bool = False
    request_id: str | None = None
    id: UUID = field(default_factory=new_id)


def within(names: Iterable[str]) -> list[str]:
    """Resource names and all that they lie in, each once: what a record is found by.

    ``performances/7/bookings/…`` lies in ``performances/7``, and so does ``performances/7/waitingRoom``.
    """
    found: dict[str, None] = {}
    for name in names:
        parts = name.split("/")
        while parts:
            found["/".join(parts)] = None
            # A singleton has no id of its own: it ends on an odd part.
            del parts[-1 if len(parts) % 2 else -2 :]
    return list(found)


def columns(record: StaffRecord) -> dict[str, Any]:
    """The columns of a record, but for its time; the request as JSON text."""
    return {
        "id": record.id,
        "actor_id": record.actor_id,
        "role": int(record.role),
        "key_id": record.key_id,
        "method": record.method,
        "resources": list(record.resources),
        "within": within(record.resources),
        "request": record.request,
        "request_shortened": record.shortened,
        "request_id": record.request_id,
    }


def as_json(records: Sequence[StaffRecord]) -> str:
    """Records as one JSON array of objects by column, for one statement that writes them all."""
    rows = [columns(record) | {"request": json.loads(record.request)} for record in records]
    return json.dumps(rows, default=str)
