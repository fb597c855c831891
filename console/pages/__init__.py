"""The pages, and their order in the menu."""

from collections.abc import Sequence

from starlette_admin.views import BaseView, CustomView, DropDown

from console.pages.bookings import Bookings
from console.pages.home import Home
from console.pages.inquiries import ContactData, Inquiries, SocialLinks
from console.pages.reports import Reports
from console.pages.staff_actions import StaffActions
from console.pages.ticket_documents import TicketDocuments
from console.pages.users import ApiKeys, Users
from console.pages.waiting_rooms import WaitingRooms


def home() -> CustomView:
    """What one sees first."""
    return Home()


def menu() -> Sequence[BaseView]:
    """All others."""
    return [
        DropDown("Sales", icon="fa fa-receipt", views=[Bookings, TicketDocuments]),
        DropDown(
            "House", icon="fa fa-building-columns", views=[Reports, Inquiries, ContactData, SocialLinks, StaffActions]
        ),
        DropDown("People", icon="fa fa-users", views=[Users, ApiKeys, WaitingRooms]),
    ]
