"""Money over REST: deposits and other entries, balances, transactions, closed trades, performance."""

import pytest

from nexgent.money import SOL_MINT
from tests.integration.api_trading import (  # noqa: F401
    ABSENT,
    MINT,
    TRANSACTION_FIELDS,
    buy,
    deposit,
    inline_prices,
    seller,
    sol_of,
    tick,
    trader,
)
from tests.racing import together
from trading.books import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def test_a_simulated_deposit_is_a_ledger_entry_and_a_balance():
    api, agent = trader(sol=None)

    answer = deposit(api, agent, "2.5")

    row = answer.json()
    assert answer.status_code == 201
    assert set(row) >= TRANSACTION_FIELDS
    assert (row["transactionType"], row["inputMint"], row["inputAmount"]) == ("DEPOSIT", SOL_MINT, "2.5")
    assert row["transactionValueUsd"] == "0"
    assert api.get(f"/api/v1/agent-transactions/{row['id']}").json() == row
    assert api.get("/api/v1/agent-transactions", {"agentId": agent}).json() == [row]
    balance = sol_of(api, agent)
    assert set(balance) >= {
        "id",
        "agentId",
        "walletAddress",
        "tokenAddress",
        "tokenSymbol",
        "balance",
        "lastUpdated",
        "priceSol",
    }
    assert (balance["balance"], balance["priceSol"]) == ("2.5", "1")
    assert api.get(f"/api/v1/agent-balances/{balance['id']}").json()["balance"] == "2.5"
    assert check().problems == ()


def test_withdrawal_and_adjustment_are_entries_too():
    api, agent = trader(sol="3")

    withdrawn = deposit(api, agent, "1", kind="WITHDRAWAL")
    adjusted = deposit(api, agent, "-0.5", kind="ADJUSTMENT", reason="fee of the exchange")
    unexplained = deposit(api, agent, "-0.5", kind="ADJUSTMENT")
    too_much = deposit(api, agent, "100", kind="WITHDRAWAL")

    assert (withdrawn.status_code, adjusted.status_code) == (201, 201)
    assert adjusted.json()["reason"] == "fee of the exchange"
    assert unexplained.status_code == 400
    assert (too_much.status_code, too_much.json()["code"]) == (400, "INSUFFICIENT_BALANCE")
    assert too_much.json()["details"] == {
        "currentBalance": "1.5",
        "requiredAmount": "100",
        "tokenAddress": SOL_MINT,
        "tokenSymbol": "SOL",
        "walletAddress": sol_of(api, agent)["walletAddress"],
    }
    assert sol_of(api, agent)["balance"] == "1.5"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"inputAmount": "-1"}, "inputAmount"),
        ({"inputAmount": 0}, "inputAmount"),
        ({"inputAmount": "abc"}, "inputAmount"),
        ({"inputAmount": "1e5"}, "inputAmount"),
        ({"inputAmount": "NaN"}, "inputAmount"),
        ({"inputAmount": None}, "inputAmount"),
        ({"inputAmount": True}, "inputAmount"),
        ({"inputAmount": [1]}, "inputAmount"),
        ({"inputAmount": "9" * 60}, "inputAmount"),
        ({"inputAmount": "1000000000001"}, "inputAmount"),
        ({"inputAmount": "0.0000000001"}, "inputAmount"),
        ({"inputMint": MINT}, "inputMint"),
        ({"transactionType": "GIFT"}, "transactionType"),
        ({"transactionType": None}, "transactionType"),
        ({"transactionTime": "yesterday"}, "transactionTime"),
        ({"transactionValueUsd": -1}, "transactionValueUsd"),
        ({"agentId": "x"}, "agentId"),
    ],
)
def test_d25_a_wrong_deposit_names_its_field_and_moves_nothing(change, field):
    api, agent = trader(sol="1")

    answer = deposit(api, agent, "1", **change)

    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["details"]["errors"]]
    assert sol_of(api, agent)["balance"] == "1"


def test_a_deposit_happens_once_per_idempotency_key_even_at_once():
    api, agent = trader(sol=None)
    answers = together([lambda: deposit(api, agent, "1", **{"Idempotency-Key": "d1"})] * 6)
    again = deposit(api, agent, "1", **{"Idempotency-Key": "d1"})
    other = deposit(api, agent, "2", **{"Idempotency-Key": "d1"})

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert other.status_code == 422
    assert sol_of(api, agent)["balance"] == "1"


