"""The live hall of a performance: every place as it is now, blocking, and setting aside."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette_admin import CustomView, route

from console.answering import for_scripts
from console.calling import call, session_of
from console.form_fields import plain, update
from console.halls import Drawings, as_dict, live
from console.known import performance_label
from console.local_times import for_form, in_local, in_zone, told
from console.messages import fill
from console.records import Record
from console.rendering import render
from rowlock.v1 import box_office_pb2, performance_pb2
from rowlock.v1.box_office_pb2_grpc import BoxOfficeServiceStub
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client import calls
from rowlock_client.rpc import Rpc

_JSON: Final = "application/json"
_DIGITS: Final = 9
"""Of the number of a version, at most."""
_TIMES: Final = ("release_time",)
_FIELDS: Final = ("owner", "note", *_TIMES)


class LiveHall(CustomView):
    """One hall: `/hall?performance=performances/1`; and what its scripts, and those of other pages, ask for."""

    menu_label = "Hall"
    icon = "fa fa-chair"
    path = "/hall"
    route_name = "hall"
    add_to_menu = False

    def __init__(self) -> None:
        super().__init__()
        self._drawings = Drawings()

    @route("")
    async def index(self, request: Request) -> Response:
        """The page."""
        performance = await _performance(request, _named(request, "performance"))
        settings = {"performance": performance.name, "timeZone": performance.time_zone}
        return render(
            self, request, "hall.html", label=performance_label(performance), performance=performance, settings=settings
        )

    @for_scripts("/drawing")
    async def drawing(self, request: Request) -> Response:
        """The plan: of a performance, or of a version of a seat map."""
        query = request.query_params
        if "seat_map" in query:
            version = query.get("version", "0")
            if not version.isdecimal() or len(version) > _DIGITS:
                raise HTTPException(400, "version: not the number of one")
            found = await self._drawings.of_seat_map(request, query["seat_map"], int(version))
        else:
            found = await self._drawings.of_performance(request, _named(request, "performance"))
        return Response(found, media_type=_JSON)

    @for_scripts("/feed")
    async def feed(self, request: Request) -> Response:
        """What happens to its places, as newline-delimited JSON."""
        name = _named(request, "performance")
        await _performance(request, name)
        # Proxies are to hand each line on at once.
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(live(request, name), media_type="application/x-ndjson", headers=headers)

    @for_scripts("/allocations")
    async def allocations(self, request: Request) -> Response:
        """What is set aside, for whom, until when."""
        name = _named(request, "performance")
        wanted = box_office_pb2.ListAllocationsRequest(
            parent=name, state=box_office_pb2.Allocation.LIVE, page_size=1000
        )
        zone = (await _performance(request, name)).time_zone
        rpc: Rpc[box_office_pb2.ListAllocationsResponse] = Rpc(BoxOfficeServiceStub, "ListAllocations", wanted)
        found = [
            one
            async for page in session_of(request).client.pages(rpc)
            for one in page.allocations  # one page, unless a house has more than a thousand
        ]
        return JSONResponse([_shown(one, zone) for one in found])

    @for_scripts("/block", ["POST"])
    async def block(self, request: Request) -> Response:
        """Take places out of the sale."""
        return await _change_seats(request, calls.block)

    @for_scripts("/unblock", ["POST"])
    async def unblock(self, request: Request) -> Response:
        """Put them back."""
        return await _change_seats(request, calls.unblock)

    @for_scripts("/allocate", ["POST"])
    async def allocate(self, request: Request) -> Response:
        """Set places aside for an owner."""
        form = await request.form()
        name = str(form.get("performance") or "")
        zone = (await _performance(request, name)).time_zone
        allocation = box_office_pb2.Allocation(seats=_seats(form))
        fill(allocation, _values(form, zone))
        wanted = box_office_pb2.CreateAllocationRequest(parent=name, allocation=allocation)
        made: box_office_pb2.Allocation = await call(request, Rpc(BoxOfficeServiceStub, "CreateAllocation", wanted))
        return JSONResponse(_shown(made, zone))

    @for_scripts("/reallocate", ["POST"])
    async def reallocate(self, request: Request) -> Response:
        """Change the owner, the note or the time of an allocation."""
        form = await request.form()
        wanted = box_office_pb2.GetAllocationRequest(name=str(form.get("name") or ""))
        before: box_office_pb2.Allocation = await call(request, Rpc(BoxOfficeServiceStub, "GetAllocation", wanted))
        zone = (await _performance(request, before.name.partition("/allocations/")[0])).time_zone
        after = await update(
            request,
            before,
            {**_values(form, zone, Record(before)), "etag": str(form.get("etag") or "")},
            _updating,
        )
        return JSONResponse(_shown(after, zone))

    @for_scripts("/release", ["POST"])
    async def release(self, request: Request) -> Response:
        """Give an allocation's places back to the general sale."""
        name = str((await request.form()).get("name") or "")
        wanted = box_office_pb2.ReleaseAllocationRequest(name=name)
        released: box_office_pb2.Allocation = await call(
            request, Rpc(BoxOfficeServiceStub, "ReleaseAllocation", wanted)
        )
        return JSONResponse(as_dict(released))

    @for_scripts("/counts")
    async def counts(self, request: Request) -> Response:
        """How much is left of a performance, by zone and ticket type: a part of its page."""
        name = _named(request, "performance")
        found = await call(request, calls.availability(name))
        return render(self, request, "_counts.html", availability=Record(found), performance=name)

    @for_scripts("/cancellation")
    async def cancellation(self, request: Request) -> Response:
        """How far a performance or an event has been wound up: a part of its page."""
        wanted = performance_pb2.GetCancellationProgressRequest(name=_named(request, "of"))
        found: performance_pb2.CancellationProgress = await call(
            request, Rpc(EventServiceStub, "GetCancellationProgress", wanted)
        )
        return render(self, request, "_cancellation.html", progress=Record(found))


