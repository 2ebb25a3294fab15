"""What follows agents: tickets for sockets, server-sent events; and the description of all this."""

from typing import Any

from tests.contract.cases import ABSENT, Case
from tests.contract.world import World

TICKETS = "POST /ws-tickets"


def _is_stream(_world: World, answer: Any) -> None:
    """The web server's handler hands the answer to the hub; anybody else sees its head."""
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"


def _is_openapi(_world: World, answer: Any) -> None:
    assert answer.json()["openapi"].startswith("3.1")
    assert answer.headers["ETag"]


def _is_page(_world: World, answer: Any) -> None:
    assert answer.headers["Content-Type"].startswith("text/html")


def _stream(topic: str, *, of_agents: bool = True) -> list[Case]:
    route = f"GET /stream/{topic}"
    cases = [
        Case(route, 200, golden=False, check=_is_stream),
        Case(route, 400, "since", query={"since": "x"}, fields=("since",)),
    ]
    if of_agents:
        cases += [
            Case(route, 200, "of one agent", query={"agentId": "{agentId}"}, golden=False, check=_is_stream),
            Case(route, 404, query={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
            Case(route, 404, "agent of somebody else", query={"agentId": "{agentId}"}, who="stranger"),
        ]
    return cases


CASES = [
    Case(TICKETS, 201, body={"agentId": "{agentId}"}),
    Case(TICKETS, 400, body={"agentId": "x"}, fields=("agentId",)),
    Case(TICKETS, 404, body={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(TICKETS, 429, body={}, repeat=61, code="RATE_LIMITED"),
    *_stream("positions"),
    *_stream("trades"),
    *_stream("portfolio"),
    *_stream("signals", of_agents=False),
    Case("GET /openapi.json", 200, who="nobody", golden=False, check=_is_openapi),
    Case("GET /docs", 200, who="nobody", golden=False, check=_is_page),
]
