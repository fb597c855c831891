"""The pages, and their order in the menu."""

from collections.abc import Sequence

from starlette_admin.views import BaseView, CustomView, DropDown

from console.pages.bookings import Bookings


def home() -> CustomView:
    """What one sees first."""
    return CustomView(menu_label="Today", icon="fa fa-gauge", path="/")


def menu() -> Sequence[BaseView]:
    """All others."""
    return [
        DropDown("Sales", icon="fa fa-receipt", views=[Bookings]),
    ]
