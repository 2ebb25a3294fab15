"""`/agents`: list, create, read, change. Archiving closes positions and is therefore the trading app's."""

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import live, selectors, services
from agents.models import Agent, Mode, Profile
from agents.shapes import AgentShape
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency, pagination, query
from nexgent.api.bodies import Body, Changes, Trimmed, read
from nexgent.api.openapi import Link, choice, describe, text, window
from nexgent.api.query import uuid_of
from nexgent.api.shapes import Done
from nexgent.errors import InvalidInput, NotFound

LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_time("created_at"), "name": pagination.by_text("name")},
    tie=pagination.by_id("id"),
    default="-createdAt",
    limit_default=None,
)
WIRE_NAMES = {
    "name": "name",
    "tradingMode": "mode",
    "automatedTradingSimulation": "entries_simulation",
    "automatedTradingLive": "entries_live",
    "exitsEnabledSimulation": "exits_simulation",
    "exitsEnabledLive": "exits_live",
    "profile": "profile",
}


class NewAgent(Body):
    name: Trimmed = Field(min_length=services.NAME_LENGTH_MIN, max_length=services.NAME_LENGTH_MAX)
    trading_mode: str = Field(default=Mode.SIMULATION.value, json_schema_extra={"enum": Mode.values})
    profile: str = Field(default=Profile.REALISTIC.value, json_schema_extra={"enum": Profile.values})
    config: dict[str, Any] | None = None


class AgentChanges(Changes):
    name: Trimmed = Field(default="", min_length=services.NAME_LENGTH_MIN, max_length=services.NAME_LENGTH_MAX)
    trading_mode: str = Field(default="", json_schema_extra={"enum": Mode.values})
    automated_trading_simulation: bool = True
    automated_trading_live: bool = True
    exits_enabled_simulation: bool = True
    exits_enabled_live: bool = True
    profile: str = Field(default="", json_schema_extra={"enum": Profile.values})


def owned(principal: Principal, agent_id: str) -> Agent:
    """The caller's agent; `InvalidInput` for no UUID, `NotFound` for absent, archived and foreign ones."""
    found = selectors.visible(principal).filter(id=uuid_of(agent_id, "agentId")).first()
    if found is None:
        raise NotFound("agent")
    return found


def in_wire_names(problem: InvalidInput) -> InvalidInput:
    """The same problems under the names the client used."""
    names = {model: wire for wire, model in WIRE_NAMES.items()}
    return InvalidInput({names.get(field, field): text for field, text in problem.problems.items()})


class Agents(Endpoint):
    scopes = {"GET": "agents"}
    roles = {"POST": Role.OWNER}

    @describe(
        "listAgents",
        "The agents of the workspace",
        tag="Agents",
        answer=list[AgentShape],
        query=(text("q", "Part of the name."), choice("tradingMode", Mode.values), *window(LISTING)),
    )
    def get(self, request: Request) -> Response:
        search, mode = query.text(request, "q"), query.choice(request, "tradingMode", Mode.values)
        listed = selectors.Listed(request.principal, search=search, mode=mode)
        wanted = pagination.read(request, LISTING)
        return pagination.respond(
            request,
            wanted,
            listed.page(wanted),
            wire=lambda page: [live.agent_wire(row) for row in page],
            total=listed.count,
        )

    @describe(
        "createAgent",
        "Make an agent with a simulated wallet",
        tag="Agents",
        body=NewAgent,
        answer=AgentShape,
        status=201,
        refusals=("INVALID_CONFIG",),
        idempotent=True,
        example={"name": "Momentum", "profile": "ideal", "config": {"stopLoss": {"mode": "zones"}}},
        links={
            "Agent": Link("getAgent", {"agentId": "$response.body#/id"}),
            "Config": Link("getConfig", {"agentId": "$response.body#/id"}),
        },
    )
    def post(self, request: Request) -> Response:
        return idempotency.once(request, lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        body, principal = read(NewAgent, request.data), request.principal
        try:
            agent = services.agent_create(
                workspace_id=principal.workspace_id,
                user_id=principal.user.id,
                name=body.name,
                mode=body.trading_mode,
                profile=body.profile,
                config=body.config,
                author=principal.user.email,
            )
        except InvalidInput as problem:
            raise in_wire_names(problem) from problem
        return Response(live.agent_wire(agent), status=201)


class OneAgent(Endpoint):
    scopes = {"GET": "agents"}
    roles = {"PUT": Role.OWNER, "PATCH": Role.OWNER, "DELETE": Role.OWNER}
    archive: ClassVar[Callable[..., Agent] | None] = None
    """Takes an agent away for good; given by the layer that knows positions."""

    @describe("getAgent", "One agent", tag="Agents", answer=AgentShape)
    def get(self, request: Request, agent_id: str) -> Response:
        return Response(live.agent_wire(owned(request.principal, agent_id)))

    @describe(
        "updateAgent",
        "Change name, mode, profile or switches",
        tag="Agents",
        body=AgentChanges,
        answer=AgentShape,
        example={"automatedTradingSimulation": False},
    )
    def put(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        if not isinstance(request.data, dict):
            raise InvalidInput({"": "the body must be a JSON object"})
        changes = {model: request.data[wire] for wire, model in WIRE_NAMES.items() if wire in request.data}
        try:
            agent = services.agent_update(agent_id=agent.id, changes=changes)
        except InvalidInput as problem:
            raise in_wire_names(problem) from problem
        return Response(live.agent_wire(agent))

    patch = put

    @describe(
        "deleteAgent",
        "Archive an agent; simulated positions are sold",
        tag="Agents",
        answer=Done,
        refusals=("OPEN_POSITIONS",),
    )
    def delete(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        take_away: Any = self.archive
        take_away(agent_id=agent.id)
        return Response({"success": True, "message": "Agent deleted."})
