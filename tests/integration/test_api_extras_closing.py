"""Closing several positions over REST: all of an agent's, and those a sender's own reference opened."""

import pytest

from nexgent.accounts.models import Membership, Role, User
from signals import fanout
from tests.integration.api_client import Api, signed_in
from tests.integration.api_trading import ABSENT, MINT, buy, deposit, inline_prices, seller, tick, trader  # noqa: F401
from tests.racing import together
from trading.api import closing
from trading.books import check
from trading.models import Order, Position

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]
OTHER = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"
THIRD = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
BY_REFERENCE = "/api/v1/positions/close-by-ref"


def path_of(agent):
    return f"/api/v1/agents/{agent}/positions/close-all"


def two_positions():
    api, agent = trader()
    tick("0.001")
    tick("0.5", mint=OTHER)
    ids = [buy(api, agent).json()["positionId"], buy(api, agent, tokenAddress=OTHER).json()["positionId"]]
    return api, agent, ids


@pytest.mark.usefixtures("seller")
def test_all_positions_close_and_each_has_its_answer():
    api, agent, ids = two_positions()
    tick("0.0015")

    answer = api.post(path_of(agent))

    body = answer.json()
    assert (answer.status_code, body["closed"], body["pending"], body["refused"]) == (200, 2, 0, 0)
    rows = {row["positionId"]: row for row in body["positions"]}
    assert list(rows) == ids
    assert [row["status"] for row in rows.values()] == ["closed", "closed"]
    assert [row["profitLossSol"] for row in rows.values()] == ["0.5", "0"]
    assert [row["state"] for row in rows.values()] == ["filled", "filled"]
    assert {row["error"] for row in rows.values()} == {None}
    assert Order.objects.filter(side=1).count() == 2
    assert api.get(f"/api/v1/agents/{agent}/positions").json() == []
    assert check().problems == ()


@pytest.mark.usefixtures("seller")
def test_a_percentage_of_each_is_sold():
    api, agent, _ = two_positions()

    body = api.post(path_of(agent), {"percent": 25}).json()

    assert ([row["status"] for row in body["positions"]], body["closed"]) == (["partly_closed"] * 2, 2)
    left = [row["takeProfit"]["remainingAmount"] for row in api.get(f"/api/v1/agents/{agent}/positions").json()]
    assert left == [1.5, 750]


