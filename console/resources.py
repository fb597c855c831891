"""Pages of resources: lists, details and forms, each of which is read and written by RPCs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Generic

from google.protobuf.message import Message
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import BaseModelView, RequestAction
from starlette_admin.actions import ActionSelection
from starlette_admin.exceptions import ActionFailed
from starlette_admin.export.csv import CsvExporter
from starlette_admin.filters import FilterGroup
from starlette_admin.flash import flash

from console.calling import call, refused_form, sentence, session_of
from console.messages import MessageT
from console.narrowing import Narrowing, offer, read_narrowed
from console.records import Record
from console.tables import short
from rowlock_client.errors import InvalidArgument, NotFound, RowlockError
from rowlock_client.paging import continued
from rowlock_client.rpc import Rpc

_AT_ONCE = 500
"""Rows that one call asks for; what comes before a page has to be read, too."""
_LATE = (
    "Somebody else changed this after you opened the form. Nothing was saved: "
    "open the form again to see how it is now, and enter your change there."
)
_DEEPEST = 20_000
"""Rows behind which nobody pages: a list so long is narrowed."""


class RpcView(BaseModelView, Generic[MessageT]):
    """Resources of one kind, the API's `MessageT`, by RPCs. Subclasses say which ones, and what to show of them.

    Attributes:
        narrowing: fields above the list; what is chosen there comes to `list_rpc`.
        items: the field of the List answer that has the rows; empty: the first that is repeated. An answer that has
            none is the only row itself.
        admin_only: whether only administrators see the page at all. The server decides in any case.
    """

    pk_attr = "name"
    list_template = "listing.html"
    detail_template = "resource.html"
    page_size = 25
    page_size_options: Sequence[int] = [25, 50, 100, 500]
    searchable_fields: Sequence[str] | None = ()
    sortable_fields: Sequence[str] | None = ()
    column_visibility = False
    search_highlight = False
    # Names and notes are customers' own words, which no spreadsheet is to take for a formula.
    exporters: Sequence[Any] = (CsvExporter(escape_formulas=True),)
    importers: Sequence[Any] = ()
    narrowing: ClassVar[Sequence[Narrowing]] = ()
    items: ClassVar[str] = ""
    admin_only: ClassVar[bool] = False

    # -- What subclasses say ------------------------------------------------------------------------------

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[Any]:
        """The call that lists what is narrowed to. Its page fields are set by the caller."""
        raise NotImplementedError

    async def narrow(self, request: Request, narrowed: dict[str, str]) -> Mapping[str, str] | None:
        """What `list_rpc` gets of what was entered above the list; None: then nothing is in the list."""
        return narrowed

    def get_rpc(self, name: str) -> Rpc[Any]:
        """The call that reads one."""
        raise NotImplementedError

    async def record(self, request: Request, message: MessageT) -> Any:
        """One row, as the fields read it."""
        return Record(message)

    async def prepare(self, request: Request, messages: Sequence[MessageT]) -> None:
        """Read at once what `record` needs for these rows beside them."""

    def heading(self, record: Any) -> str:
        """What the page of one is called: what people call it, or what it is with the end of its name."""
        for field in ("label", "title", "display_name", "subject"):
            if called := getattr(record, field, ""):
                return str(called)
        kind = str(self.display_name)
        return kind[:1].upper() + kind[1:] + (f" {short(record.name)}" if "/" in record.name else "")

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """Whether to offer an action on one row. What is offered is a hint only: the server decides."""
        return True

    async def make(self, request: Request, data: dict[str, Any]) -> MessageT:
        """Make one from a form; returns it as the server answered."""
        raise HTTPException(405)

    async def change(self, request: Request, record: Any, data: dict[str, Any]) -> MessageT:
        """Change one by a form; returns it as the server answered. `record` is how it was when the form was sent."""
        raise HTTPException(405)

    async def remove(self, request: Request, name: str) -> None:
        """Delete one."""
        raise HTTPException(405)

    # -- Rights: what a page can do at all is said by its class ---------------------------------------------

    def is_accessible(self, request: Request) -> bool:
        """Whether to show the page."""
        return not self.admin_only or session_of(request).is_admin

    def can_view_detail(self, request: Request) -> bool:
        """Whether each has a page of its own."""
        return type(self).get_rpc is not RpcView.get_rpc

    def can_create(self, request: Request) -> bool:
        """Whether there is a form for a new one."""
        return type(self).make is not RpcView.make

    def can_edit(self, request: Request) -> bool:
        """Whether there is a form for changes."""
        return type(self).change is not RpcView.change

    def can_delete(self, request: Request) -> bool:
        """Whether they can be deleted."""
        return type(self).remove is not RpcView.remove

    def can_import(self, request: Request) -> bool:
        """Nothing is made from files here."""
        return False

    # -- Reading --------------------------------------------------------------------------------------------

    async def find_all(  # noqa: PLR0917 - the signature is the library's
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[Any]:
        """A page of the list, in the server's order; a negative limit: all that one can page to."""
        if limit < 0:
            limit = _DEEPEST - skip
        if skip + limit > _DEEPEST:
            raise HTTPException(400, f"nobody pages beyond row {_DEEPEST:,}: narrow the list")
        if request.state.action == RequestAction.LIST:
            await offer(request, self.narrowing)
        rows: list[MessageT] = []
        page: Any = None
        try:
            async for page in self._pages(request, skip + limit):
                rows.extend(self._items_of(page))
        except InvalidArgument as error:
            if request.state.action != RequestAction.LIST:
                raise
            request.state.hints = [(sentence(error), "")]
        total = getattr(page, "total_size", 0)
        more = int(bool(getattr(page, "next_page_token", "")))
        request.state.total = max(total, len(rows) + more)
        shown = rows[skip:]
        await self.prepare(request, shown)
        return [await self.record(request, row) for row in shown]

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """How many rows there are, as far as the page that was just read tells: enough for a next page."""
        if not hasattr(request.state, "total"):
            await self.find_all(request, 0, 1)
        return int(request.state.total)

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """One resource; None: there is none."""
        try:
            return await self.record(request, await call(request, self.get_rpc(str(pk))))
        except (NotFound, InvalidArgument):  # a name that none can have is one of none
            return None

    async def find_by_pks(self, request: Request, pks: list[Any]) -> Sequence[Any]:
        """Several, those that there are."""
        found = [await self.find_by_pk(request, pk) for pk in pks]
        return [one for one in found if one is not None]

    async def _pages(self, request: Request, count: int) -> AsyncIterator[Message]:
        # What is done from a list, such as making a file of it, says in a parameter how the list was asked for.
        query = request.query_params
        query = QueryParams(query["_list_query"].removeprefix("?")) if "_list_query" in query else query
        narrowed = await self.narrow(request, read_narrowed(self.narrowing, query))
        following: Rpc[Any] | None = None if narrowed is None else self.list_rpc(narrowed)
        while following is not None and count > 0:
            request_message: Any = following.request
            if "page_size" in request_message.DESCRIPTOR.fields_by_name:
                request_message.page_size = min(count, _AT_ONCE)
            page = await call(request, following)
            yield page
            count -= len(self._items_of(page))
            following = continued(following, page)

    def _items_of(self, page: Any) -> Sequence[MessageT]:
        repeated = [field.name for field in page.DESCRIPTOR.fields if field.is_repeated]
        if not repeated:
            return [page]
        rows: Sequence[MessageT] = getattr(page, self.items or repeated[0])
        return rows

    # -- Writing --------------------------------------------------------------------------------------------

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """What a form for a new one does."""
        try:
            return await self.record(request, await self.make(request, data))
        except RowlockError as error:
            raise self._refused(request, error) from error

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """What a form for changes does."""
        try:
            record = await self.find_by_pk(request, pk)
            return await self.record(request, await self.change(request, record, data))
        except RowlockError as error:
            raise self._refused(request, error) from error

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        """Delete some, one after the other."""
        for pk in pks:
            await self.remove(request, str(pk))
        return len(pks)

    async def handle_action(self, request: Request, selection: ActionSelection, name: str) -> Response | None:
        """Do something to several; a refusal is shown above the list."""
        try:
            return await super().handle_action(request, selection, name)
        except RowlockError as error:
            raise ActionFailed(sentence(error)) from error

    async def is_row_action_allowed_for_obj(self, request: Request, name: str, obj: Any) -> bool:
        """Whether to show a button. Once it was pressed, the server is asked.

        A form that is sent twice finds its row changed by the first time, and is to get the first answer again.
        """
        if request.state.action == RequestAction.ROW_ACTION:
            return await self.is_row_action_allowed(request, name)
        return await self.is_row_action_allowed(request, name) and self.offers(request, name, obj)

    async def handle_row_action(self, request: Request, pk: Any, name: str) -> Response | None:
        """Do something to one; a refusal is shown above it."""
        try:
            return await super().handle_row_action(request, pk, name)
        except RowlockError as error:
            raise ActionFailed(sentence(error)) from error

    def _refused(self, request: Request, error: RowlockError) -> Exception:
        flash(request, _LATE if error.reason == "ETAG_MISMATCH" else sentence(error), "error")
        return refused_form(error, tuple(field.name for field in self.get_fields_list(request)))