def test_d25_no_client_writes_balances_entries_or_closed_trades():
    api, agent = trader()
    stranger, _ = trader("stranger@example.com")
    entry = api.get("/api/v1/agent-transactions", {"agentId": agent}).json()[0]["id"]
    balance = sol_of(api, agent)["id"]
    writes = [
        ("post", "/api/v1/agent-balances", {"agentId": agent, "balance": "-5"}),
        ("put", f"/api/v1/agent-balances/{balance}", {"balance": "1000000"}),
        ("delete", f"/api/v1/agent-balances/{balance}", None),
        ("put", f"/api/v1/agent-transactions/{entry}", {"inputAmount": "9"}),
        ("delete", f"/api/v1/agent-transactions/{entry}", None),
        ("post", "/api/v1/agent-transactions", {"agentId": agent, "transactionType": "SWAP"}),
        ("post", "/api/v1/agent-transactions", {"agentId": agent, "transactionType": "BURN"}),
        ("post", "/api/v1/agent-historical-swaps", {"agentId": agent, "profitLossSol": 1000}),
    ]

    def send(client, method, path, body):
        return getattr(client, method)(path, *(() if body is None else (body,)))

    mine = [send(api, *write) for write in writes]
    foreign = [send(stranger, *write) for write in writes]

    assert [(answer.status_code, answer.json()["code"]) for answer in mine] == [(409, "LEDGER_IMMUTABLE")] * 8
    assert all(answer.json()["details"]["use"] for answer in mine)
    assert [answer.status_code for answer in foreign] == [404] * 8
    assert sol_of(api, agent)["balance"] == "10"
    assert check().problems == ()


@pytest.mark.usefixtures("seller")
def test_filters_of_transactions_and_closed_trades():
    api, agent = trader()
    tick("0.001")
    bought = buy(api, agent).json()
    api.post(f"/api/v1/agent-positions/{agent}/{bought['positionId']}/close")

    def count(path, **query):
        return len(api.get(f"/api/v1/{path}", {"agentId": agent, **query}).json())

    assert count("agent-transactions") == 3
    assert count("agent-transactions", transactionType="SWAP") == 2
    assert count("agent-transactions", transactionType="DEPOSIT") == 1
    assert count("agent-transactions", isTakeProfit="true") == 0
    assert count("agent-transactions", isDca="false") == 3
    assert count("agent-transactions", limit=2, offset=2) == 1
    assert count("agent-transactions", startTime="2099-01-01T00:00:00Z") == 0
    assert count("agent-transactions", walletAddress="sim_other") == 0
    assert count("agent-historical-swaps") == 1
    assert count("agent-historical-swaps", tokenAddress=MINT, tokenSymbol="BONK") == 1
    assert count("agent-historical-swaps", purchaseTransactionId=bought["transactionId"]) == 1
    assert count("agent-historical-swaps", minProfitLossUsd="-0.5", maxProfitLossUsd="0.5") == 1
    assert count("agent-historical-swaps", minProfitLossUsd="1") == 0
    assert count("agent-historical-swaps", endSaleTime="2020-01-01") == 0
    for query in ({"transactionType": "GIFT"}, {"isDca": "maybe"}, {"limit": "0"}, {"startTime": "x"}):
        assert api.get("/api/v1/agent-transactions", {"agentId": agent, **query}).status_code == 400
    for query in ({"minProfitLossUsd": "NaN"}, {"signalId": "x"}, {"saleTransactionId": "x"}):
        assert api.get("/api/v1/agent-historical-swaps", {"agentId": agent, **query}).status_code == 400
    assert api.get("/api/v1/agent-transactions").status_code == 400
    assert api.get("/api/v1/agent-transactions/not-a-uuid").status_code == 400
    assert api.get(f"/api/v1/agent-transactions/{ABSENT}").status_code == 404


@pytest.mark.usefixtures("seller")
def test_performance_and_ladder_summary():
    api, agent = trader()
    tick("0.001")
    bought = buy(api, agent).json()
    tick("0.0015")
    open_now = api.get(f"/api/v1/agents/{agent}/performance").json()
    api.post(f"/api/v1/agent-positions/{agent}/{bought['positionId']}/close")
    closed = api.get(f"/api/v1/agents/{agent}/performance", {"timeframe": "24h"}).json()
    summary = api.get(f"/api/v1/agent-positions/{agent}/take-profit-summary", {"includePositions": "true"}).json()

    assert set(open_now) >= {
        "portfolioBalanceSol",
        "totalProfitLossSol",
        "realizedProfitLossSol",
        "unrealizedProfitLossSol",
        "averageReturn",
        "winRate",
        "totalClosedTrades",
        "totalOpenPositions",
    }
    assert (open_now["portfolioBalanceSol"], open_now["unrealizedProfitLossSol"]) == (10.5, 0.5)
    assert (closed["portfolioBalanceSol"], closed["realizedProfitLossSol"]) == (10.5, 0.5)
    assert (closed["winRate"], closed["averageReturn"], closed["totalClosedTrades"]) == (100, 50, 1)
    assert summary == {
        "totalPositions": 0,
        "positionsWithTakeProfitHit": 0,
        "activeMoonBags": 0,
        "totalLevelsHit": 0,
        "positions": [],
    }
    assert api.get(f"/api/v1/agents/{agent}/performance", {"timeframe": "1y"}).status_code == 400
    assert api.get(f"/api/v1/agents/{agent}/performance", {"walletAddress": "sim_other"}).status_code == 404


def test_sol_in_usd_has_no_default():
    api, _ = trader(sol=None)

    before = api.get("/api/v1/price-feeds/sol-usd").json()
    tick("0.001")
    after = api.get("/api/v1/price-feeds/sol-usd").json()

    assert before == {"price": None, "lastUpdated": None, "isStale": True, "source": None}
    assert (after["price"], after["isStale"], after["source"]) == ("200.00000000", False, "test")
