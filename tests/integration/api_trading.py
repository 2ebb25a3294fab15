"""What the API tests of money and trading share: an agent with funds, ticks, deposits, buys, an exits process."""

from decimal import Decimal

import pytest
from django.conf import settings

from nexgent import clock
from nexgent.money import SOL_MINT
from prices import services as prices
from prices.records import PriceTick
from tests.executing import executing
from tests.integration.api_client import signed_in

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
ABSENT = "018f0000-0000-7000-8000-000000000009"


def words(text):
    return set(text.split())


TRANSACTION_FIELDS = words(
    """id agentId walletAddress transactionType transactionValueUsd transactionTime destinationAddress signalId fees
    routes inputMint inputSymbol inputAmount inputPrice outputMint outputSymbol outputAmount outputPrice slippage
    priceImpact isDca isTakeProfit transactionHash protocolFeeSol networkFeeSol createdAt updatedAt"""
)
SWAP_FIELDS = words(
    """id agentId walletAddress tokenAddress tokenSymbol amount purchasePrice salePrice changePercent profitLossUsd
    profitLossSol purchaseTime saleTime purchaseTransactionId saleTransactionId signalId closeReason createdAt"""
)
CLOSE_FIELDS = words(
    """success transactionId historicalSwapId positionId inputAmount outputAmount salePrice profitLossSol profitLossUsd
    changePercent transactionHash"""
)


@pytest.fixture
def inline_prices():
    prices.write_prices("inline")
    yield
    prices.write_prices(settings.PRICES_WRITER)


@pytest.fixture
def seller():
    """Sells what is planned, as an exits process does."""
    with executing():
        yield


def tick(price, mint=MINT, usd=None):
    prices.publish(
        [
            PriceTick(SOL_MINT, Decimal(1), clock.now(), "test", price_usd=Decimal(200)),
            PriceTick(mint, Decimal(price), clock.now(), "test", price_usd=usd, liquidity_usd=Decimal(100_000)),
        ]
    )


def trader(email="trader@example.com", sol="10"):
    api = signed_in(email)
    agent = api.post("/api/v1/agents", {"name": "Momentum", "profile": "ideal"}).json()["id"]
    if sol:
        assert deposit(api, agent, sol).status_code == 201
    return api, agent


def deposit(api, agent, amount, kind="DEPOSIT", **extra):
    body = {
        "agentId": agent,
        "transactionType": kind,
        "transactionValueUsd": 0,
        "transactionTime": "2026-11-21T10:00:00.000Z",
        "inputMint": SOL_MINT,
        "inputAmount": amount,
    }
    headers = {name: extra.pop(name) for name in list(extra) if name == "Idempotency-Key"}
    return api.post("/api/v1/agent-transactions", {**body, **extra}, **headers)


def buy(api, agent, size="1", **extra):
    headers = {name: extra.pop(name) for name in list(extra) if name == "Idempotency-Key"}
    body = {"agentId": agent, "tokenAddress": MINT, "tokenSymbol": "BONK", "positionSize": size, **extra}
    return api.post("/api/v1/trades/execute", body, **headers)


def sol_of(api, agent):
    return next(r for r in api.get("/api/v1/agent-balances", {"agentId": agent}).json() if r["tokenSymbol"] == "SOL")