@pytest.mark.usefixtures("seller")
def test_the_same_key_closes_once_and_spares_what_is_opened_later():
    api, agent, _ = two_positions()

    first = api.post(path_of(agent), **{"Idempotency-Key": "k"})
    buy(api, agent)
    again = api.post(path_of(agent), **{"Idempotency-Key": "k"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Position.objects.filter(closed_at=None).count() == 1


def test_a_repeat_before_the_end_waits_for_the_same_orders(monkeypatch):
    api, agent, ids = two_positions()
    monkeypatch.setattr(closing, "WAIT_SECONDS", {"simulation": 0.1, "live": 0.1})

    first = api.post(path_of(agent), **{"Idempotency-Key": "k"})
    tick("1", mint=THIRD)
    third = buy(api, agent, tokenAddress=THIRD)
    again = api.post(path_of(agent), **{"Idempotency-Key": "k"})

    assert (first.status_code, again.status_code, third.status_code) == (202, 202, 200)
    assert [row["positionId"] for row in first.json()["positions"]] == ids
    assert first.json()["pending"] == 2
    assert [row["state"] for row in first.json()["positions"]] == ["planned", "planned"]
    assert again.json() == first.json()
    assert Order.objects.filter(side=1).count() == 2


def test_two_at_once_sell_each_position_once(monkeypatch):
    api, agent, _ = two_positions()
    monkeypatch.setattr(closing, "WAIT_SECONDS", {"simulation": 0.2, "live": 0.2})

    answers = together([lambda: Api(api.headers["Authorization"].split()[1]).post(path_of(agent))] * 2)

    assert [answer.status_code for answer in answers] == [202, 202]
    assert {row["orderId"] for answer in answers for row in answer.json()["positions"]} == {
        str(order_id) for order_id in Order.objects.filter(side=1).values_list("id", flat=True)
    }
    assert Order.objects.filter(side=1).count() == 2


def test_nothing_to_close_is_an_empty_answer():
    api, agent = trader(sol=None)

    answer = api.post(path_of(agent))

    assert (answer.status_code, answer.json()) == (200, {"positions": [], "closed": 0, "pending": 0, "refused": 0})


@pytest.mark.usefixtures("seller")
def test_a_part_below_the_minimum_is_refused_for_that_position_only():
    api, agent = trader()
    tick("0.001")
    tick("0.5", mint=OTHER)
    buy(api, agent, "1")
    buy(api, agent, "0.1", tokenAddress=OTHER)

    body = api.post(path_of(agent), {"percent": 5}).json()

    assert [row["status"] for row in body["positions"]] == ["partly_closed", "refused"]
    assert body["positions"][1]["error"]["code"] == "BELOW_MINIMUM_TRADE"
    assert (body["closed"], body["refused"]) == (1, 1)


@pytest.mark.parametrize("percent", [0, -1, 101, "many"])
def test_a_wrong_percentage_is_400(percent):
    api, agent = trader(sol=None)

    for answer in (
        api.post(path_of(agent), {"percent": percent}),
        api.post(BY_REFERENCE, {"externalRef": "x", "percent": percent}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
        assert answer.json()["details"]["errors"][0]["field"] == "percent"


def test_closing_is_for_traders_of_the_workspace():
    api, agent, _ = two_positions()
    stranger = signed_in("stranger@example.com")
    Membership.objects.filter(user=User.objects.get(email="trader@example.com")).update(role=Role.VIEWER)

    assert stranger.post(path_of(agent)).json()["code"] == "AGENT_NOT_FOUND"
    assert stranger.post(path_of(ABSENT)).status_code == 404
    assert stranger.post(path_of("x")).status_code == 400
    assert stranger.post(BY_REFERENCE, {"externalRef": "trade-17"}).status_code == 404
    assert api.post(path_of(agent)).status_code == 403
    assert api.post(BY_REFERENCE, {"externalRef": "trade-17"}).status_code == 403
    assert Order.objects.filter(side=1).count() == 0


def followed():
    """Two agents that entered on one signal with a reference, and one of them on another signal."""
    api, agent = trader()
    second = api.post("/api/v1/agents", {"name": "Second", "profile": "ideal"}).json()["id"]
    deposit(api, second, "10")
    tick("0.001")
    tick("0.5", mint=OTHER)
    for mint, reference in ((MINT, "trade-17"), (OTHER, "trade-18")):
        body = {"tokenAddress": mint, "signalType": "Breakout", "signalStrength": 5, "externalRef": reference}
        assert api.post("/api/v1/trading-signals", body).status_code == 201
    fanout.drain()
    assert Position.objects.count() == 4
    return api, agent, second


@pytest.mark.usefixtures("seller")
def test_a_reference_closes_what_its_signals_opened_for_all_agents():
    api, agent, second = followed()

    body = api.post(BY_REFERENCE, {"externalRef": " trade-17 "}, **{"Idempotency-Key": "r"}).json()

    assert {(row["agentId"], row["tokenAddress"], row["status"]) for row in body["positions"]} == {
        (agent, MINT, "closed"),
        (second, MINT, "closed"),
    }
    assert set(Position.objects.filter(closed_at=None).values_list("token_id", flat=True)) == {OTHER}
    again = api.post(BY_REFERENCE, {"externalRef": "trade-17"})
    assert (again.status_code, again.json()["code"]) == (404, "POSITION_NOT_FOUND")


@pytest.mark.usefixtures("seller")
def test_a_reference_closes_for_one_agent_when_that_is_asked():
    api, agent, second = followed()

    body = api.post(BY_REFERENCE, {"externalRef": "trade-18", "agentId": second}).json()

    assert [(row["agentId"], row["status"]) for row in body["positions"]] == [(second, "closed")]
    assert api.post(BY_REFERENCE, {"externalRef": "trade-18", "agentId": ABSENT}).json()["code"] == "AGENT_NOT_FOUND"
    assert api.post(BY_REFERENCE, {"agentId": agent}).status_code == 400
    assert api.post(BY_REFERENCE, {"externalRef": ""}).status_code == 400
