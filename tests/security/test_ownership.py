"""What is somebody else's does not exist: every route of the URL resolver, with every id of another in every place.

Paths, bodies and filters are found in the routes and their descriptions; a parameter that names no known kind of thing
fails the test, so that no route comes without its rule. Asked twice: by a stranger about another workspace, and by a
limited trader about an agent of the own workspace that was not granted.
"""

import re
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from agents import live, selectors
from agents.models import Agent
from nexgent.accounts import principals
from nexgent.accounts.models import AgentGrant, Membership
from nexgent.api import document, throttling
from nexgent.api.document import Route
from signals import fanout
from tests.integration.api_trading import inline_prices, seller  # noqa: F401
from tests.security import estate
from tests.security.people import browser_of, client_of, member_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices", "seller")]

KIND = {
    "agentId": "agent",
    "agentIds": "agent",
    "positionId": "position",
    "signalId": "signal",
    "orderId": "order",
    "keyId": "key",
    "sessionId": "session",
    "webhookId": "webhook",
    "deliveryId": "delivery",
    "hookId": "hook",
    "factorId": "factor",
    "invitationId": "invitation",
    "lockId": "lock",
    "balanceId": "balance",
    "transactionId": "transaction",
    "swapId": "swap",
    "workspaceId": "workspace",
    "userId": "user",
    "walletAddress": "wallet",
    "purchaseTransactionId": "transaction",
    "saleTransactionId": "transaction",
    "objectId": "agent",
    "actor": "user",
    "externalRef": "signal",
}
"""What a parameter of this name means, in a path, a filter or a body."""
NO_OWNER = {"hookPath", "tokenAddress", "destinationAddress", "inputMint", "number", "level", "Last-Event-ID"}
NO_OWNER |= {"actor", "objectId", "challengeId"}
"""Parameters that look like ids and name what nobody owns, or what only narrows a list of one's own."""
AUDIT = "/api/v1/audit-log"
"""Narrowed by whatever id: what is no entry of one's own is not in the list."""
OF_AGENT = ("agent", "position", "order", "balance", "transaction", "swap", "wallet", "lock")
EXAMPLE = {"writeOffPosition": {"reason": "gone"}, "assignWallet": {"walletType": "simulation"}}
"""Bodies of operations whose description has no example."""
LOOKS_OWNED = re.compile(r"(Id|Ids|Address|Ref)$|^(id|actor)$")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.setattr(throttling.Limit, "allow_request", lambda *_: True)


def kind_of(name: str) -> str:
    assert name in KIND, f"the parameter {name} has no rule: whose is what it names?"
    return KIND[name]


def owned_names(names: Any) -> list[str]:
    """Those that name a thing with an owner; an unknown one that looks like it fails."""
    return [name for name in names if name not in NO_OWNER and (name in KIND or LOOKS_OWNED.search(name))]


def path_names(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)


def body_names(route: Route) -> list[str]:
    body = route.operation.body if route.operation else None
    fields = getattr(body, "model_fields", {})
    return owned_names(field.alias or name for name, field in fields.items())


def example_of(route: Route) -> dict[str, Any]:
    operation = route.operation
    return {} if operation is None else operation.example or EXAMPLE.get(operation.id) or {}


def wire(name: str, value: str) -> Any:
    """An id as a body carries it."""
    if name.endswith("Ids"):
        return [value]
    return int(value) if name == "signalId" and value.isdigit() else value


def is_stream(route: Route) -> bool:
    return route.operation is not None and route.operation.produces == "text/event-stream"


