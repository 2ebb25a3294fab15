"""Trading over REST: manual buys, positions, closes, orders, executions."""

import pytest

from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts.models import User
from nexgent.money import SOL_MINT
from signals import fanout
from tests.integration.api_client import Api
from tests.integration.api_trading import (  # noqa: F401
    ABSENT,
    CLOSE_FIELDS,
    MINT,
    SWAP_FIELDS,
    TRANSACTION_FIELDS,
    buy,
    deposit,
    inline_prices,
    seller,
    tick,
    trader,
    words,
)
from trading.api import orders as orders_api
from trading.books import check
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Order, Position, Side

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def test_a_manual_buy_answers_with_the_position():
    api, agent = trader()
    tick("0.001")

    answer = buy(api, agent)

    body = answer.json()
    assert answer.status_code == 200, body
    assert set(body) >= {
        "success",
        "transactionId",
        "positionId",
        "inputAmount",
        "outputAmount",
        "purchasePrice",
        "transactionHash",
        "stopLossInitialized",
        "stopLossPercentage",
    }
    assert (body["success"], body["inputAmount"], body["outputAmount"]) == (True, 1, 1000)
    assert (body["purchasePrice"], body["stopLossInitialized"], body["stopLossPercentage"]) == (0.001, True, -32)
    order = api.get(f"/api/v1/orders/{body['orderId']}").json()
    assert (order["state"], order["side"], order["positionId"]) == ("filled", "buy", body["positionId"])
    assert order["transactionId"] == body["transactionId"]
    swap = api.get(f"/api/v1/agent-transactions/{body['transactionId']}").json()
    assert set(swap) >= TRANSACTION_FIELDS
    assert (swap["inputSymbol"], swap["inputAmount"]) == ("SOL", "1")
    assert (swap["outputMint"], swap["outputSymbol"], swap["outputAmount"]) == (MINT, "BONK", "1000")
    assert (swap["outputPrice"], swap["transactionValueUsd"]) == ("0.001", "200")
    assert api.get(f"/api/v1/agent-transactions/{body['orderId']}").json() == swap


def test_a_buy_with_the_same_key_is_one_order():
    api, agent = trader()
    tick("0.001")

    first = buy(api, agent, **{"Idempotency-Key": "b1"})
    again = buy(api, agent, **{"Idempotency-Key": "b1"})
    other = buy(api, agent, "2", **{"Idempotency-Key": "b1"})

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 422)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"tokenAddress": "not a mint"}, 400),
        ({"tokenAddress": ""}, 400),
        ({"positionSize": 0}, 400),
        ({"positionSize": -1}, 400),
        ({"positionSize": "many"}, 400),
        ({"positionSize": "1" + "0" * 30}, 400),
        ({"agentId": "x"}, 400),
        ({"agentId": ABSENT}, 404),
        ({"walletAddress": "sim_of_somebody_else"}, 404),
        ({"signalId": 99_999}, 404),
        ({"signalId": "1"}, 400),
    ],
)
def test_a_wrong_buy_is_refused(change, status):
    api, agent = trader()
    tick("0.001")

    answer = buy(api, agent, **change)

    assert answer.status_code == status, answer.json()
    assert Order.objects.count() == 0


def test_d30_refusals_of_a_trade_carry_their_code_and_status():
    api, agent = trader()
    poor, poor_agent = trader("poor@example.com", sol=None)
    priceless = buy(api, agent)
    tick("0.001")
    buy(api, agent)

    twice, broke, reserve = (
        buy(api, agent),
        buy(poor, poor_agent),
        buy(api, agent, "100", tokenAddress=SOL_MINT[:-1] + "3"),
    )

    assert priceless.status_code == 400
    assert (twice.status_code, twice.json()["code"]) == (409, "POSITION_EXISTS")
    assert (broke.status_code, broke.json()["code"]) == (400, "INSUFFICIENT_BALANCE")
    assert reserve.status_code == 400
    for answer in (priceless, twice, broke, reserve):
        assert answer.json()["code"] == answer.json()["code"].upper()
        assert answer.json()["error"]


def test_a_signal_of_somebody_else_cannot_be_named():
    api, agent = trader()
    stranger, _ = trader("stranger@example.com")
    signal = stranger.post(
        "/api/v1/trading-signals", {"tokenAddress": MINT, "signalType": "X", "signalStrength": 3}
    ).json()["id"]
    tick("0.001")

    answer = buy(api, agent, signalId=signal)

    assert (answer.status_code, answer.json()["code"]) == (404, "SIGNAL_NOT_FOUND")


