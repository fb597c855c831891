"""Finding a customer by what staff were told: an e-mail address, a name, or a part of either."""

from typing import Final

from starlette.requests import Request

from console.calling import call
from console.known import user_label
from rowlock.v1 import auth_pb2
from rowlock.v1.auth_pb2_grpc import AuthServiceStub
from rowlock_client.rpc import Rpc

_OFFERED: Final = 10
"""How many are offered where several match."""


async def find_customer(request: Request, text: str, parameter: str = "customer") -> str | None:
    """The name of the one account that matches. None: it takes another word, and the page says so above its list.

    Args:
        request: of the page; its `state.hints` are shown above the list, each with where it leads.
        text: what was entered; the name of an account is taken as it is.
        parameter: of the query, which has the text.
    """
    if not text or text.startswith("users/"):
        return text
    wanted = auth_pb2.ListUsersRequest(text=text, page_size=_OFFERED + 1)
    answer: auth_pb2.ListUsersResponse = await call(request, Rpc(AuthServiceStub, "ListUsers", wanted))
    found = answer.users
    exact = [user for user in found if user.email.casefold() == text.casefold()]
    if len(exact or found) == 1:
        return str((exact or found)[0].name)
    if not found:
        request.state.hints = [(f"No account has {text!r} in its name or e-mail address.", "")]
        return None
    more = " or others" if len(found) > _OFFERED else ""
    request.state.hints = [
        (f"Several accounts match {text!r}: choose one{more}.", ""),
        *(
            (user_label(user), str(request.url.include_query_params(**{parameter: user.name})))
            for user in found[:_OFFERED]
        ),
    ]
    return None
