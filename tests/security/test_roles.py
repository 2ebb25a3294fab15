"""Roles by routes: who may call what, written down once more and held against every route of the resolver."""

import re
from typing import Any

import pytest

from nexgent.accounts import tokens
from nexgent.accounts.models import Role
from nexgent.api import document, throttling
from tests.integration.api_client import Api, sign_up
from tests.security.people import browser_of, client_of, member_of, workspace_of

pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = "018f0000-0000-7000-8000-000000000009"
ROLES = ("viewer", "auditor", "trader", "owner")
RULES = (
    # one's own account: everybody
    (r"\w+ /auth/.*", "viewer"),
    (r"\w+ /(workspaces|workspaces/{workspaceId}/choose|invitations/accept|ws-tickets)", "viewer"),
    # who belongs here, what may act for it
    (r"\w+ /workspaces/.*", "owner"),
    (r"\w+ /api-keys.*", "owner"),
    # where facts go to and signals come from
    (r"\w+ /(webhooks|signal-hooks).*", "owner"),
    # the whole installation
    (r"GET /metrics", "owner"),
    # what may be read by auditors only
    (r"GET /(audit-log|ledger|agent-transactions|.*export).*", "auditor"),
    # answered 409 whoever asks, once it is known to be theirs
    (r"(POST|PUT|DELETE) /(agent-balances|agent-historical-swaps).*", "viewer"),
    (r"(PUT|DELETE) /agent-transactions.*", "viewer"),
    # money of wallets; what exists, which way it trades, whether it does
    (r"POST /agent-transactions", "owner"),
    (r"POST /agents", "owner"),
    (r"(PUT|PATCH|DELETE) /agents/{agentId}", "owner"),
    (r"(POST|PUT|PATCH|DELETE) /(agents/{agentId}/)?wallets?.*", "owner"),
    # trading
    (r"(POST|PUT|DELETE) /trading-signals.*", "trader"),
    (r"(PUT|PATCH|POST) /agents/{agentId}/config.*", "trader"),
    (r"(POST|PUT|PATCH|DELETE) /(agents/{agentId}/|agent-)?positions.*", "trader"),
    (r"POST /(trades|agents/{agentId}/(quote|trades|orders)|quotes?).*", "trader"),
    (r"(POST|DELETE) /agents/{agentId}/(protections|locks).*", "trader"),
    (r"GET .*", "viewer"),
)


def least_of(name: str) -> str | None:
    return next((role for pattern, role in RULES if re.fullmatch(pattern, name)), None)


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.setattr(throttling.Limit, "allow_request", lambda *_: True)


def clients() -> dict[str, Api]:
    """One person per role in one workspace."""
    owner = sign_up("owner@example.com")
    workspace = workspace_of(owner)
    others = {role: client_of(member_of(workspace, f"{role}@example.com", role)) for role in ROLES[:-1]}
    return {**others, "owner": client_of(owner)}


def send(api: Api, route: Any) -> Any:
    path = re.sub(r"{number}|{signalId}|{level}", "1", route.path)
    path = re.sub(r"{\w+}", ABSENT, path)
    if route.method in ("GET", "DELETE"):
        return getattr(api, route.method.lower())(path)
    return getattr(api, route.method.lower())(path, {})


def closed_routes() -> list[Any]:
    """Those that ask who it is."""
    found = document.routes()
    is_open = [getattr(route.endpoint, "is_public", route.operation.is_public) for route in found]
    return [route for route, public in zip(found, is_open, strict=True) if not public]


def test_every_route_allows_the_roles_it_should_and_no_others(capsys):
    people, wrong, asked = clients(), [], 0
    for route in closed_routes():
        name = f"{route.method} {route.path.removeprefix('/api/v1')}"
        least = least_of(name)
        if least is None:
            wrong.append(f"{name}: no rule")
            continue
        if name in ("POST /auth/logout", "POST /auth/revoke-all"):
            continue  # ends the client that the others are asked with
        for role, api in people.items():
            answer = send(api, route)
            asked += 1
            content = b"" if getattr(answer, "streaming", False) else answer.content
            refused = answer.status_code == 403 and b"AUTHORIZATION_ERROR" in content
            if refused != (ROLES.index(role) < ROLES.index(least)) or answer.status_code in (401, 500):
                wrong.append(f"{name} as {role}: {answer.status_code} {content[:120]!r}")

    with capsys.disabled():
        print(f"\nroles: {len(closed_routes())} routes x {len(ROLES)} roles, {asked} requests")
    assert "\n".join(wrong) == ""
    assert asked > 250


def test_nobody_without_a_credential_gets_in():
    stranger = Api()
    opened = [f"{r.method} {r.path}" for r in closed_routes() if send(stranger, r).status_code != 401]

    assert opened == []


@pytest.mark.parametrize(
    ("path", "least"),
    [
        (f"/positions/{ABSENT}/close/", "trader"),
        ("/setup/agent/", "owner"),
        ("/setup/key/", "owner"),
        (f"/setup/money/{ABSENT}/", "owner"),
        (f"/setup/entries/{ABSENT}/", "owner"),
    ],
)
def test_pages_ask_for_the_same_roles(path, least):
    owner = sign_up("owner@example.com")
    workspace = workspace_of(owner)
    people = {role: member_of(workspace, f"{role}@example.com", role) for role in ROLES[:-1]} | {"owner": owner}

    answers = {role: browser_of(person).post(path).status_code for role, person in people.items()}

    refused = {role for role, status in answers.items() if status == 403}
    assert refused == set(ROLES[: ROLES.index(least)])


def test_a_changed_role_counts_at_once():
    owner = sign_up("owner@example.com")
    trader = member_of(workspace_of(owner), "trader@example.com", Role.TRADER)
    api = client_of(trader)
    agent = client_of(owner).post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    path, change = f"/api/v1/agents/{agent}/config", {"config": {"dca": {"enabled": True}}}

    before = api.put(path, change).status_code
    trader.memberships.update(role=Role.VIEWER)

    assert (before, api.put(path, change).status_code) == (200, 403)


def test_a_limited_trader_writes_no_signal_and_reads_them():
    owner = sign_up("owner@example.com")
    limited = client_of(member_of(workspace_of(owner), "limited@example.com", is_limited=True))
    signal = {"tokenAddress": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", "signalType": "x", "signalStrength": 1}

    answer = limited.post("/api/v1/trading-signals", signal)

    assert (answer.status_code, answer.json()["code"]) == (403, "AUTHORIZATION_ERROR")
    assert limited.get("/api/v1/trading-signals").json() == []


def test_a_key_of_a_limited_person_is_limited_too():
    from nexgent.accounts import services

    owner = sign_up("owner@example.com")
    agent = client_of(owner).post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    limited = member_of(workspace_of(owner), "limited@example.com", is_limited=True)
    key = services.api_key_create(
        user_id=limited.id, workspace_id=workspace_of(owner), name="bot", scopes=["agents", "signals"]
    )

    bot = Api(key.raw)
    assert bot.get("/api/v1/agents").json() == []
    assert bot.get(f"/api/v1/agents/{agent}").status_code == 404


def test_an_owner_is_never_limited():
    owner = sign_up("owner@example.com")
    owner.memberships.update(is_limited=True)
    api = Api(tokens.open_session(owner, remember_me=False, rotate=False).access)
    agent = api.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]

    assert [row["id"] for row in api.get("/api/v1/agents").json()] == [agent]
