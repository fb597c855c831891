"""The pages, and their order in the menu."""

from collections.abc import Sequence

from starlette_admin.views import BaseView, CustomView, DropDown

from console.pages.bookings import Bookings
from console.pages.categories import Categories
from console.pages.check_ins import CheckIns
from console.pages.events import Events
from console.pages.failed_work import FailedWork
from console.pages.hall import LiveHall
from console.pages.home import Home
from console.pages.inquiries import ContactData, Inquiries, SocialLinks
from console.pages.payments import Payments
from console.pages.performances import Performances
from console.pages.refunds import Refunds
from console.pages.reports import Reports
from console.pages.seat_maps import SeatMaps
from console.pages.shifts import CashDue, Shifts
from console.pages.staff_actions import StaffActions
from console.pages.ticket_documents import TicketDocuments
from console.pages.ticket_types import TicketTypes
from console.pages.users import ApiKeys, Users
from console.pages.venues import Venues
from console.pages.waiting_rooms import WaitingRooms


def home() -> CustomView:
    """What one sees first."""
    return Home()


def menu() -> Sequence[BaseView]:
    """All others."""
    return [
        DropDown(
            "Programme",
            icon="fa fa-masks-theater",
            views=[Events, Performances, TicketTypes, Venues, SeatMaps, Categories, LiveHall],
        ),
        DropDown("Sales", icon="fa fa-receipt", views=[Bookings, CheckIns, Shifts, CashDue, TicketDocuments]),
        DropDown("Money", icon="fa fa-coins", views=[Payments, Refunds, FailedWork]),
        DropDown(
            "House", icon="fa fa-building-columns", views=[Reports, Inquiries, ContactData, SocialLinks, StaffActions]
        ),
        DropDown("People", icon="fa fa-users", views=[Users, ApiKeys, WaitingRooms]),
    ]
