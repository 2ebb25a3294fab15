"""Agents and their configuration over REST."""

import pytest

from agents.models import ConfigVersion
from tests.integration.api_client import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

AGENT_FIELDS = {
    "id",
    "userId",
    "name",
    "tradingMode",
    "automatedTradingSimulation",
    "automatedTradingLive",
    "createdAt",
    "updatedAt",
}
ABSENT = "018f0000-0000-7000-8000-000000000009"


def make_agent(api, name="Momentum"):
    return api.post("/api/v1/agents", {"name": name}).json()


def test_an_agent_is_created_in_the_reference_shape_with_a_simulation_wallet():
    api = signed_in("a@example.com")

    answer = api.post("/api/v1/agents", {"name": "  Momentum "})

    agent = answer.json()
    assert answer.status_code == 201
    assert set(agent) >= AGENT_FIELDS
    assert agent["name"] == "Momentum"
    assert agent["tradingMode"] == "simulation"
    assert agent["automatedTradingSimulation"] is True
    assert agent["exitsEnabledSimulation"] is True
    wallets = api.get(f"/api/v1/wallets/agent/{agent['id']}").json()
    assert set(wallets) == {"agentWallets", "availableWallets"}
    assert set(wallets["agentWallets"][0]) == {"walletAddress", "walletType", "isAvailable", "createdAt", "updatedAt"}
    assert wallets["agentWallets"][0]["walletAddress"].startswith("sim_")
    assert wallets["agentWallets"][0]["walletType"] == "simulation"
    assert wallets["availableWallets"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "ab"}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": "Momentum", "tradingMode": "paper"}, "tradingMode"),
        ({"name": "Momentum", "profile": "magic"}, "profile"),
        ([], ""),
    ],
)
def test_a_wrong_agent_names_its_field(body, field):
    answer = signed_in("a@example.com").post("/api/v1/agents", body)

    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_agents_are_listed_newest_first_and_only_ones_own():
    mine, other = signed_in("a@example.com"), signed_in("b@example.com")
    first, second = make_agent(mine, "First"), make_agent(mine, "Second")
    make_agent(other, "Foreign")

    answer = mine.get("/api/v1/agents", {"userId": "ignored"})

    assert [agent["id"] for agent in answer.json()] == [second["id"], first["id"]]


def test_switches_and_name_change_by_put():
    api = signed_in("a@example.com")
    agent = make_agent(api)

    answer = api.put(
        f"/api/v1/agents/{agent['id']}",
        {"name": "Renamed", "automatedTradingSimulation": False, "exitsEnabledLive": False},
    )

    assert answer.status_code == 200
    assert answer.json()["name"] == "Renamed"
    assert answer.json()["automatedTradingSimulation"] is False
    assert answer.json()["exitsEnabledLive"] is False
    assert api.get(f"/api/v1/agents/{agent['id']}").json() == answer.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, ""), ({"name": "ab"}, "name"), ({"automatedTradingLive": "yes"}, "automatedTradingLive"), ({"x": 1}, "")],
)
def test_a_wrong_change_is_refused_under_its_wire_name(body, field):
    api = signed_in("a@example.com")
    agent = make_agent(api)

    answer = api.put(f"/api/v1/agents/{agent['id']}", body)

    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["details"]["errors"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/agents/{id}"),
        ("put", "/api/v1/agents/{id}"),
        ("get", "/api/v1/agents/{id}/config"),
        ("put", "/api/v1/agents/{id}/config"),
        ("patch", "/api/v1/agents/{id}/config"),
        ("get", "/api/v1/agents/{id}/config/versions"),
        ("get", "/api/v1/agents/{id}/config/versions/1"),
        ("get", "/api/v1/agents/{id}/positions"),
        ("get", "/api/v1/agents/{id}/performance"),
        ("get", "/api/v1/agent-positions/{id}"),
        ("get", "/api/v1/agent-positions/{id}/take-profit-summary"),
        ("get", "/api/v1/wallets/agent/{id}"),
        ("get", "/api/v1/agent-balances?agentId={id}"),
        ("get", "/api/v1/agent-transactions?agentId={id}"),
        ("get", "/api/v1/agent-historical-swaps?agentId={id}"),
    ],
)
def test_foreign_and_absent_agents_get_the_same_404_and_no_uuid_400(method, path):
    owner, stranger = signed_in("a@example.com"), signed_in("b@example.com")
    agent = make_agent(owner)
    body = () if method == "get" else ({"name": "Taken over", "config": {}},)

    def ask(api, agent_id):
        return getattr(api, method)(path.format(id=agent_id), *body)

    foreign, absent = ask(stranger, agent["id"]), ask(stranger, ABSENT)

    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.json()["code"] == absent.json()["code"] == "AGENT_NOT_FOUND"
    assert foreign.json()["error"] == absent.json()["error"]
    assert ask(owner, agent["id"]).status_code == 200
    assert ask(owner, "not-a-uuid").status_code == 400