def _named(request: Request, parameter: str) -> str:
    name = request.query_params.get(parameter, "")
    if not name:
        raise HTTPException(400, f"{parameter}: of which one?")
    return name if "/" in name else f"performances/{name}"


async def _performance(request: Request, name: str) -> performance_pb2.Performance:
    return await call(request, calls.performance(name))


def _seats(form: Mapping[str, Any]) -> list[str]:
    """Ids may have any sign in them, so they come as JSON."""
    try:
        found = json.loads(str(form.get("seats") or "[]"))
    except ValueError:
        raise HTTPException(400, "seats: no JSON") from None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise HTTPException(400, "seats: no list of ids")
    return found


async def _change_seats(request: Request, rpc: Callable[..., Rpc[Any]]) -> Response:
    form = await request.form()
    wanted = rpc(str(form.get("performance") or ""), *_seats(form), reason=str(form.get("reason") or "").strip())
    return JSONResponse(as_dict(await call(request, wanted)))


def _values(
    form: Mapping[str, Any], zone: str, before: Record[box_office_pb2.Allocation] | None = None
) -> dict[str, Any]:
    entered = plain({name: str(form.get(name) or "").strip() for name in _FIELDS})
    return {**entered, **in_zone(entered, _TIMES, zone, before)}


def _updating(allocation: box_office_pb2.Allocation, mask: FieldMask) -> Rpc[box_office_pb2.Allocation]:
    wanted = box_office_pb2.UpdateAllocationRequest(allocation=allocation, update_mask=mask)
    return Rpc(BoxOfficeServiceStub, "UpdateAllocation", wanted)


def _shown(allocation: box_office_pb2.Allocation, zone: str) -> dict[str, Any]:
    """With its time as people read it, and as a form takes it."""
    time = Record(allocation).release_time
    local = None if time is None else in_local(time, zone)
    return {
        **as_dict(allocation),
        "releases": told(local) if local else "",
        "releaseLocal": for_form(local) if local else "",
    }
