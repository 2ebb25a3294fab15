"""`/agents/:id/config`: the trading configuration and its versions.

A save names the version it was made from (`baseVersion` or `If-Match`) and is refused when another came between;
without either the last write wins, and both versions are kept.
"""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents import config as trading_config
from agents import live, selectors, services
from agents.api.agents import owned
from agents.models import ConfigVersion
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import query
from nexgent.errors import InvalidInput, NotFound, Refusal


def version_wire(version: ConfigVersion, *, partial: dict[str, Any] | None = None) -> dict[str, Any]:
    """`config` as the reference sends it, with number, author, time and what a person should think about."""
    found = trading_config.warnings(version.data, partial=partial)
    return {**live.config_wire(version), "warnings": [str(problem) for problem in found]}


def tagged(version: ConfigVersion, body: dict[str, Any]) -> Response:
    return Response(body, headers={"ETag": f'"{version.number}"'})


class Config(Endpoint):
    scopes = {"GET": "agents", "PUT": "config", "PATCH": "config"}
    apply_to_open: ClassVar[Callable[..., int] | None] = None
    """Pins the new version to the agent's open positions; given by the layer that knows positions."""

    def get(self, request: Request, agent_id: str) -> Response:
        version = selectors.config(owned(request.principal, agent_id).id)
        return tagged(version, version_wire(version))

    def put(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        data = request.data
        if not isinstance(data, dict) or "config" not in data:
            raise trading_config.InvalidConfig([trading_config.Problem("config", "Required")])
        wants_all = data.get("applyToOpenPositions", False)
        if not isinstance(wants_all, bool):
            raise InvalidInput({"applyToOpenPositions": "must be true or false"})
        if wants_all and self.apply_to_open is None:
            raise Refusal("NOT_AVAILABLE", "Open positions keep the version they were opened with.")
        version = services.config_update(
            agent_id=agent.id,
            partial=data["config"],
            author=request.principal.user.email,
            base_version=_base_version(request),
        )
        body = version_wire(version, partial=data["config"])
        if wants_all and self.apply_to_open is not None:
            body["appliedToPositions"] = self._apply(agent.id, version.id)
        return tagged(version, body)

    patch = put

    def _apply(self, agent_id: UUID, config_id: UUID) -> int:
        apply: Any = self.apply_to_open
        return int(apply(agent_id=agent_id, config_id=config_id))


class Versions(Endpoint):
    scopes = {"GET": "agents"}

    def get(self, request: Request, agent_id: str) -> Response:
        page = query.page(request)
        versions = selectors.config_versions(owned(request.principal, agent_id).id)[page.slice]
        return Response([live.config_wire(version) for version in versions])


class Version(Endpoint):
    scopes = {"GET": "agents"}

    def get(self, request: Request, agent_id: str, number: int) -> Response:
        agent = owned(request.principal, agent_id)
        version = None
        if number <= 2**31 - 1:
            version = selectors.config_versions(agent.id).filter(number=number).first()
        if version is None:
            raise NotFound("config_version")
        return tagged(version, live.config_wire(version))


def _base_version(request: Request) -> int | None:
    """The version a save was made from: `baseVersion` of the body, else the `If-Match` header."""
    given = request.data.get("baseVersion")
    if given is not None:
        if type(given) is not int or given < 1:
            raise InvalidInput({"baseVersion": "must be a version number"})
        return given
    header = request.headers.get("If-Match", "").strip()
    if header in ("", "*"):
        return None
    tag = header.removeprefix("W/").strip('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) < 10):
        raise InvalidInput({"If-Match": "must be a version number in quotes"})
    return int(tag)