def test_a_configuration_is_merged_numbered_and_tagged():
    api = signed_in("a@example.com")
    path = f"/api/v1/agents/{make_agent(api)['id']}/config"
    before = api.get(path)

    after = api.put(path, {"config": {"stopLoss": {"defaultPercentage": -20.5}}})

    assert before.json()["config"]["stopLoss"]["defaultPercentage"] == -32
    assert after.status_code == 200
    assert after.json()["config"]["stopLoss"]["defaultPercentage"] == -20.5
    assert after.json()["config"]["signals"] == before.json()["config"]["signals"]
    assert (before.json()["version"], after.json()["version"]) == (1, 2)
    assert (before.headers["ETag"], after.headers["ETag"]) == ('"1"', '"2"')
    assert b'"defaultPercentage":-20.5' in after.content
    versions = api.get(path + "/versions").json()
    assert [version["version"] for version in versions] == [2, 1]
    assert versions[0]["author"] == "a@example.com"
    assert api.get(path + "/versions/1").json()["config"] == before.json()["config"]
    assert api.get(path + "/versions/3").status_code == 404
    assert api.get(path + "/versions/99999999999999999999").status_code == 404


def test_null_restores_the_defaults():
    api = signed_in("a@example.com")
    path = f"/api/v1/agents/{make_agent(api)['id']}/config"
    defaults = api.get(path).json()["config"]
    api.patch(path, {"config": {"stopLoss": {"mode": "zones"}}})

    answer = api.patch(path, {"config": None})

    assert answer.json()["config"] == defaults


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"stopLoss": {"defaultPercentage": 5}}, "stopLoss.defaultPercentage"),
        ({"stopLoss": {"defaultPercentage": "x"}}, "stopLoss.defaultPercentage"),
        ({"signals": {"minScore": 9}}, "signals.minScore"),
        ({"unknown": 1}, "unknown"),
        ([], "(root)"),
        ("text", "(root)"),
    ],
)
def test_config_errors_keep_their_shape(config, path):
    api = signed_in("a@example.com")
    agent = make_agent(api)

    answer = api.put(f"/api/v1/agents/{agent['id']}/config", {"config": config})

    assert answer.status_code == 400
    assert {"error", "details"} <= set(answer.json())
    assert any(text.startswith(f"{path}: ") for text in answer.json()["details"])
    assert ConfigVersion.objects.filter(agent_id=agent["id"]).count() == 1


@pytest.mark.parametrize("body", [{}, {"stopLoss": {}}, []])
def test_a_body_without_config_is_refused(body):
    api = signed_in("a@example.com")

    answer = api.put(f"/api/v1/agents/{make_agent(api)['id']}/config", body)

    assert answer.status_code == 400
    assert answer.json()["details"] == ["config: Required"]


@pytest.mark.parametrize("raw", ['{"config": {"stopLoss": {"defaultPercentage": %s}}}'])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999999999", "-1e-999999999"])
def test_numbers_that_are_none_are_refused_before_anything_sees_them(raw, value):
    api = signed_in("a@example.com")

    answer = api.put(f"/api/v1/agents/{make_agent(api)['id']}/config", raw % value)

    assert answer.status_code == 400


def test_a_save_from_an_old_version_is_a_conflict():
    api = signed_in("a@example.com")
    path = f"/api/v1/agents/{make_agent(api)['id']}/config"
    api.put(path, {"config": {}, "baseVersion": 1})

    by_body = api.put(path, {"config": {}, "baseVersion": 1})
    by_header = api.put(path, {"config": {}}, **{"If-Match": '"1"'})
    current = api.put(path, {"config": {}}, **{"If-Match": '"2"'})

    assert (by_body.status_code, by_header.status_code, current.status_code) == (409, 409, 200)
    assert by_body.json()["code"] == "CONFIG_VERSION_CONFLICT"
    assert by_body.json()["details"]["currentVersion"] == 2
    assert api.put(path, {"config": {}, "baseVersion": "2"}).status_code == 400
    assert api.put(path, {"config": {}}, **{"If-Match": "abc"}).status_code == 400


def test_an_agent_is_created_once_per_idempotency_key():
    api = signed_in("a@example.com")

    first = api.post("/api/v1/agents", {"name": "Momentum"}, **{"Idempotency-Key": "k1"})
    again = api.post("/api/v1/agents", {"name": "Momentum"}, **{"Idempotency-Key": "k1"})
    other = api.post("/api/v1/agents", {"name": "Different"}, **{"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(api.get("/api/v1/agents").json()) == 1
