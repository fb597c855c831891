"""Accounts: who they are, what they may do, and the API keys of devices and partners."""

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import StringField, link_row_action, row_action
from starlette_admin.exceptions import ActionFailed
from starlette_admin.flash import flash

from console.calling import call, sentence, session_of
from console.columns import Flag, Moment, Reference, State
from console.forms import boxes, choice, chosen, dialog, entered, whole_number, words
from console.known import labels
from console.messages import fill
from console.narrowing import Choice, Narrowing, Words, moment, worded
from console.records import Record
from console.rendering import render
from console.resources import RpcView
from rowlock.v1 import auth_pb2
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock_client.errors import RowlockError, Unauthenticated
from rowlock_client.rpc import Rpc

_PREFIX = "ROLE_"
PERSONS = [(name, worded(name.removeprefix(_PREFIX))) for name in ("ROLE_CUSTOMER", "ROLE_STAFF", "ROLE_ADMIN")]
DEVICES = [(name, worded(name.removeprefix(_PREFIX))) for name in ("ROLE_PARTNER", "ROLE_KIOSK", "ROLE_GATE")]
PERMISSIONS = [(name, worded(name)) for name, number in auth_pb2.ApiKey.Permission.items() if number]
_BOUNDS = {
    "calls_per_minute": "Calls a minute",
    "held_places_per_day": "Places held a day",
    "sold_places_per_day": "Places sold a day",
}


class Users(RpcView[auth_pb2.User]):
    """Accounts, oldest first. What they may do is changed by administrators."""

    key = "users"
    menu_label = "Users"
    display_name = "user"
    icon = "fa fa-users"
    fields = (
        StringField("display_name", label="Name"),
        StringField("email", label="E-mail"),
        State("role_word", label="Role"),
        Flag("email_verified", label="Address verified"),
        Flag("disabled"),
        Moment("create_time", label="Since"),
        StringField("name", label="Resource", exclude_from_list=True, copy_to_clipboard=True),
        StringField("locale", exclude_from_list=True),
    )
    narrowing: ClassVar[tuple[Narrowing, ...]] = (
        Words("text", "Name or address"),
        Choice("role", "Role", [*PERSONS, *DEVICES]),
    )
    actions = ()
    row_actions = ("view", "bookings", "role", "disable", "enable", "end_sessions", "new_key")

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[auth_pb2.ListUsersResponse]:
        """By text and role."""
        wanted = auth_pb2.ListUsersRequest(text=narrowed["text"])
        fill(wanted, {"role": narrowed["role"]})
        return Rpc(AuthServiceStub, "ListUsers", wanted)

    def get_rpc(self, name: str) -> Rpc[auth_pb2.User]:
        """One account."""
        return Rpc(AuthServiceStub, "GetUser", auth_pb2.GetUserRequest(name=name))

    async def record(self, request: Request, message: auth_pb2.User) -> Record[auth_pb2.User]:
        """With the role as people call it."""
        return Record(message, role_word=_role(message.role))

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """Administrators' actions to them, and of disabling and enabling the one that makes sense."""
        if name in {"view", "bookings"}:
            return True
        sensible = {"disable": not record.disabled, "enable": record.disabled}.get(name, True)
        return session_of(request).is_admin and bool(sensible)

    @link_row_action("bookings", "Bookings", icon_class="fa fa-chair", action_btn_class="btn", exclude_from_list=True)
    def bookings(self, request: Request, pk: Any) -> str:
        """What they have bought."""
        return str(request.url_for("console:list", key="bookings").include_query_params(customer=pk))

    @row_action(
        "role",
        "Change role",
        confirmation="What may this account do from now on? Its sessions end within a minute.",
        icon_class="fa fa-user-gear",
        submit_btn_text="Change",
        form=lambda _, user: dialog(choice("role", "Role", [one for one in PERSONS if one[0] != user.role])),
    )
    async def role(self, request: Request, pk: str) -> None:
        """SetUserRole."""
        role: Any = await chosen(request, "role", auth_pb2.Role)
        wanted: Rpc[auth_pb2.User] = Rpc(
            AuthServiceStub, "SetUserRole", auth_pb2.SetUserRoleRequest(name=pk, role=role)
        )
        user = await call(request, wanted)
        flash(request, f"{user.display_name} is {_role(user.role)} now.", "success")

    @row_action(
        "disable",
        "Disable",
        confirmation="Nobody can sign in to this account any more, and its sessions end within a minute.",
        icon_class="fa fa-user-slash",
        submit_btn_text="Disable",
        submit_btn_class="btn btn-danger",
        form=lambda _, __: dialog(),
    )
    async def disable(self, request: Request, pk: str) -> None:
        """DisableUser."""
        wanted: Rpc[auth_pb2.User] = Rpc(AuthServiceStub, "DisableUser", auth_pb2.DisableUserRequest(name=pk))
        flash(request, f"{(await call(request, wanted)).display_name} is disabled.", "success")

    @row_action(
        "enable",
        "Enable",
        confirmation="The account can be used again.",
        icon_class="fa fa-user-check",
        submit_btn_text="Enable",
        form=lambda _, __: dialog(),
    )
    async def enable(self, request: Request, pk: str) -> None:
        """EnableUser."""
        wanted: Rpc[auth_pb2.User] = Rpc(AuthServiceStub, "EnableUser", auth_pb2.EnableUserRequest(name=pk))
        flash(request, f"{(await call(request, wanted)).display_name} is enabled.", "success")

    @row_action(
        "end_sessions",
        "End sessions",
        confirmation="Whoever is signed in to this account has to sign in again.",
        icon_class="fa fa-right-from-bracket",
        submit_btn_text="End them",
        form=lambda _, __: dialog(),
    )
    async def end_sessions(self, request: Request, pk: str) -> None:
        """LogOutEverywhere."""
        wanted: Rpc[auth_pb2.LogOutEverywhereResponse] = Rpc(
            AuthServiceStub, "LogOutEverywhere", auth_pb2.LogOutEverywhereRequest(name=pk)
        )
        flash(request, f"{(await call(request, wanted)).ended_count} sessions ended.", "success")

    @row_action(
        "new_key",
        "New API key",
        confirmation="For a device, or a partner's system. The secret is shown once, on the next page.",
        icon_class="fa fa-key",
        submit_btn_text="Make it",
        modal_size="lg",
        custom_response=True,
        exclude_from_list=True,
        form=lambda _, __: _key_form(),
    )
    async def new_key(self, request: Request, pk: str) -> Response:
        """CreateApiKey, and its secret on a page that is not kept."""
        try:
            made = await call(request, await _key_asked_for(request, pk))
        except Unauthenticated:
            raise
        except (RowlockError, ActionFailed) as error:
            return self._not_made(request, pk, error.msg if isinstance(error, ActionFailed) else sentence(error))
        if not made.secret:
            return self._not_made(
                request, pk, "This key was made already; its secret was shown then. Make another one."
            )
        return render(self, request, "api_key.html", key=made.api_key, secret=made.secret)

    @staticmethod
    def _not_made(request: Request, pk: str, why: str) -> Response:
        """Back to the account. The dialog was sent as a page of its own, for which the library tells no refusal."""
        flash(request, why, "error")
        return RedirectResponse(request.url_for("console:detail", key="users").include_query_params(pk=pk), 303)


