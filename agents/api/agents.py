"""`/agents`: list, create, read, change. Archiving closes positions and is therefore the trading app's."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import live, selectors, services
from agents.models import Agent, Mode, Profile
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency
from nexgent.api.bodies import Body, Trimmed, read
from nexgent.api.query import uuid_of
from nexgent.errors import InvalidInput

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
    trading_mode: str = Mode.SIMULATION
    profile: str = Profile.REALISTIC
    config: dict[str, Any] | None = None


def owned(principal: Principal, agent_id: str) -> Agent:
    """The caller's agent; `InvalidInput` for no UUID, `NotFound` for absent, archived and foreign ones."""
    return selectors.agent(principal.workspace_id, uuid_of(agent_id, "agentId"))


def in_wire_names(problem: InvalidInput) -> InvalidInput:
    """The same problems under the names the client used."""
    names = {model: wire for wire, model in WIRE_NAMES.items()}
    return InvalidInput({names.get(field, field): text for field, text in problem.problems.items()})


class Agents(Endpoint):
    scopes = {"GET": "agents"}
    roles = {"POST": Role.OWNER}

    def get(self, request: Request) -> Response:
        return Response([live.agent_wire(agent) for agent in selectors.agents(request.principal.workspace_id)])

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
    roles = {"PUT": Role.OWNER, "PATCH": Role.OWNER}

    def get(self, request: Request, agent_id: str) -> Response:
        return Response(live.agent_wire(owned(request.principal, agent_id)))

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
