"""Categories of events."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette_admin import link_row_action
from starlette_admin.fields import StringField, TextAreaField

from console.calling import call
from console.columns import Moment
from console.form_fields import OpenedWith, plain, update
from console.messages import fill
from console.resources import RpcView
from rowlock.v1 import category_pb2
from rowlock.v1.event_pb2_grpc import EventServiceStub
from rowlock_client.rpc import Rpc


class Categories(RpcView[category_pb2.Category]):
    """All categories, by name."""

    key = "categories"
    menu_label = "Categories"
    display_name = "category"
    icon = "fa fa-tags"
    fields = (
        StringField("name", label="Category", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        StringField("display_name", label="Name", required=True, maxlength=100),
        TextAreaField("description", maxlength=2000),
        Moment("update_time", label="Changed", read_only=True, exclude_from_create=True, exclude_from_edit=True),
        OpenedWith(),
    )

    row_actions = ("view", "edit", "events", "delete")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[category_pb2.ListCategoriesResponse]:
        """All."""
        return Rpc(EventServiceStub, "ListCategories", category_pb2.ListCategoriesRequest())

    def get_rpc(self, name: str) -> Rpc[category_pb2.Category]:
        """One."""
        return Rpc(EventServiceStub, "GetCategory", category_pb2.GetCategoryRequest(name=name))

    async def make(self, request: Request, data: dict[str, Any]) -> category_pb2.Category:
        """A new one."""
        category = category_pb2.Category()
        fill(category, plain(data))
        wanted = category_pb2.CreateCategoryRequest(category=category)
        return await call(request, Rpc(EventServiceStub, "CreateCategory", wanted))

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> category_pb2.Category:
        """Another name or description."""
        return await update(
            request,
            record.proto,
            data,
            lambda category, mask: Rpc(
                EventServiceStub,
                "UpdateCategory",
                category_pb2.UpdateCategoryRequest(category=category, update_mask=mask),
            ),
        )

    async def remove(self, request: Request, name: str) -> None:
        """Delete one that no event is in."""
        await call(request, Rpc(EventServiceStub, "DeleteCategory", category_pb2.DeleteCategoryRequest(name=name)))

    @link_row_action("events", "Events", icon_class="fa fa-masks-theater", action_btn_class="btn")
    def row_action_events(self, request: Request, pk: Any) -> str:
        """What is in it."""
        return str(request.url_for("console:list", key="events").include_query_params(category=pk))
