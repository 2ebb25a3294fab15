"""Configuration versions over REST: what changed between two, and the way back as a new version."""

import pytest

from agents.api.versions import differences, way_back
from agents.models import ConfigVersion
from nexgent.accounts.models import Membership, Role, User
from tests.integration.api_client import Api, signed_in
from tests.integration.api_trading import ABSENT, buy, inline_prices, tick, trader  # noqa: F401
from tests.racing import together
from trading.models import Position

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def three_versions():
    """The defaults; a narrower stop with a market cap bound; a ladder on top of it."""
    api, agent = trader(sol=None)
    path = f"/api/v1/agents/{agent}/config"
    change = {"stopLoss": {"mode": "fixed", "defaultPercentage": -10}, "signals": {"marketCapMin": 1000}}
    assert api.put(path, {"config": change}).status_code == 200
    assert api.put(path, {"config": {"takeProfit": {"enabled": True, "mode": "custom"}}}).status_code == 200
    return api, agent, f"{path}/versions"


def test_a_version_tells_what_it_changed():
    api, agent, path = three_versions()
    first = api.get(f"{path}/1").json()["config"]

    body = api.get(f"{path}/2/diff").json()

    assert (body["agentId"], body["from"], body["to"]) == (agent, 1, 2)
    assert {change["path"]: (change["before"], change["after"]) for change in body["changes"]} == {
        "signals.marketCapMin": (None, 1000),
        "stopLoss.defaultPercentage": (first["stopLoss"]["defaultPercentage"], -10),
    }
    assert api.get(f"{path}/1/diff").json()["changes"] == []
    assert api.get(f"{path}/2/diff", {"against": 2}).json()["changes"] == []


def test_two_versions_are_compared_either_way():
    api, _, path = three_versions()

    there = api.get(f"{path}/3/diff", {"against": 1}).json()["changes"]
    back = api.get(f"{path}/1/diff", {"against": 3}).json()["changes"]

    assert [(c["path"], c["before"], c["after"]) for c in there] == [(c["path"], c["after"], c["before"]) for c in back]
    assert len(there) >= 3


def test_an_older_version_comes_back_as_a_new_one_to_the_letter():
    api, _, path = three_versions()
    first = api.get(f"{path}/1").json()["config"]

    restored = api.post(f"{path}/1/restore", {"baseVersion": 3})

    body = restored.json()
    assert (restored.status_code, body["version"], body["restoredFrom"]) == (201, 4, 1)
    assert restored.headers["ETag"] == '"4"'
    assert (body["config"], body["author"]) == (first, "trader@example.com")
    assert api.get(f"{path}/4/diff", {"against": 1}).json()["changes"] == []
    assert ConfigVersion.objects.count() == 4


def test_a_restore_with_a_key_is_one_version():
    api, _, path = three_versions()

    first = api.post(f"{path}/1/restore", **{"Idempotency-Key": "r"})
    again = api.post(f"{path}/1/restore", **{"Idempotency-Key": "r"})

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert ConfigVersion.objects.count() == 4


def test_a_restore_over_a_version_nobody_saw_is_refused():
    api, _, path = three_versions()

    answer = api.post(f"{path}/1/restore", {"baseVersion": 2})

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFIG_VERSION_CONFLICT")
    assert ConfigVersion.objects.count() == 3


def test_restores_at_once_each_make_a_version():
    api, _, path = three_versions()

    def send():
        return Api(api.headers["Authorization"].split()[1]).post(f"{path}/1/restore").status_code

    assert together([send] * 3) == [201, 201, 201]
    assert sorted(ConfigVersion.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


def test_a_restore_reaches_open_positions_only_when_asked():
    api, agent = trader()
    tick("0.001")
    buy(api, agent)
    api.put(f"/api/v1/agents/{agent}/config", {"config": {"stopLoss": {"defaultPercentage": -5}}})
    path = f"/api/v1/agents/{agent}/config/versions/1/restore"

    quiet = api.post(path).json()
    assert "appliedToPositions" not in quiet
    assert Position.objects.get().config.number == 1
    asked = api.post(path, {"applyToOpenPositions": True}).json()

    assert (asked["appliedToPositions"], Position.objects.get().config.number) == (1, asked["version"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"baseVersion": 0}, "baseVersion"),
        ({"baseVersion": "3"}, "baseVersion"),
        ({"applyToOpenPositions": "yes"}, "applyToOpenPositions"),
    ],
)
def test_a_wrong_restore_is_400(body, field):
    api, _, path = three_versions()

    answer = api.post(f"{path}/1/restore", body)

    assert (answer.status_code, answer.json()["details"]["errors"][0]["field"]) == (400, field)


def test_versions_of_others_do_not_exist():
    api, agent, path = three_versions()
    stranger = signed_in("stranger@example.com")

    assert stranger.get(f"{path}/2/diff").json()["code"] == "AGENT_NOT_FOUND"
    assert stranger.post(f"{path}/1/restore").json()["code"] == "AGENT_NOT_FOUND"
    assert api.get(f"{path}/9/diff").json()["code"] == "CONFIG_VERSION_NOT_FOUND"
    assert api.get(f"{path}/2/diff", {"against": 9}).status_code == 404
    assert api.get(f"{path}/2/diff", {"against": 0}).status_code == 400
    assert api.post(f"{path}/9/restore").status_code == 404
    assert api.post(path.replace(agent, ABSENT) + "/1/restore").status_code == 404
    Membership.objects.filter(user=User.objects.get(email="trader@example.com")).update(role=Role.VIEWER)
    assert api.post(f"{path}/1/restore").status_code == 403
    assert ConfigVersion.objects.count() == 3


def test_differences_and_the_way_back_meet():
    before = {"a": {"x": 1, "gone": 2}, "list": [1, 2], "same": None}
    after = {"a": {"x": 3}, "list": [1], "same": None, "new": {"y": None}}

    assert list(differences(before, after)) == [
        {"path": "a.gone", "before": 2, "after": None},
        {"path": "a.x", "before": 1, "after": 3},
        {"path": "list", "before": [1, 2], "after": [1]},
        {"path": "new", "before": None, "after": {"y": None}},
    ]
    assert way_back(after, before) == {"a": {"x": 1, "gone": 2}, "list": [1, 2], "same": None, "new": None}