class Matrix:
    """Asks, counts, and keeps what was answered wrongly."""

    def __init__(self, asker: Any, mine: dict[str, str], theirs: estate.Estate, kinds: tuple[str, ...]) -> None:
        self.asker, self.mine, self.theirs, self.kinds = asker, mine, theirs, kinds
        self.asked: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.routes: set[tuple[str, str]] = set()

    def send(self, route: Route, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        self.routes.add((route.method, route.path))
        if route.method == "GET":
            return self.asker.get(path, query)
        if route.method == "DELETE":
            return self.asker.delete(path)
        given = dict(body if body is not None else example_of(route))
        return getattr(self.asker, route.method.lower())(path, given)

    def judge(self, where: str, route: Route, answer: Any, *, sent: str, allowed: set[int]) -> None:
        self.asked[where] += 1
        content = "" if getattr(answer, "streaming", False) else answer.content.decode()
        told = [word for word in self.theirs.words if word != sent and word in content]
        if answer.status_code not in allowed or told:
            self.wrong.append(
                f"{where} {route.method} {route.path} {sent}: {answer.status_code} {told} {content[:160]}"
            )

    def paths(self, route: Route) -> None:
        """Every id of theirs in the first place of the path, and theirs in the second below one of mine."""
        names = path_names(route)
        for kind in self.kinds:
            values = {name: self._other(name) for name in names} | {names[0]: self.theirs.ids[kind]}
            is_right = kind == KIND.get(names[0])
            if not is_right and route.converters.get(names[0]) == "int":
                continue
            allowed = {404} if is_right else {400, 404}
            self._ask_path(route, values, sent=self.theirs.ids[kind], allowed=allowed)
        for name in names[1:]:
            if name in NO_OWNER or kind_of(name) not in self.kinds:
                continue
            values = {each: self.mine.get(KIND.get(each, ""), "1") for each in names}
            values[name] = self.theirs.ids[kind_of(name)]
            self._ask_path(route, values, sent=values[name], allowed={404})

    def _other(self, name: str) -> str:
        return "1" if name in NO_OWNER else self.theirs.ids[kind_of(name)]

    def _ask_path(self, route: Route, values: dict[str, str], *, sent: str, allowed: set[int]) -> None:
        path = re.sub(r"{(\w+)}", lambda match: values[match[1]], route.path)
        query = {p.name: self.mine.get(KIND.get(p.name, ""), "") for p in route.operation.query if p.is_required}
        self.judge("path", route, self.send(route, path, query=query, body=self.own(route)), sent=sent, allowed=allowed)

    def own(self, route: Route) -> dict[str, Any]:
        """A good body in which everything is mine."""
        names = {name: wire(name, self.mine.get(kind_of(name), "")) for name in body_names(route)}
        return {**example_of(route), **names}

    def filters(self, route: Route) -> None:
        """A list of mine, narrowed by something of theirs: not found, or nothing of theirs in it."""
        assert route.operation is not None
        required = {p.name: self.mine.get(KIND.get(p.name, ""), "1") for p in route.operation.query if p.is_required}
        path = re.sub(r"{(\w+)}", lambda match: self.mine.get(KIND.get(match[1], ""), "1"), route.path)
        for name in owned_names(param.name for param in route.operation.query):
            for kind in self.kinds:
                is_owner_asked = name == "agentId" and kind == "agent" and route.path != AUDIT
                allowed = {404} if is_owner_asked else {200, 400, 404}
                if is_stream(route) and kind != "agent":
                    continue
                sent = self.theirs.ids[kind]
                answer = self.send(route, path, query={**required, name: sent})
                self.judge("filter", route, answer, sent=sent, allowed=allowed)
        if not is_stream(route) and not path_names(route):
            self.judge("list", route, self.send(route, path, query=required), sent="", allowed={200, 302, 400, 403})

    def bodies(self, route: Route) -> None:
        """A request of mine with one field of theirs: refused."""
        assert route.operation is not None
        path = re.sub(r"{(\w+)}", lambda match: self.mine.get(KIND.get(match[1], ""), "1"), route.path)
        names, given = body_names(route), self.own(route)
        for name in names:
            if name == "externalRef":
                continue  # a text of one's own choice
            for kind in self.kinds:
                sent = self.theirs.ids[kind]
                body = {**given, name: wire(name, sent)}
                right = kind == kind_of(name)
                allowed = {404} if right and name == "agentId" else {400, 403, 404}
                self.judge("body", route, self.send(route, path, body=body), sent=sent, allowed=allowed)

    def run(self) -> None:
        for route in document.routes():
            assert route.operation is not None, f"{route.method} {route.path} has no description, hence no rule"
            for name in path_names(route):
                assert name in KIND or name in NO_OWNER, f"{route.path}: {name} has no rule"
            if getattr(route.endpoint, "is_public", False) or route.operation.is_public:
                continue
            if path_names(route):
                self.paths(route)
            if route.method == "GET":
                self.filters(route)
            elif route.path.count("{") == 0 or body_names(route):
                self.bodies(route)


@pytest.fixture
def theirs():
    return estate.of_person("their-own@example.com")


def test_a_stranger_finds_nothing_of_anothers(theirs, capsys):
    ours = estate.of_person("asking@example.com")
    before = theirs.state()
    matrix = Matrix(ours.api, ours.ids, theirs, tuple(kind for kind in theirs.ids if kind != "mint"))

    matrix.run()

    with capsys.disabled():
        print(f"\nownership, stranger: {len(matrix.routes)} routes x {len(matrix.kinds)} ids, {dict(matrix.asked)}")
    assert "\n".join(matrix.wrong) == ""
    assert theirs.state() == before
    assert len(matrix.routes) > 60
    assert min(matrix.asked[where] for where in ("path", "filter", "body", "list")) > 10


def test_a_limited_trader_finds_nothing_of_another_agent(theirs, capsys):
    # given a member of the workspace who may use a second agent only, and a signal that both agents saw
    granted = theirs.api.post("/api/v1/agents", {"name": "Granted one", "profile": "ideal"}).json()["id"]
    signal = {"tokenAddress": theirs.ids["mint"], "signalType": "Second", "signalStrength": 4}
    theirs.ids["signal"] = str(theirs.api.post("/api/v1/trading-signals", signal).json()["id"])
    fanout.drain()
    trader = member_of(theirs.workspace_id, "trader@example.com", is_limited=True)
    AgentGrant.objects.create(membership=Membership.objects.get(user=trader), agent_id=granted)
    asker = client_of(trader)
    mine = {**theirs.ids, "agent": granted, "user": str(trader.id)}
    ids = {kind: theirs.ids[kind] for kind in OF_AGENT}
    hidden = estate.Estate(theirs.owner, theirs.api, theirs.workspace_id, ids, tuple(ids.values()))
    before = theirs.state()

    matrix = Matrix(asker, mine, hidden, OF_AGENT)
    for route in document.routes():
        names = path_names(route)
        if names and KIND.get(names[0]) in OF_AGENT:
            matrix.paths(route)
        if route.method == "GET" and not route.operation.is_public:
            matrix.filters(route)
        if route.path == "/api/v1/ws-tickets":
            matrix.bodies(route)

    with capsys.disabled():
        print(f"\nownership, limited: {len(matrix.routes)} routes x {len(OF_AGENT)} ids, {dict(matrix.asked)}")
    assert [row for row in matrix.wrong if " 403 " not in row] == []
    assert theirs.state() == before
    assert asker.get(f"/api/v1/agents/{granted}").status_code == 200
    executions = f"/api/v1/trading-signals/{theirs.ids['signal']}/executions"
    assert {row["agentId"] for row in theirs.api.get(executions).json()} == {theirs.ids["agent"], granted}
    assert {row["agentId"] for row in asker.get(executions).json()} == {granted}
    principal = principals.of_user(trader.id)
    assert [live.agent_visible(principal, id_of) for id_of in (UUID(granted), UUID(theirs.ids["agent"]))] == [
        True,
        False,
    ]
    assert live.streams(principal) == [UUID(granted)]
    assert [row["id"] for row in asker.get("/api/v1/agents").json()] == [granted]


def test_the_owner_finds_all_of_it(theirs):
    missing = []
    for route in document.routes():
        names = path_names(route)
        if route.method == "GET" and names and not is_stream(route) and set(names) <= set(KIND):
            path = re.sub(r"{(\w+)}", lambda match: theirs.ids[KIND[match[1]]], route.path)
            query = {p.name: theirs.ids.get(KIND.get(p.name, ""), "") for p in route.operation.query if p.is_required}
            answer = theirs.api.get(path, query)
            if answer.status_code != 200:
                missing.append(f"{route.path} {answer.status_code} {answer.content[:120]!r}")

    assert missing == []


# --- Pages ------------------------------------------------------------------------------------------------------------

PAGES = {
    "": "page",
    "live/summary/": "page",
    "live/prices/": "page",
    "positions/<uuid:position_id>/close/": "position",
    "account/sessions/<uuid:session_id>/end/": "session",
    "account/factors/<uuid:factor_id>/remove/": "factor",
    "setup/agent/": "own",
    "setup/money/<uuid:agent_id>/": "agent",
    "setup/entries/<uuid:agent_id>/": "agent",
    "setup/key/": "own",
    "sign-in/": "own",
    "sign-out/": "own",
    **dict.fromkeys(("password/", "register/", "invitation/", "reset/", "reset/new/"), "own"),
    **dict.fromkeys(("sign-in/code/", "sign-in/passkey/", "sign-in/passkey/options/"), "own"),
    **dict.fromkeys(("account/", "account/confirm/", "account/app/", "account/codes/", "account/codes/new/"), "own"),
    **dict.fromkeys(("account/passkeys/", "account/passkeys/options/", "account/email/"), "own"),
    "account/sessions/end/": "own",
    **dict.fromkeys(("invitation/<str:secret>/", "reset/<str:secret>/", "account/email/<str:secret>/"), "link"),
    "dashboard": "redirect",
    "^(?:api/v1/)?health/?$": "public",
    "^(?:api/v1/)?health/live/?$": "public",
    "^(?:api/v1/)?health/ready/?$": "public",
    "^(?:api/v1/)?metrics/?$": "installation",
}
"""Every route that is no API and not the admin: `page` shows the caller's things, `own` is about the
caller alone, `link` is for whoever has its secret; any other word is the kind of thing that its id names."""


def patterns(resolver: URLResolver, prefix: str = "") -> list[str]:
    found = []
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            found.append(prefix + str(entry.pattern))
        else:
            found += patterns(entry, prefix + str(entry.pattern))
    return found


def pages() -> list[str]:
    found = patterns(get_resolver())
    return [path for path in found if not path.startswith(("api/v1/", "admin/", "dashboard/"))]


def test_every_page_has_a_rule():
    assert sorted(set(pages()) - set(PAGES)) == []


def test_pages_show_nothing_of_anothers(theirs, capsys):
    ours = estate.of_person("asking@example.com")
    browser, before = browser_of(ours.owner), theirs.state()
    asked, told = 0, []
    for path in pages():
        rule = PAGES[path]
        if rule in theirs.ids:
            kinds = [rule] if "<int:" in path else [rule, "agent", "order"]
            for kind in kinds:
                answer = browser.post("/" + re.sub("<.*>", theirs.ids[kind], path))
                asked += 1
                assert answer.status_code in (302, 404), path
                told += [word for word in theirs.words if word in answer.content.decode()]
        elif rule in ("page", "own", "public", "installation"):
            answer = browser.get("/" + re.sub(r"\^\(\?:api/v1/\)\?|/\?\$", "", path))
            asked += 1
            told += [f"{path} {word}" for word in theirs.words if word in answer.content.decode()]

    assert told == []
    assert theirs.state() == before
    assert [factor["id"] for factor in theirs.api.get("/api/v1/auth/factors").json()] == [theirs.ids["factor"]]
    assert theirs.ids["session"] in theirs.api.get("/api/v1/auth/sessions").content.decode()
    with capsys.disabled():
        print(f"\nownership, pages: {len(pages())} routes, {asked} requests")


def test_the_admin_is_closed_to_those_who_are_no_staff(theirs):
    browser = browser_of(theirs.owner)
    found = [path for path in patterns(get_resolver()) if path.startswith("admin/")]
    opened = []
    for path in found:
        concrete = "/" + re.sub(r"<[^>]+>", "1", re.sub(r"\(\?P<[^>]+>[^)]+\)|[\^$]", "", path))
        answer = browser.get(concrete)
        leads_away = answer.status_code == 302 and not answer["Location"].startswith("/admin/")
        is_sign_in = answer.status_code == 302 and "/login/" in answer["Location"]
        if not (is_sign_in or leads_away) and answer.status_code not in (403, 404, 405):
            opened.append(f"{concrete} {answer.status_code}")

    assert len(found) > 100
    assert opened == []


def test_the_matrix_finds_a_hole(theirs, monkeypatch):
    # given agents that are looked up without asking whose they are
    monkeypatch.setattr(selectors, "visible", lambda _principal: Agent.objects.filter(archived_at=None))
    monkeypatch.setattr(selectors.Listed, "page", lambda _, window: window.rows(selectors.visible(None)))
    ours = estate.of_person("asking@example.com")
    matrix = Matrix(ours.api, ours.ids, theirs, ("agent",))

    for route in document.routes():
        if route.method == "GET" and path_names(route)[:1] == ["agentId"]:
            matrix.paths(route)
        if (route.method, route.path) == ("GET", "/api/v1/agents"):
            matrix.filters(route)

    assert any(row.startswith("path GET /api/v1/agents/{agentId} ") and ": 200 " in row for row in matrix.wrong)
    assert any(row.startswith("list GET /api/v1/agents ") for row in matrix.wrong)
