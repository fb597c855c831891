"""EventService: categories."""

from typing import Final

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.orm import Session

from rowlock.v1 import category_pb2 as pb
from server import resources
from server.domain import categories
from server.domain.categories import CategoryValues
from server.services.catalogue_messages import category_message
from server.services.event_parts import Context, EventServiceParts
from server.services.field_mask import apply, paths_of
from server.services.paging import page_of

_WRITABLE: Final = ("display_name", "description")


class CategoryMethods(EventServiceParts):
    """The RPCs of categories."""

    async def CreateCategory(self, request: pb.CreateCategoryRequest, context: Context) -> pb.Category:
        """Make a category."""

        def work(session: Session) -> pb.Category:
            return category_message(categories.create(session, _values(request.category)))

        return await self._once(request, pb.Category, work)

    async def GetCategory(self, request: pb.GetCategoryRequest, context: Context) -> pb.Category:
        """Read a category."""
        category_id = resources.parse_category(request.name)
        return await self._database.read(lambda session: category_message(categories.get(session, category_id)))

    async def ListCategories(self, request: pb.ListCategoriesRequest, context: Context) -> pb.ListCategoriesResponse:
        """List categories by name."""
        page = page_of(request, str, int)
        found = await self._database.read(lambda session: categories.page(session, page.after, page.limit))
        rows, next_page_token = page.cut(found.rows, key=lambda category: (category.display_name, category.id))
        return pb.ListCategoriesResponse(
            categories=map(category_message, rows), next_page_token=next_page_token, total_size=found.total
        )

    async def UpdateCategory(self, request: pb.UpdateCategoryRequest, context: Context) -> pb.Category:
        """Change a category."""
        category_id = resources.parse_category(request.category.name, "category.name")
        paths = paths_of(request.update_mask, request.category, _WRITABLE)

        def work(session: Session) -> pb.Category:
            category = categories.lock(session, category_id, request.category.etag)
            wanted = category_message(category)
            apply(paths, request.category, wanted)
            categories.update(session, category, _values(wanted))
            return category_message(category)

        return await self._once(request, pb.Category, work)

    async def DeleteCategory(self, request: pb.DeleteCategoryRequest, context: Context) -> Empty:
        """Delete a category that no event is in."""
        category_id = resources.parse_category(request.name)

        def work(session: Session) -> Empty:
            categories.delete(session, category_id, request.etag)
            return Empty()

        return await self._once(request, Empty, work)


def _values(category: pb.Category) -> CategoryValues:
    return CategoryValues(category.display_name, category.description)
