"""`/agents/:id/config`: the trading configuration and its versions.

A save names the version it was made from (`baseVersion` or `If-Match`) and is refused when another came between;
without either the last write wins, and both versions are kept.
"""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import config as trading_config
from agents import live, selectors, services
from agents.api.agents import owned
from agents.models import ConfigVersion
from agents.shapes import ConfigShape, ConfigVersionShape
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import pagination
from nexgent.api.bodies import Body
from nexgent.api.openapi import Param, describe, window
from nexgent.errors import InvalidInput, NotFound, Refusal

VERSIONS = pagination.Listing(
    keys={"version": pagination.by_number("number")}, tie=pagination.by_number("number"), default="-version"
)

IF_MATCH = Param(
    "If-Match", {"type": "string", "pattern": '^"[1-9][0-9]{0,8}"$'}, "The version this save was made from."
)


class ConfigBody(Body):
    """What a save may say; read by hand, because the configuration has rules and messages of its own."""

    config: dict[str, Any] | None
    base_version: int | None = Field(default=None, ge=1, description="409 when another version came between.")
    apply_to_open_positions: bool = False


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

    @describe(
        "getConfig",
        "The trading configuration in force",
        tag="Configuration",
        answer=ConfigShape,
        answer_headers=("ETag",),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        version = selectors.config(owned(request.principal, agent_id).id)
        return tagged(version, version_wire(version))

    @describe(
        "updateConfig",
        "Save a new version of the configuration",
        tag="Configuration",
        description="Partial: objects are merged, lists replaced, null is the defaults, unknown keys are refused.",
        body=ConfigBody,
        answer=ConfigShape,
        answer_headers=("ETag",),
        headers=(IF_MATCH,),
        refusals=("INVALID_CONFIG", "CONFIG_VERSION_CONFLICT"),
        example={"config": {"stopLoss": {"mode": "zones"}}, "baseVersion": 1},
    )
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

    @describe(
        "listConfigVersions",
        "Versions of the configuration, newest first",
        tag="Configuration",
        answer=list[ConfigVersionShape],
        query=window(VERSIONS),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        versions = selectors.config_versions(owned(request.principal, agent_id).id)
        return pagination.listed(request, VERSIONS, versions, wire=live.config_wire)


class Version(Endpoint):
    scopes = {"GET": "agents"}

    @describe(
        "getConfigVersion",
        "One version of the configuration",
        tag="Configuration",
        answer=ConfigVersionShape,
        answer_headers=("ETag",),
    )
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