def test_positions_come_in_the_reference_groups_at_the_latest_price():
    api, agent = trader()
    tick("0.001")
    bought = buy(api, agent).json()
    tick("0.0012")

    rows = api.get(f"/api/v1/agent-positions/{agent}").json()

    assert api.get(f"/api/v1/agents/{agent}/positions").json() == rows
    row = rows[0]
    assert row["id"] == bought["positionId"]
    assert set(row["purchase"]) == {"priceNative", "priceUsd", "amount", "transaction"}
    assert row["purchase"]["transaction"]["id"] == bought["transactionId"]
    assert set(row["purchase"]["transaction"]) == {"id", "hash", "time"}
    assert (row["purchase"]["priceNative"], row["purchase"]["amount"]) == (0.001, 1000)
    assert row["current"] == {"priceNative": 0.0012, "priceUsd": 0.24, "valueNative": 1.2, "valueUsd": 240}
    assert (row["profitLoss"]["native"], row["profitLoss"]["usd"]) == (0.2, 40)
    assert (row["profitLoss"]["percent"], row["profitLoss"]["priceChangePercent"]) == (20, 20)
    assert set(row["stopLoss"]) == {"percentage", "peakPrice"}
    assert set(row["takeProfit"]) == {
        "levelsHit",
        "totalLevels",
        "tpBatchStartLevel",
        "remainingAmount",
        "originalAmount",
        "soldPercent",
        "moonBagActivated",
        "moonBagAmount",
        "lastTakeProfitTime",
        "transactionIds",
    }
    assert {"count", "totalInvestedSol", "lastDcaTime"} <= set(row["dca"])
    assert row["priceState"] == "fresh"


def test_d30_the_wallet_filter_of_positions_works():
    api, agent = trader()
    tick("0.001")
    buy(api, agent)
    path = f"/api/v1/agent-positions/{agent}"
    wallet = api.get(path).json()[0]["walletAddress"]

    assert len(api.get(path, {"walletAddress": wallet}).json()) == 1
    assert api.get(path, {"walletAddress": "sim_other"}).json() == []


@pytest.mark.usefixtures("seller")
def test_d28_positions_show_the_remaining_part_after_a_part_sale():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    tick("0.002")

    sold = api.post(f"/api/v1/agent-positions/{agent}/{position}/close", {"percent": 25})

    assert sold.status_code == 200, sold.json()
    assert set(sold.json()) >= CLOSE_FIELDS
    assert (sold.json()["inputAmount"], sold.json()["outputAmount"]) == (250, 0.5)
    assert (sold.json()["profitLossSol"], sold.json()["changePercent"]) == (0.25, 100)
    assert (sold.json()["positionClosed"], sold.json()["historicalSwapId"]) == (False, None)
    row = api.get(f"/api/v1/agent-positions/{agent}").json()[0]
    assert (row["takeProfit"]["remainingAmount"], row["takeProfit"]["soldPercent"]) == (750, 25)
    assert row["current"]["valueNative"] == 1.5
    assert row["profitLoss"]["native"] == 0.75


@pytest.mark.usefixtures("seller")
def test_a_full_close_books_the_trade_once():
    api, agent = trader()
    tick("0.001")
    bought = buy(api, agent).json()
    tick("0.0015")
    path = f"/api/v1/agent-positions/{agent}/{bought['positionId']}/close"

    closed = api.post(path, {"reason": "stop_loss"}, **{"Idempotency-Key": "c1"})
    again = api.post(path, {"reason": "stop_loss"}, **{"Idempotency-Key": "c1"})
    gone = api.post(path)

    body = closed.json()
    assert closed.status_code == 200, body
    assert (body["profitLossSol"], body["profitLossUsd"], body["changePercent"]) == (0.5, 100, 50)
    assert body["positionClosed"] is True
    assert (again.status_code, gone.status_code) == (200, 404)
    assert again.content == closed.content
    swaps = api.get("/api/v1/agent-historical-swaps", {"agentId": agent}).json()
    assert len(swaps) == 1
    assert set(swaps[0]) == SWAP_FIELDS
    assert swaps[0]["id"] == body["historicalSwapId"]
    assert swaps[0]["closeReason"] == "manual"
    assert (swaps[0]["amount"], swaps[0]["purchasePrice"], swaps[0]["salePrice"]) == ("1000", "0.001", "0.0015")
    assert (swaps[0]["profitLossSol"], swaps[0]["profitLossUsd"]) == ("0.5", "100")
    assert swaps[0]["changePercent"] == "50"
    assert swaps[0]["purchaseTransactionId"] == bought["transactionId"]
    assert swaps[0]["saleTransactionId"] == body["transactionId"]
    assert api.get(f"/api/v1/agent-historical-swaps/{swaps[0]['id']}").json() == swaps[0]
    assert api.put(f"/api/v1/agent-historical-swaps/{swaps[0]['id']}", {}).json()["code"] == "LEDGER_IMMUTABLE"
    assert check().problems == ()


@pytest.mark.usefixtures("seller")
def test_a_part_by_amount_is_exact_and_bounded():
    api, agent = trader()
    tick("0.001")
    path = f"/api/v1/agent-positions/{agent}/{buy(api, agent).json()['positionId']}/close"

    sold = api.post(path, {"amount": "100.5"})
    refused = [
        api.post(path, body)
        for body in (
            {"amount": "900"},
            {"amount": 0},
            {"amount": "-5"},
            {"percent": 0},
            {"percent": 101},
            {"percent": "half"},
            {"percent": 10, "amount": 10},
            {"reason": "because"},
        )
    ]

    assert sold.json()["inputAmount"] == 100.5
    assert {answer.status_code for answer in refused} == {400}
    assert api.get(f"/api/v1/agent-positions/{agent}").json()[0]["takeProfit"]["remainingAmount"] == 899.5


