"""Bookings of all performances."""

from collections.abc import Mapping
from typing import ClassVar

from starlette_admin.fields import StringField

from console.columns import Moment, State
from console.narrowing import Choice, Narrowing, Words, words_of
from console.resources import RpcView
from rowlock.v1 import booking_pb2
from rowlock.v1.booking_pb2_grpc import BookingServiceStub
from rowlock_client.rpc import Rpc


class Bookings(RpcView):
    """All bookings, newest first."""

    key = "bookings"
    menu_label = "Bookings"
    display_name = "booking"
    icon = "fa fa-chair"
    fields = (
        StringField("name", label="Booking"),
        State("state"),
        StringField("customer"),
        Moment("create_time", label="Made"),
    )
    narrowing: ClassVar[list[Narrowing]] = [
        Words("performance", "Performance", "performances/1"),
        Choice("state", "State", words_of(booking_pb2.Booking.State)),
    ]

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[booking_pb2.ListBookingsResponse]:
        """By performance and state."""
        request = booking_pb2.ListBookingsRequest(parent=narrowed["performance"] or "performances/-")
        return Rpc(BookingServiceStub, "ListBookings", request)

    def get_rpc(self, name: str) -> Rpc[booking_pb2.Booking]:
        """One booking."""
        return Rpc(BookingServiceStub, "GetBooking", booking_pb2.GetBookingRequest(name=name))
