"""Allocations and shifts as callers see them."""

from rowlock.v1 import box_office_pb2 as pb
from server import resources
from server.domain.allocations import AllocationView
from server.domain.etags import etag_of
from server.domain.shifts import ShiftView, TillTotals
from server.seats.hall import Hall
from server.services.wire import money, timestamp


def allocation_message(view: AllocationView, hall: Hall) -> pb.Allocation:
    """An allocation with the places that it still has."""
    row = view.allocation
    return pb.Allocation(
        name=resources.allocation(row.performance_id, row.id),
        owner=row.owner,
        note=row.note,
        seats=[hall.places[place].id for place in view.places],
        release_time=timestamp(row.release_time),
        state=pb.Allocation.State.ValueType(row.state),
        blocked=view.blocked,
        creator="" if row.creator_id is None else resources.user(row.creator_id),
        etag=etag_of(row.version),
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        end_time=timestamp(row.end_time),
    )


def shift_message(view: ShiftView) -> pb.Shift:
    """A shift with what it adds up to."""
    row = view.shift
    counted = row.counted_cash
    return pb.Shift(
        name=resources.shift(row.id),
        till=row.till,
        staff=resources.user(row.staff_id),
        state=pb.Shift.State.ValueType(row.state),
        opening_cash=money(row.opening_cash, row.currency),
        totals=_totals(view.totals, row.currency),
        performances=[_totals(part, row.currency) for part in view.performances],
        expected_cash=money(view.expected_cash, row.currency),
        counted_cash=None if counted is None else money(counted, row.currency),
        difference=None if counted is None else money(counted - view.expected_cash, row.currency),
        note=row.note,
        open_time=timestamp(row.open_time),
        close_time=timestamp(row.close_time),
    )


def _totals(totals: TillTotals, currency: str) -> pb.Shift.Totals:
    performance_id = totals.performance_id
    return pb.Shift.Totals(
        performance="" if performance_id is None else resources.performance(performance_id),
        cash_bookings=totals.cash_bookings,
        cash_tickets=totals.cash_tickets,
        cash_in=money(totals.cash_in, currency),
        comp_bookings=totals.comp_bookings,
        comp_tickets=totals.comp_tickets,
        cash_refunds=totals.cash_refunds,
        cash_out=money(totals.cash_out, currency),
    )
