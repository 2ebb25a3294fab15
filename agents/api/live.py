"""`/ws-tickets` and `/stream/…`: what follows agents live, besides the socket itself.

Everything of a request is settled here, as everywhere: who asks, which agents they see, their key's scope. What is
delivered then is the hub's (`nexgent.events.sse`).
"""

from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import selectors
from agents.api.agents import owned
from nexgent.accounts.authentication import Credentials
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.accounts.tokens import refused
from nexgent.api import query
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import Param, describe, integer, uuid
from nexgent.api.shapes import Shape
from nexgent.api.throttling import limit
from nexgent.errors import InvalidInput
from nexgent.events import auth, limits, sse, tickets, topics

TICKETS_PER_MINUTE = 60
STREAMS_PER_MINUTE = 120


class TicketBody(Body):
    agent_id: str = Field(min_length=1, max_length=36, json_schema_extra={"format": "uuid"})


class TicketShape(Shape):
    ticket: str = Field(description="For `/ws?ticket=…`, once.")
    agent_id: str
    expires_in: int = Field(description="Seconds.")


class Tickets(Endpoint):
    roles = {"POST": Role.VIEWER}
    throttle_classes = (limit("ws-tickets", TICKETS_PER_MINUTE),)

    @describe(
        "createSocketTicket",
        "A ticket for one socket of an agent",
        tag="Live",
        description="Single use, 30 seconds. The socket lives as long as the session that asked for the ticket.",
        body=TicketBody,
        example={"agentId": "0190a6a0-0000-7000-8000-000000000001"},
        answer=TicketShape,
        status=201,
        refusals=("AGENT_NOT_FOUND", "DEPENDENCY_DOWN"),
    )
    def post(self, request: Request) -> Response:
        agent = owned(request.principal, read(TicketBody, request.data).agent_id)
        ticket = tickets.issue_ticket(request.principal, agent.id, session_key=_session_key(request))
        body = {"ticket": ticket, "agentId": agent.id, "expiresIn": limits.TICKET_SECONDS}
        return Response(body, status=201, headers={"Cache-Control": "no-store"})


_RESUME = Param(
    "Last-Event-ID",
    {"type": "string", "maxLength": 4000, "pattern": "^[A-Za-z0-9_:,-]*$"},
    "The `id` of the last event: what was missed comes first, else a snapshot.",
)
_SINCE = integer("since", "The same for one agent, where a header cannot be set.")
_STREAM: dict[str, Any] = {
    "tag": "Live",
    "description": "Server-sent events; the answer does not end. Each `data` is a message as the socket sends it.",
    "headers": (_RESUME,),
    "answer": str,
    "produces": "text/event-stream",
    "refusals": ("TOO_MANY_CONNECTIONS",),
}
_OF_AGENTS = (uuid("agentId", "One agent; without it all that are visible, at most 50."), _SINCE)


class Stream(Endpoint):
    """One topic; a subclass names it, so that each has its scope."""

    topic: ClassVar[str] = ""
    throttle_classes = (limit("streams", STREAMS_PER_MINUTE),)

    def open(self, request: Request) -> HttpResponse:
        """The stream, or for HEAD its headers."""
        topic, principal = topics.TOPICS[self.topic], request.principal
        agent_id = query.uuid_param(request, "agentId", required=False) if topic.is_of_agents else None
        since = query.integer(request, "since")
        place = request.headers.get("Last-Event-ID", "").strip() or ("" if since is None else str(since))
        if not topic.is_of_agents:
            streams = [principal.workspace_id]
        elif agent_id is not None:
            streams = [owned(principal, str(agent_id)).id]
        else:
            streams = _visible(principal)
        is_single = agent_id is not None or not topic.is_of_agents
        return sse.EventStream(
            topic,
            auth.of_request(principal, session_key=_session_key(request), again=partial(_again, request)),
            streams=streams,
            workspace_id=None if is_single else principal.workspace_id,
            last_event_id=place,
        )


class Positions(Stream):
    topic = "positions"
    scopes = {"GET": topics.TOPICS["positions"].scope}

    @describe("streamPositions", "Open positions, their changes and prices", query=_OF_AGENTS, **_STREAM)
    def get(self, request: Request) -> HttpResponse:
        return self.open(request)


class Trades(Stream):
    topic = "trades"
    scopes = {"GET": topics.TOPICS["trades"].scope}

    @describe("streamTrades", "Fills, and orders that ended without one", query=_OF_AGENTS, **_STREAM)
    def get(self, request: Request) -> HttpResponse:
        return self.open(request)


class Portfolio(Stream):
    topic = "portfolio"
    scopes = {"GET": topics.TOPICS["portfolio"].scope}

    @describe("streamPortfolio", "All that happens to agents, and prices", query=_OF_AGENTS, **_STREAM)
    def get(self, request: Request) -> HttpResponse:
        return self.open(request)


class Signals(Stream):
    topic = "signals"
    scopes = {"GET": topics.TOPICS["signals"].scope}

    @describe("streamSignals", "Signals of the workspace, new, revised and hidden", query=(_SINCE,), **_STREAM)
    def get(self, request: Request) -> HttpResponse:
        return self.open(request)


def _visible(principal: Principal) -> list[UUID]:
    agents = list(selectors.visible(principal).values_list("id", flat=True)[: limits.STREAM_AGENTS + 1])
    if len(agents) > limits.STREAM_AGENTS:
        raise InvalidInput({"agentId": f"is needed with more than {limits.STREAM_AGENTS} agents"})
    return agents


def _session_key(request: Request) -> str:
    session = getattr(request._request, "session", None)
    return str(getattr(session, "session_key", None) or "")


def _again(request: Request) -> Principal:
    """Who the request speaks for now. Raises `Refusal` when the credential ended."""
    found = Credentials().authenticate(request)
    if found is None:
        raise refused()
    return found[1]
