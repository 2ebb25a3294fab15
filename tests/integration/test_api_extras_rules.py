"""Over REST: stop and ladder of one position, pauses and their end, statistics, and a write-off that is sent twice."""

from datetime import timedelta

import pytest

from nexgent import clock
from nexgent.accounts.models import Membership, Role, User
from tests.integration.api_client import signed_in
from tests.integration.api_trading import ABSENT, MINT, buy, inline_prices, seller, tick, trader  # noqa: F401
from trading.books import check
from trading.models import Position, ProtectionLock

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def demote(email="trader@example.com", role=Role.VIEWER):
    Membership.objects.filter(user=User.objects.get(email=email)).update(role=role)


def holder():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    return api, agent, f"/api/v1/agents/{agent}/positions/{position}/override"


def test_a_stop_is_pinned_read_and_given_back():
    api, agent, path = holder()

    ladder = {"enabled": True, "mode": "custom", "levels": [{"targetPercent": 40, "sellPercent": 60.5}]}
    bag = {"enabled": True, "triggerPercent": 40, "retainPercent": 10}
    pinned = api.put(path, {"stopPercent": "-12.5", "takeProfit": {**ladder, "moonBag": bag}})

    body = pinned.json()
    assert (pinned.status_code, body["stopPercent"], body["currentStopPercent"]) == (200, "-12.5", "-12.5")
    assert body["takeProfit"]["levels"] == [{"targetPercent": 40, "sellPercent": 60.5}]
    assert (body["stopLoss"], body["configVersion"]) == (None, 1)
    assert api.get(path).json() == body
    assert api.get(f"/api/v1/agents/{agent}/positions").json()[0]["stopLoss"]["percentage"] == -12.5
    removed = api.delete(path).json()
    assert (removed["stopPercent"], removed["takeProfit"], removed["stopLoss"]) == (None, None, None)
    assert Position.objects.get().override is None