class ApiKeys(RpcView[auth_pb2.ApiKey]):
    """API keys of all accounts, newest first."""

    key = "api-keys"
    menu_label = "API keys"
    display_name = "API key"
    icon = "fa fa-key"
    admin_only = True
    fields = (
        StringField("display_name", label="What it is for"),
        State("role"),
        StringField("prefix", label="Begins with"),
        StringField("permitted", label="May"),
        StringField("scoped", label="Only for"),
        Moment("expire_time", label="Until"),
        Moment("revoke_time", label="Revoked"),
        Moment("last_use_time", label="Last used"),
        StringField("sold_places_today", label="Sold today"),
        Reference("owner", view="users", text="owner_label"),
    )
    actions = ()
    row_actions = ("revoke",)

    def list_rpc(self, narrowed: Mapping[str, str]) -> Rpc[auth_pb2.ListApiKeysResponse]:
        """All of them."""
        return Rpc(AuthServiceStub, "ListApiKeys", auth_pb2.ListApiKeysRequest(parent="users/-"))

    async def record(self, request: Request, message: auth_pb2.ApiKey) -> Record[auth_pb2.ApiKey]:
        """With whose it is, and what it may do in words."""
        owner = "/".join(message.name.split("/")[:2])
        permitted = [worded(auth_pb2.ApiKey.Permission.Name(one)) for one in message.permissions]
        return Record(
            message,
            role=_role(message.role),
            owner=owner,
            owner_label=(await labels(request, [owner]))[owner],
            permitted=", ".join(permitted) or "all but everybody's bookings",
            scoped=", ".join(message.scopes) or "everything",
        )

    def offers(self, request: Request, name: str, record: Any) -> bool:
        """One that is revoked is done with."""
        return name != "revoke" or record.revoke_time is None

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """The key of a row on which something is done: there is no call that reads one."""
        return Record(auth_pb2.ApiKey(name=str(pk)))

    @row_action(
        "revoke",
        "Revoke",
        confirmation="The key stops working within a minute. This cannot be undone.",
        icon_class="fa fa-ban",
        submit_btn_text="Revoke",
        submit_btn_class="btn btn-danger",
        form=lambda _, __: dialog(),
    )
    async def revoke(self, request: Request, pk: str) -> None:
        """RevokeApiKey."""
        wanted: Rpc[auth_pb2.ApiKey] = Rpc(AuthServiceStub, "RevokeApiKey", auth_pb2.RevokeApiKeyRequest(name=pk))
        flash(request, f"{(await call(request, wanted)).display_name} is revoked.", "success")


def _role(role: auth_pb2.Role.ValueType) -> str:
    return worded(auth_pb2.Role.Name(role).removeprefix(_PREFIX))


def _key_form() -> str:
    return dialog(
        words("display_name", "What it is for", required=True, most=100),
        choice("role", "Role", DEVICES),
        boxes("permissions", "May (none ticked: all but everybody's bookings)", PERMISSIONS),
        words("scopes", "Only for", hint="Names of performances, events or venues, by spaces. Empty: for all."),
        words("expire_time", "Until (UTC)", kind="datetime-local", hint="Empty: until it is revoked."),
        *(words(name, label, kind="number", hint="Empty: no bound of its own.") for name, label in _BOUNDS.items()),
    )


async def _key_asked_for(request: Request, owner: str) -> Rpc[auth_pb2.CreateApiKeyResponse]:
    form = await request.form()
    key = auth_pb2.ApiKey(expire_time=moment(await entered(request, "expire_time")))
    fill(
        key,
        {
            "display_name": await entered(request, "display_name"),
            "role": await entered(request, "role"),
            "permissions": [str(one) for one in form.getlist("permissions")],
            "scopes": (await entered(request, "scopes")).split(),
            **{name: await whole_number(request, name, label) for name, label in _BOUNDS.items()},
        },
    )
    return Rpc(AuthServiceStub, "CreateApiKey", auth_pb2.CreateApiKeyRequest(parent=owner, api_key=key))
