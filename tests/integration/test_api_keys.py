"""API keys: made once, stored as a hash, scoped, revocable at once."""

import hashlib

import pytest

from nexgent.accounts.models import ApiKey, Membership
from nexgent.accounts.principals import SCOPES
from tests.integration.api_client import Api, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/api-keys"


def make(api, **body):
    return api.post(PATH, {"name": "bot", "scopes": ["signals"], **body})


def test_a_key_is_shown_once_and_stored_as_a_hash():
    api = signed_in("owner@example.com")

    created = make(api).json()
    listed = api.get(PATH).json()

    assert {"id", "name", "key", "prefix", "scopes", "createdAt"} <= set(created)
    assert created["key"].startswith("nex_")
    assert len(created["key"]) == 36
    assert created["prefix"] == created["key"][:8]
    assert set(listed) == {"items"}
    assert set(listed["items"][0]) == set(created) - {"key", "signingSecret"}
    assert api.get(f"{PATH}/{created['id']}").json() == listed["items"][0]
    assert ApiKey.objects.get().key_hash == hashlib.sha256(created["key"].encode()).hexdigest()


def test_keys_are_listed_newest_first_and_deleted_for_good():
    api = signed_in("owner@example.com")
    first, second = make(api, name="first").json(), make(api, name="second").json()

    deleted = api.delete(f"{PATH}/{first['id']}")

    assert deleted.json()["success"] is True
    assert [item["id"] for item in api.get(PATH).json()["items"]] == [second["id"]]
    assert api.get(f"{PATH}/{first['id']}").status_code == 404
    assert api.delete(f"{PATH}/{first['id']}").status_code == 404
    assert api.get(f"{PATH}/not-a-uuid").status_code == 400
    assert Api(first["key"]).get("/api/v1/trading-signals").status_code == 401
    assert Api(second["key"]).get("/api/v1/trading-signals").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": "signals"}, "scopes"),
        ({"scopes": [1]}, "scopes.0"),
    ],
)
def test_a_wrong_key_names_its_field(body, field):
    answer = make(signed_in("owner@example.com"), **body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_keys_of_somebody_else_do_not_exist():
    owner, stranger = signed_in("owner@example.com"), signed_in("stranger@example.com")
    key = make(owner).json()

    assert stranger.get(f"{PATH}/{key['id']}").status_code == 404
    assert stranger.delete(f"{PATH}/{key['id']}").status_code == 404
    assert stranger.get(PATH).json() == {"items": []}


READS = {
    "signals": "/api/v1/trading-signals",
    "agents": "/api/v1/agents",
    "positions": "/api/v1/agent-positions/{agent}",
    "balances": "/api/v1/agent-balances?agentId={agent}",
    "transactions": "/api/v1/agent-transactions?agentId={agent}",
    "history": "/api/v1/agent-historical-swaps?agentId={agent}",
}


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_opens_its_own_routes_only(scope):
    owner = signed_in("owner@example.com")
    agent = owner.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    bot = Api(make(owner, scopes=[scope]).json()["key"])

    opened = {name for name, path in READS.items() if bot.get(path.format(agent=agent)).status_code == 200}

    assert opened == (set(READS) if scope == "full_access" else {scope} & set(READS))
    refused = bot.get(READS["signals" if scope != "signals" else "agents"].format(agent=agent))
    if scope != "full_access":
        assert (refused.status_code, refused.json()["code"]) == (403, "AUTHORIZATION_ERROR")


def test_full_access_never_writes_what_is_for_people():
    owner = signed_in("owner@example.com")
    agent = owner.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    bot = Api(make(owner, scopes=["full_access"]).json()["key"])

    statuses = {
        bot.post("/api/v1/agents", {"name": "Another"}).status_code,
        bot.put(f"/api/v1/agents/{agent}", {"name": "Another"}).status_code,
        bot.put(f"/api/v1/agents/{agent}/config", {"config": {}}).status_code,
        bot.post("/api/v1/trades/execute", {}).status_code,
        bot.post("/api/v1/agent-transactions", {}).status_code,
        bot.get(PATH).status_code,
        bot.post(PATH, {}).status_code,
        bot.get("/api/v1/auth/me").status_code,
        bot.post("/api/v1/auth/logout").status_code,
    }

    assert statuses == {403}


def test_the_config_scope_saves_a_configuration():
    owner = signed_in("owner@example.com")
    agent = owner.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    bot = Api(make(owner, scopes=["config"]).json()["key"])

    assert bot.put(f"/api/v1/agents/{agent}/config", {"config": {"signals": {"minScore": 3}}}).status_code == 200


@pytest.mark.parametrize("raw", ["nex_", "nex_" + "x" * 32, "nex_" + "x" * 31, "nex_" + "x" * 500, "nex_é" + "x" * 31])
def test_unknown_and_malformed_keys_are_401(raw):
    assert Api(raw).get("/api/v1/trading-signals").status_code == 401
    assert Api().get("/api/v1/trading-signals", **{"X-API-Key": raw}).status_code == 401


def test_a_key_dies_with_its_owner_s_membership_and_activity():
    owner = signed_in("owner@example.com")
    bot = Api(make(owner).json()["key"])
    membership = Membership.objects.get(user__email="owner@example.com")

    membership.user.is_active = False
    membership.user.save()
    inactive = bot.get("/api/v1/trading-signals").status_code
    membership.user.is_active = True
    membership.user.save()
    membership.delete()

    assert inactive == 401
    assert bot.get("/api/v1/trading-signals").status_code == 401


@pytest.mark.parametrize(
    ("role", "statuses"),
    [
        ("viewer", {"read": 200, "signal": 403, "config": 403, "agent": 403, "keys": 403}),
        ("auditor", {"read": 200, "signal": 403, "config": 403, "agent": 403, "keys": 403}),
        ("trader", {"read": 200, "signal": 400, "config": 200, "agent": 403, "keys": 403}),
        ("owner", {"read": 200, "signal": 400, "config": 200, "agent": 201, "keys": 200}),
    ],
)
def test_roles_open_what_is_theirs(role, statuses):
    api = signed_in("member@example.com")
    agent = api.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    Membership.objects.update(role=role)

    found = {
        "read": api.get("/api/v1/agents").status_code,
        "signal": api.post("/api/v1/trading-signals", {}).status_code,
        "config": api.put(f"/api/v1/agents/{agent}/config", {"config": {}}).status_code,
        "agent": api.post("/api/v1/agents", {"name": "Another"}).status_code,
        "keys": api.get(PATH).status_code,
    }

    assert found == statuses