def test_an_order_that_is_not_final_in_time_is_a_202(monkeypatch):
    monkeypatch.setitem(orders_api.WAIT_SECONDS, "simulation", 0.05)
    api, agent = trader()
    tick("0.001")
    path = f"/api/v1/agent-positions/{agent}/{buy(api, agent).json()['positionId']}/close"

    answer = api.post(path, **{"Idempotency-Key": "slow"})
    waiting = answer.json()
    for order_id in leases.claim(Side.SELL, most=10, at=clock.now()):
        execute(order_id, leases.OWNER)
    later = api.post(path, **{"Idempotency-Key": "slow"})

    assert answer.status_code == 202
    assert set(waiting) == {"orderId", "state"}
    assert waiting["state"] == "planned"
    assert api.get(f"/api/v1/orders/{waiting['orderId']}").json()["state"] == "filled"
    assert (later.status_code, later.json()["orderId"]) == (200, waiting["orderId"])


def test_positions_and_orders_of_somebody_else_do_not_exist():
    api, agent = trader()
    stranger, other_agent = trader("stranger@example.com")
    tick("0.001")
    bought = buy(api, agent).json()

    answers = [
        stranger.post(f"/api/v1/agent-positions/{agent}/{bought['positionId']}/close"),
        stranger.post(f"/api/v1/agent-positions/{other_agent}/{bought['positionId']}/close"),
        stranger.get(f"/api/v1/orders/{bought['orderId']}"),
        stranger.get(f"/api/v1/agent-transactions/{bought['transactionId']}"),
        stranger.get(f"/api/v1/agent-historical-swaps/{bought['positionId']}"),
        buy(stranger, agent),
        deposit(stranger, agent, "1"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 7
    assert Order.objects.count() == 1


def test_executions_tell_who_bought_and_who_did_not():
    api, agent = trader()
    skipped = api.post("/api/v1/agents", {"name": "Picky", "config": {"signals": {"minScore": 5}}}).json()["id"]
    tick("0.001")
    signal = api.post("/api/v1/trading-signals", {"tokenAddress": MINT, "signalType": "X", "signalStrength": 3}).json()[
        "id"
    ]
    fanout.drain()

    rows = {row["agentId"]: row for row in api.get(f"/api/v1/trading-signals/{signal}/executions").json()}

    named = "agentId status reasons orderId transactionId positionId latencyMs stages"
    assert set(rows[agent]) == words(named)
    assert (rows[agent]["status"], rows[agent]["reasons"]) == ("EXECUTED", [])
    transaction = api.get(f"/api/v1/agent-transactions/{rows[agent]['transactionId']}").json()
    assert (transaction["signalId"], transaction["transactionType"]) == (signal, "SWAP")
    assert rows[skipped]["status"] == "SKIPPED"
    assert "strength_below_minimum" in rows[skipped]["reasons"]
    assert rows[agent]["positionId"] == str(Position.objects.get().id)


@pytest.mark.usefixtures("seller")
def test_the_trade_scope_lets_a_key_buy_and_close():
    _, agent = trader()
    user = User.objects.get(email="trader@example.com")
    workspace_id = user.memberships.get().workspace_id
    raw = accounts.api_key_create(user_id=user.id, workspace_id=workspace_id, name="bot", scopes=["trade"]).raw
    bot = Api(raw)
    tick("0.001")

    bought = buy(bot, agent)
    closed = bot.post(f"/api/v1/agent-positions/{agent}/{bought.json()['positionId']}/close")

    assert (bought.status_code, closed.status_code) == (200, 200)
    assert bot.get(f"/api/v1/agent-positions/{agent}").status_code == 403


def test_only_what_cannot_be_traded_is_written_off():
    api, agent = trader()
    tick("0.001")
    path = f"/api/v1/agents/{agent}/positions/{buy(api, agent).json()['positionId']}/write-off"

    refused = api.post(path, {"reason": "gone"})
    unexplained = api.post(path)
    Position.objects.update(untradable_at=clock.now())
    written_off = api.post(path, {"reason": "the pool is empty"})

    assert (refused.status_code, refused.json()["code"]) == (400, "NOT_UNTRADABLE")
    assert unexplained.status_code == 400
    assert (written_off.status_code, written_off.json()["profitLossSol"]) == (200, -1)
    burn = api.get("/api/v1/agent-transactions", {"agentId": agent, "transactionType": "BURN"}).json()
    assert [(row["inputAmount"], row["reason"]) for row in burn] == [("1000", "the pool is empty")]
    assert api.get("/api/v1/agent-historical-swaps", {"agentId": agent}).json()[0]["closeReason"] == "write_off"
    assert check().problems == ()
