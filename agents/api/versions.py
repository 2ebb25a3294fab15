"""What two versions of a configuration differ in, and the way back to one: a new version with its content."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import selectors, services
from agents.api.agents import owned
from agents.api.config import tagged, version_wire
from agents.models import Agent, ConfigVersion
from agents.version_shapes import ConfigDifferenceShape, RestoredShape
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import idempotency, openapi, query
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import describe
from nexgent.errors import NotFound, Refusal

NUMBER_MAX = 2**31 - 1
ATTEMPTS_MAX = 5
_ABSENT: Any = object()


class RestoreBody(Body):
    base_version: int | None = Field(default=None, ge=1, le=NUMBER_MAX)
    """The version the author saw: another current one is refused."""
    apply_to_open_positions: bool = False


def differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[dict[str, Any]]:
    """What changed, by dotted path in the order of the paths; lists are compared whole, an absent key is null."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{path}{name}.")
        elif old is _ABSENT or new is _ABSENT or old != new:
            yield {
                "path": path + name,
                "before": None if old is _ABSENT else old,
                "after": None if new is _ABSENT else new,
            }


def way_back(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The partial configuration that makes `wanted` of `current`: what `wanted` lacks is cleared."""
    partial: dict[str, Any] = {name: None for name in current if name not in wanted}
    for name, value in wanted.items():
        old = current.get(name)
        partial[name] = way_back(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return partial


class Difference(Endpoint):
    scopes = {"GET": "agents"}

    @describe(
        "diffConfigVersions",
        "What a version of the configuration changed",
        tag="Configuration",
        description="From the version before it, or from another (`against`).",
        answer=ConfigDifferenceShape,
        query=(openapi.integer("against", "Compare with this version.", least=1, most=NUMBER_MAX),),
        refusals=("CONFIG_VERSION_NOT_FOUND",),
    )
    def get(self, request: Request, agent_id: str, number: int) -> Response:
        agent = owned(request.principal, agent_id)
        against = query.integer(request, "against", least=1, most=NUMBER_MAX)
        after = _version(agent, number)
        before = _version(agent, max(1, number - 1) if against is None else against)
        return Response(
            {
                "agentId": agent.id,
                "from": before.number,
                "to": after.number,
                "changes": list(differences(before.data, after.data)),
            }
        )


class Restore(Endpoint):
    scopes = {"POST": "config"}
    apply_to_open: ClassVar[Callable[..., int] | None] = None
    """As in `agents.api.config.Config`."""

    @describe(
        "restoreConfigVersion",
        "Save an older version's content as a new version",
        tag="Configuration",
        body=RestoreBody,
        body_required=False,
        answer=RestoredShape,
        status=201,
        answer_headers=("ETag",),
        idempotent=True,
        refusals=("INVALID_CONFIG", "CONFIG_VERSION_CONFLICT", "CONFIG_VERSION_NOT_FOUND"),
        example={"baseVersion": 3},
    )
    def post(self, request: Request, agent_id: str, number: int) -> Response:
        body = read(RestoreBody, request.data)
        agent = owned(request.principal, agent_id)
        wanted = _version(agent, number)
        return idempotency.once(request, lambda: self._restore(request, agent.id, wanted, body))

    def _restore(self, request: Request, agent_id: UUID, wanted: ConfigVersion, body: RestoreBody) -> Response:
        version = _restored(agent_id, wanted, author=request.principal.user.email, base=body.base_version)
        answer = {**version_wire(version), "restoredFrom": wanted.number}
        if body.apply_to_open_positions and self.apply_to_open is not None:
            apply: Any = self.apply_to_open
            answer["appliedToPositions"] = int(apply(agent_id=agent_id, config_id=version.id))
        response = tagged(version, answer)
        response.status_code = 201
        return response


def _restored(agent_id: UUID, wanted: ConfigVersion, *, author: str, base: int | None) -> ConfigVersion:
    """The new version; one that came between is asked for again, unless the author named what they saw."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        current = selectors.config(agent_id)
        try:
            return services.config_update(
                agent_id=agent_id,
                partial=way_back(current.data, wanted.data),
                author=author,
                base_version=current.number if base is None else base,
            )
        except Refusal as refusal:
            if refusal.code != "CONFIG_VERSION_CONFLICT" or base is not None or attempt == ATTEMPTS_MAX:
                raise
    raise AssertionError("unreachable")


def _version(agent: Agent, number: int) -> ConfigVersion:
    found = selectors.config_versions(agent.id).filter(number=number).first() if number <= NUMBER_MAX else None
    if found is None:
        raise NotFound("config_version")
    return found