def test_an_override_replaces_the_one_before():
    api, _, path = holder()
    api.put(path, {"stopPercent": -10})

    body = api.put(path, {"stopLoss": {"mode": "fixed", "defaultPercentage": -20.25}}).json()

    assert body["stopLoss"] == {"mode": "fixed", "defaultPercentage": -20.25}
    assert (body["stopPercent"], Position.objects.get().override) == (
        None,
        {"stopLoss": {"mode": "fixed", "defaultPercentage": -20.25}},
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "VALIDATION_ERROR"),
        ({"stopPercent": -100}, "VALIDATION_ERROR"),
        ({"stopPercent": "deep"}, "VALIDATION_ERROR"),
        ({"stopLoss": "tight"}, "VALIDATION_ERROR"),
        ({"stopLoss": {"defaultPercentage": 0}}, "INVALID_CONFIG"),
        ({"stopLoss": {"nonsense": 1}}, "INVALID_CONFIG"),
        ({"takeProfit": {"mode": "custom", "levels": [{"targetPercent": -1, "sellPercent": 10}]}}, "INVALID_CONFIG"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(body, code):
    api, _, path = holder()

    answer = api.put(path, body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert Position.objects.get().override is None


@pytest.mark.usefixtures("seller")
def test_overrides_are_for_open_positions_of_ones_own():
    api, agent, path = holder()
    stranger = signed_in("stranger@example.com")
    absent = f"/api/v1/agents/{agent}/positions/{ABSENT}/override"

    for method in (stranger.get, stranger.put, stranger.delete):
        assert method(path).status_code == 404
    assert api.get(absent).json()["code"] == "POSITION_NOT_FOUND"
    api.post(f"/api/v1/agents/{agent}/positions/close-all")
    assert api.put(path, {"stopPercent": -10}).json()["code"] == "POSITION_NOT_FOUND"
    demote()
    assert (api.put(path, {"stopPercent": -10}).status_code, api.delete(path).status_code) == (403, 403)


def locks(agent):
    """One that holds for all tokens, one that held for one token, one to come to nobody's harm."""
    now, hour = clock.now(), timedelta(hours=1)
    rows = [("daily_loss", "", now - hour, now + hour), ("cooldown", MINT, now - 3 * hour, now - 2 * hour)]
    return [
        ProtectionLock.objects.create(
            agent_id=agent, protection=kind, mint=mint, reason=f"because {kind}", starts_at=start, ends_at=end
        )
        for kind, mint, start, end in rows
    ]


def test_pauses_are_listed_and_filtered():
    api, agent = trader(sol=None)
    holding, past = locks(agent)
    path = f"/api/v1/agents/{agent}/protections"

    def found(**query):
        return [row["id"] for row in api.get(path, query).json()]

    assert found() == [str(holding.id), str(past.id)]
    assert found(active="true") == found(protection="daily_loss") == [str(holding.id)]
    assert found(active="false") == found(tokenAddress=MINT) == [str(past.id)]
    assert api.get(path, {"protection": "luck"}).status_code == 400
    row = api.get(path).json()[1]
    assert (row["tokenAddress"], row["reason"], row["isActive"], row["liftedAt"]) == (
        MINT,
        "because cooldown",
        False,
        None,
    )


def test_a_pause_is_lifted_once_and_entries_go_on():
    api, agent = trader()
    holding, _ = locks(agent)
    tick("0.001")
    path = f"/api/v1/agents/{agent}/protections/{holding.id}/lift"
    refused = buy(api, agent)

    first, again = api.post(path), api.post(path)

    assert (refused.status_code, refused.json()["code"]) == (400, "PROTECTION_ACTIVE")
    assert (first.status_code, first.json()["isActive"], first.json()["liftedBy"]) == (200, False, "trader@example.com")
    assert again.json() == first.json()
    assert buy(api, agent).status_code == 200


def test_lifting_is_for_traders_of_the_workspace():
    api, agent = trader(sol=None)
    holding, _ = locks(agent)
    stranger, other = trader("stranger@example.com", sol=None)
    path = f"/api/v1/agents/{agent}/protections"

    assert stranger.get(path).json()["code"] == "AGENT_NOT_FOUND"
    assert stranger.post(f"/api/v1/agents/{other}/protections/{holding.id}/lift").json()["code"] == (
        "PROTECTION_NOT_FOUND"
    )
    assert api.post(f"{path}/x/lift").status_code == 400
    demote()
    assert api.post(f"{path}/{holding.id}/lift").status_code == 403
    assert ProtectionLock.objects.filter(lifted_at=None).count() == 2


@pytest.mark.usefixtures("seller")
def test_statistics_are_those_of_the_closed_trades():
    api, agent = trader()
    for price in ("0.0015", "0.0008", "0.002"):
        tick("0.001")
        buy(api, agent)
        tick(price)
        assert api.post(f"/api/v1/agents/{agent}/positions/close-all").json()["closed"] == 1

    body = api.get(f"/api/v1/agents/{agent}/statistics").json()

    assert (body["trades"], body["wins"], body["losses"], body["winRatePercent"]) == (3, 2, 1, "66.66666667")
    assert (body["grossProfitSol"], body["grossLossSol"], body["profitFactor"]) == ("1.5", "0.2", "7.5")
    assert (body["expectancySol"], body["averageWinSol"], body["averageLossSol"]) == ("0.433333333", "0.75", "0.2")
    assert (body["bestTradeSol"], body["worstTradeSol"], body["averageReturnPercent"]) == ("1", "-0.2", "43.33333333")
    assert (body["longestWinStreak"], body["longestLossStreak"], body["equityPoints"]) == (1, 1, 1)
    assert (body["sharpe"], body["sortino"], body["maxDrawdown"]["sol"]) == (None, None, "0")


def test_statistics_of_nothing_are_null_not_zero():
    api, agent = trader(sol=None)
    stranger = signed_in("stranger@example.com")

    body = api.get(f"/api/v1/agents/{agent}/statistics").json()

    assert (body["trades"], body["profitFactor"], body["winRatePercent"], body["bestTradeSol"]) == (0, None, None, None)
    assert api.get(f"/api/v1/agents/{agent}/statistics", {"walletAddress": "sim_x"}).json()["code"] == (
        "WALLET_NOT_FOUND"
    )
    assert stranger.get(f"/api/v1/agents/{agent}/statistics").status_code == 404


def test_a_write_off_with_a_key_is_one_loss_and_one_answer():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    Position.objects.update(untradable_at=clock.now())
    path, body = f"/api/v1/agents/{agent}/positions/{position}/write-off", {"reason": "rugged"}

    first = api.post(path, body, **{"Idempotency-Key": "w"})
    again = api.post(path, body, **{"Idempotency-Key": "w"})
    other = api.post(path, {"reason": "other"}, **{"Idempotency-Key": "w"})

    assert (first.status_code, first.json()["profitLossSol"]) == (200, -1)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert check().problems == ()
