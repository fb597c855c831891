"""BoxOfficeService: allocations and the shifts of tills. Selling itself is BookingService's."""

from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc.aio
from sqlalchemy.orm import Session

from rowlock.v1 import box_office_pb2 as pb
from rowlock.v1 import box_office_pb2_grpc
from server import resources
from server.db.engine import Database
from server.db.ids import new_id
from server.domain import allocations, shifts
from server.domain.allocations import AllocationChange, AllocationPage, AllocationView
from server.domain.shifts import ShiftView
from server.errors import FailedPrecondition
from server.interceptors.authentication import caller
from server.seats.commands import Block, Release, SetAside
from server.seats.hall import Hall
from server.seats.halls import Halls
from server.seats.ledger import Ledger
from server.services.box_office_messages import allocation_message, shift_message
from server.services.field_mask import paths_of
from server.services.mutation import once
from server.services.paging import page_of
from server.services.seat_names import places_of_performance, seat_not_free
from server.services.staff_recording import record_of
from server.services.standing import request_key
from server.services.wire import minor_units, time_in
from server.states import AllocationState, Role, ShiftState

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_WRITABLE: Final = ("owner", "note", "release_time")


class BoxOfficeService(box_office_pb2_grpc.BoxOfficeServiceServicer):
    """The servicer.

    Args:
        database: where allocations and shifts are.
        ledger: blocks and frees places.
        halls: the halls of this process.
    """

    def __init__(self, database: Database, ledger: Ledger, halls: Halls) -> None:
        self._database = database
        self._ledger = ledger
        self._halls = halls

    async def CreateAllocation(self, request: pb.CreateAllocationRequest, context: Context) -> pb.Allocation:
        """Set free places aside, all or none."""
        who = caller()
        performance_id = resources.parse_performance(request.parent, "parent")
        wanted = request.allocation
        places, hall = await places_of_performance(
            self._database, self._ledger, performance_id, wanted.seats, field="allocation.seats"
        )
        until = time_in(wanted, "release_time")
        key = request_key(request, who)
        release_time = await self._database.read(
            lambda session: allocations.release_time_of(session, performance_id, until)
        )
        allocation_id = new_id()
        command = Block(
            performance_id=performance_id,
            action_id=allocation_id,
            places=places,
            actor_id=who.user_id,
            reason=wanted.owner,
            hall=hall,
            request=key,
            record=record_of(request, resources.allocation(performance_id, allocation_id)),
            aside=SetAside(wanted.owner, wanted.note, release_time),
        )
        try:
            await self._ledger.execute(command)
        except FailedPrecondition as refusal:
            raise seat_not_free(refusal) from None
        request_id = None if key is None else key.request_id
        return await self._allocation(performance_id, allocation_id, request_id, who.user_id)

    async def GetAllocation(self, request: pb.GetAllocationRequest, context: Context) -> pb.Allocation:
        """Read an allocation."""
        return await self._allocation(*resources.parse_allocation(request.name))

    async def ListAllocations(self, request: pb.ListAllocationsRequest, context: Context) -> pb.ListAllocationsResponse:
        """List allocations, newest first."""
        performance_id = None
        if request.parent != resources.ANY_PERFORMANCE:
            performance_id = resources.parse_performance(request.parent, "parent")
        page = page_of(request, datetime, UUID)

        def work(session: Session) -> tuple[AllocationPage, dict[int, Hall]]:
            found = allocations.list_allocations(
                session,
                performance_id=performance_id,
                state=AllocationState(request.state) if request.state else None,
                after=page.after,
                limit=page.limit,
            )
            return found, self._halls.of_performances(session, (row.allocation.performance_id for row in found.rows))

        found, halls = await self._database.read(work)
        rows, token = page.cut(found.rows, lambda row: (row.allocation.create_time, row.allocation.id))
        return pb.ListAllocationsResponse(
            allocations=[allocation_message(row, halls[row.allocation.performance_id]) for row in rows],
            next_page_token=token,
            total_size=found.total,
        )

    async def UpdateAllocation(self, request: pb.UpdateAllocationRequest, context: Context) -> pb.Allocation:
        """Change the owner, the note or the release time."""
        new = request.allocation
        name = resources.parse_allocation(new.name, "allocation.name")
        paths = paths_of(request.update_mask, new, _WRITABLE)
        until = time_in(new, "release_time")
        values = AllocationChange(
            owner=new.owner if "owner" in paths else None,
            note=new.note if "note" in paths else None,
            release_time=until if "release_time" in paths else None,
            releases_at_start="release_time" in paths and until is None,
        )

        def work(session: Session) -> pb.Allocation:
            return self._shown(session, allocations.change(session, *name, values, new.etag))

        return await once(self._database, request, pb.Allocation, work, scope=caller().scope)

    async def ReleaseAllocation(self, request: pb.ReleaseAllocationRequest, context: Context) -> pb.Allocation:
        """Give an allocation's places back to the general sale."""
        who = caller()
        performance_id, allocation_id = resources.parse_allocation(request.name)
        await self._ledger.execute(
            Release(
                performance_id=performance_id,
                allocation_id=allocation_id,
                actor_id=who.user_id,
                etag=request.etag,
                request=request_key(request, who),
                record=record_of(request),
            )
        )
        return await self._allocation(performance_id, allocation_id)

    async def OpenShift(self, request: pb.OpenShiftRequest, context: Context) -> pb.Shift:
        """Open a shift of the caller."""
        who = caller()
        till, cash = request.shift.till, request.shift.opening_cash
        amount = minor_units(cash, "shift.opening_cash")

        def work(session: Session) -> pb.Shift:
            return shift_message(
                shifts.open_shift(session, who.user_id, till=till, opening_cash=amount, currency=cash.currency_code)
            )

        return await once(self._database, request, pb.Shift, work, scope=who.scope)

    async def CloseShift(self, request: pb.CloseShiftRequest, context: Context) -> pb.Shift:
        """Close a shift."""
        who = caller()
        shift_id = UUID(request.name.removeprefix("shifts/"))
        amount = minor_units(request.counted_cash, "counted_cash")
        owner = None if who.role is Role.ADMIN else who.user_id

        def work(session: Session) -> pb.Shift:
            return shift_message(
                shifts.close_shift(
                    session,
                    shift_id,
                    owner,
                    counted_cash=amount,
                    currency=request.counted_cash.currency_code,
                    note=request.note,
                )
            )

        return await once(self._database, request, pb.Shift, work, scope=who.scope)

    async def GetShift(self, request: pb.GetShiftRequest, context: Context) -> pb.Shift:
        """Read a shift with its totals so far."""
        who = caller()
        shift_id = resources.parse_shift(request.name)
        any_owner = who.role is Role.ADMIN
        return shift_message(
            await self._database.read(
                lambda session: shifts.get_shift(session, shift_id, who.user_id, any_owner=any_owner)
            )
        )

    async def ListShifts(self, request: pb.ListShiftsRequest, context: Context) -> pb.ListShiftsResponse:
        """List shifts, newest first."""
        who = caller()
        owner = None if who.role is Role.ADMIN else who.user_id
        page = page_of(request, datetime, UUID, scope=str(owner))
        found = await self._database.read(
            lambda session: shifts.list_shifts(
                session,
                owner=owner,
                state=ShiftState(request.state) if request.state else None,
                after=page.after,
                limit=page.limit,
            )
        )

        def key(row: ShiftView) -> tuple[datetime, UUID]:
            return row.shift.open_time, row.shift.id

        rows, token = page.cut(found.rows, key)
        return pb.ListShiftsResponse(shifts=map(shift_message, rows), next_page_token=token, total_size=found.total)

    async def _allocation(
        self, performance_id: int, allocation_id: UUID, request_id: str | None = None, actor_id: UUID | None = None
    ) -> pb.Allocation:
        """The allocation; or the one that the request made when it came first."""

        def work(session: Session) -> pb.Allocation:
            made = None
            if request_id is not None and actor_id is not None:
                made = allocations.made_by(session, performance_id, actor_id, request_id)
            return self._shown(session, allocations.get(session, performance_id, made or allocation_id))

        return await self._database.read(work)

    def _shown(self, session: Session, view: AllocationView) -> pb.Allocation:
        performance_id = view.allocation.performance_id
        return allocation_message(view, self._halls.of_performances(session, [performance_id])[performance_id])
