"""The base of all API endpoints: who may call which method, and whose rows a caller sees.

`Endpoint.scopes` names, per method, the scope that lets an API key in; a method without one is for people only.
`Endpoint.roles` names the least role, else viewers read and traders write. What belongs to another workspace does not
exist, nor what belongs to an agent that a limited member has no grant for: `mine` and `one` are the only way from an id
to a row.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.views import APIView

from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api.query import uuid_of
from nexgent.api.throttling import Limit, add_headers, classes_of, limit
from nexgent.errors import NotFound

_Row = TypeVar("_Row", bound=Model)


class Endpoint(APIView):
    """JSON in, JSON out, for a known principal."""

    scopes: ClassVar[dict[str, str]] = {}
    roles: ClassVar[dict[str, Role]] = {}
    throttles: ClassVar[dict[str, tuple[type[Limit], ...]]] = {}
    """Limits per method; `throttle_classes` counts every method. Without any: those of all reads and writes."""
    is_public: ClassVar[bool] = False
    is_unlimited: ClassVar[bool] = False
    """No limit counts here, nor a key's own: nobody is kept from selling."""
    is_for_first_password: ClassVar[bool] = False
    """Open to somebody whose first password is still to be changed."""
    step_up: ClassVar[dict[str, Callable[[Request], bool]]] = {}
    """Per method, whether a request asks for a fresh proof (`nexgent.accounts.step_up`)."""

    def get_throttles(self) -> list[Any]:
        method = "GET" if self.request.method == "HEAD" else self.request.method or ""  # HEAD does the work of GET
        of_method = classes_of(self, method)
        rate = getattr(getattr(self.request, "principal", None), "rate_per_minute", None)
        own = (limit("key", rate),) if rate is not None and not self.is_unlimited else ()
        return [each() for each in (*of_method, *own)]

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        add_headers(request._request if isinstance(request, Request) else request, response)
        return super().finalize_response(request, response, *args, **kwargs)


def mine(rows: QuerySet[_Row], principal: Principal, *, path: str = "workspace_id") -> QuerySet[_Row]:
    """The rows of the principal's workspace and of agents it sees; `path` leads from a row to its workspace id."""
    rows = rows.filter(**{path: principal.workspace_id})
    agent = _agent_path(rows.model)
    if agent is None or principal.agent_ids is None:
        return rows
    return rows.filter(**{f"{agent}__in": principal.agent_ids})


def one(
    rows: QuerySet[_Row],
    principal: Principal,
    key: str | UUID,
    *,
    what: str,
    field: str = "",
    path: str = "workspace_id",
) -> _Row:
    """The principal's row with this id; raises `InvalidInput` (400) for no UUID, `NotFound` for absent and foreign.

    `field` is the id's name in the route, where it is not `what` and "Id".
    """
    row_id = key if isinstance(key, UUID) else uuid_of(key, field or f"{what}Id")
    row = mine(rows, principal, path=path).filter(id=row_id).first()
    if row is None:
        raise NotFound(what)
    return row


def _agent_path(model: type[Model]) -> str | None:
    """From a row to the agent it belongs to: itself, or its `agent`; None for what belongs to no agent."""
    if model._meta.label == "agents.Agent":
        return "id"
    if any(field.attname == "agent_id" for field in model._meta.concrete_fields):
        return "agent_id"
    return None
