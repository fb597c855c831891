"""The pages, and their order in the menu."""

from collections.abc import Sequence

from starlette_admin.views import BaseView, CustomView, DropDown

from console.pages.bookings import Bookings
from console.pages.home import Home
from console.pages.reports import Reports
from console.pages.staff_actions import StaffActions


def home() -> CustomView:
    """What one sees first."""
    return Home()


def menu() -> Sequence[BaseView]:
    """All others."""
    return [
        DropDown("Sales", icon="fa fa-receipt", views=[Bookings]),
        DropDown("House", icon="fa fa-building-columns", views=[Reports, StaffActions]),
    ]
