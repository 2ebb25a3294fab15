"""The JSON that PostgreSQL writes of ledger entries is what Python would have written, to the byte."""

from datetime import timedelta
from decimal import Decimal

import pytest

from agents.models import Assignment
from nexgent import clock, money
from nexgent.api.rendering import dumps
from nexgent.api.wire import sol_text, stamp
from tests.integration.api_trading import trader
from trading.api.transaction_rows import fetch
from trading.rules.pnl import usd_of
from wallets import services as wallets

pytestmark = pytest.mark.django_db(transaction=True)

CASES = [
    (1, None),
    (5, Decimal(1)),  # half of the last place of USD goes to the even one
    (15, Decimal(1)),
    (25, Decimal(1)),
    (1_000_000_000, Decimal("187.12345678")),
    (120_000_000_500, Decimal("0.123456789012345678901234")),
    (10**18, Decimal(200)),
    (999_999_999, Decimal("1E-8")),
]
AUTHORS = [
    "load",
    'say "hi"',
    "back\\slash",
    "tab\tline\nreturn\rbell\x07\x1f\x7f",
    "naïve 🚀 \u202e",
    "</script>&'",
    "",
    "/",
]


def usd(lamports, sol_usd):
    value = usd_of(lamports, sol_usd)
    return "0" if value is None else money.text(value.quantize(Decimal("0.00000001")))


def test_a_deposit_is_written_as_python_writes_it():
    _, agent_id = trader(sol=None)
    held = Assignment.objects.select_related("wallet").get(agent_id=agent_id)
    begun = clock.now()
    for number, ((lamports, sol_usd), author) in enumerate(zip(CASES, AUTHORS, strict=True)):
        at = begun + timedelta(microseconds=number * 1_499)
        wallets.deposit(wallet_id=held.wallet_id, lamports=lamports, author=author, at=at, sol_usd=sol_usd)

    found = fetch(["a.agent_id = %(agent)s"], {"agent": held.agent_id})

    assert len(found) == len(CASES)
    for row, (lamports, sol_usd), author in zip(reversed(found), CASES, AUTHORS, strict=True):
        expected = {
            "id": row.id,
            "agentId": held.agent_id,
            "walletAddress": held.wallet.address,
            "transactionType": "DEPOSIT",
            "transactionValueUsd": usd(lamports, sol_usd),
            "transactionTime": stamp(row.at),
            "destinationAddress": None,
            "signalId": None,
            "fees": "0",
            "routes": None,
            "inputMint": money.SOL_MINT,
            "inputSymbol": "SOL",
            "inputAmount": sol_text(lamports),
            "inputPrice": "1",
            **dict.fromkeys(("outputMint", "outputSymbol", "outputAmount", "outputPrice", "slippage", "priceImpact")),
            "isDca": False,
            "isTakeProfit": False,
            **dict.fromkeys(("transactionHash", "protocolFeeSol", "networkFeeSol")),
            "createdAt": stamp(row.at),
            "updatedAt": stamp(row.at),
            **dict.fromkeys(("orderId", "positionId", "reason")),
            "author": author or None,
        }
        assert row.wire.encode() == dumps(expected)
