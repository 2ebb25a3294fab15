"""Balances, transactions and closed trades (reference 2.4, 2.5, 2.6): read, and append; never rewritten."""

from tests.contract.cases import ABSENT, Case

AGENT = {"agentId": "{agentId}"}
DEPOSIT = {
    **AGENT,
    "transactionType": "DEPOSIT",
    "transactionValueUsd": 0,
    "transactionTime": "2026-11-21T10:00:00.000Z",
    "inputMint": "{solMint}",
    "inputAmount": "2.5",
}
RESOURCES = (
    ("agent-balances", "balanceId", "BALANCE_NOT_FOUND", {"balance": "1000000"}),
    ("agent-transactions", "transactionId", "TRANSACTION_NOT_FOUND", {"inputAmount": "9"}),
    ("agent-historical-swaps", "swapId", "HISTORICAL_SWAP_NOT_FOUND", {"profitLossSol": 1000}),
)


def _of(resource: str, name: str, code: str, change: dict[str, object]) -> list[Case]:
    """What lists, rows and forbidden writes have in common."""
    one, absent = f"/{resource}/:{name}", {name: ABSENT}
    cases = [
        Case(f"GET /{resource}", 200, query=AGENT, uses=(name,)),
        Case(f"GET /{resource}", 400, "no agent", fields=("agentId",)),
        Case(f"GET /{resource}", 400, "no UUID", query={"agentId": "x"}, fields=("agentId",)),
        Case(f"GET /{resource}", 404, "absent agent", query={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
        Case(f"GET {one}", 200),
    ]
    for method in ("GET", "PUT", "DELETE"):
        body = None if method == "GET" else change
        cases.append(Case(f"{method} {one}", 400, "no UUID", path={name: "x"}, body=body))
        cases.append(Case(f"{method} {one}", 404, path=absent, body=body, code=code))
        if method != "GET":
            written = Case(f"{method} {one}", 409, body=body, code="LEDGER_IMMUTABLE")
            cases += [written, written.as_("stranger", 404, note="of somebody else", code=code)]
    return cases


def _posts(resource: str) -> list[Case]:
    refused = Case(f"POST /{resource}", 409, body={**AGENT, "balance": "-5"}, code="LEDGER_IMMUTABLE")
    return [
        refused,
        Case(f"POST /{resource}", 400, "no agent", body={}, fields=("agentId",)),
        refused.as_("stranger", 404, note="of somebody else", code="AGENT_NOT_FOUND"),
    ]


POST, LIST, SWAPS = "POST /agent-transactions", "GET /agent-transactions", "GET /agent-historical-swaps"
CASES = [
    *(case for resource in RESOURCES for case in _of(*resource)),
    *_posts("agent-balances"),
    *_posts("agent-historical-swaps"),
    Case("GET /agent-balances", 200, "after a trade", query=AGENT, uses=("trade",)),
    Case("GET /agent-balances", 404, "another wallet", query={**AGENT, "walletAddress": "sim_x"}),
    Case(POST, 201, body=DEPOSIT),
    Case(POST, 201, "at a known price", body=DEPOSIT, given=lambda world: world.tick()),
    Case(
        POST,
        201,
        "withdrawal",
        body={**DEPOSIT, "transactionType": "WITHDRAWAL", "destinationAddress": "{mint}"},
        uses=("transactionId",),
    ),
    Case(POST, 201, "adjustment", body={**DEPOSIT, "transactionType": "ADJUSTMENT", "reason": "gift"}),
    Case(POST, 400, "no amount", body={**DEPOSIT, "inputAmount": None}, fields=("inputAmount",)),
    Case(POST, 400, "a negative amount", body={**DEPOSIT, "inputAmount": "-1"}, fields=("inputAmount",)),
    Case(POST, 400, "another mint", body={**DEPOSIT, "inputMint": "{mint}"}, fields=("inputMint",)),
    Case(POST, 400, "no such type", body={**DEPOSIT, "transactionType": "GIFT"}, fields=("transactionType",)),
    Case(POST, 400, "no time", body={**DEPOSIT, "transactionTime": "now"}, fields=("transactionTime",)),
    Case(POST, 400, "too much", body={**DEPOSIT, "transactionType": "WITHDRAWAL"}, code="INSUFFICIENT_BALANCE"),
    Case(POST, 403, "by a trader", body=DEPOSIT, who="trader", code="AUTHORIZATION_ERROR"),
    Case(POST, 404, "absent agent", body={**DEPOSIT, "agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(POST, 404, "another wallet", body={**DEPOSIT, "walletAddress": "sim_x"}, code="WALLET_NOT_FOUND"),
    Case(POST, 409, "a swap", body={**DEPOSIT, "transactionType": "SWAP"}, code="LEDGER_IMMUTABLE"),
    Case(POST, 409, "a burn", body={**DEPOSIT, "transactionType": "BURN"}, code="LEDGER_IMMUTABLE"),
    Case(
        POST,
        422,
        "the key of another body",
        body=DEPOSIT,
        headers={"Idempotency-Key": "one"},
        first=(Case(POST, 201, body={**DEPOSIT, "inputAmount": "1"}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(
        LIST,
        200,
        "of a trade",
        query={**AGENT, "transactionType": "SWAP"},
        uses=("closed",),
    ),
    Case(
        LIST,
        200,
        "with every filter",
        query={
            **AGENT,
            "walletAddress": "{walletAddress}",
            "transactionType": "DEPOSIT",
            "startTime": "2020-01-01T00:00:00Z",
            "endTime": "2099-01-01T00:00:00Z",
            "isDca": "false",
            "isTakeProfit": "false",
            "limit": 1,
            "offset": 0,
        },
        uses=("transactionId",),
    ),
    *(
        Case(LIST, 400, name, query={**AGENT, name: wrong}, fields=(name,))
        for name, wrong in (
            ("transactionType", "GIFT"),
            ("startTime", "x"),
            ("endTime", "x"),
            ("signalId", "x"),
            ("isDca", "maybe"),
            ("isTakeProfit", "maybe"),
            ("limit", 1001),
            ("offset", -1),
        )
    ),
    Case(
        SWAPS,
        200,
        "with every filter",
        query={
            **AGENT,
            "walletAddress": "{walletAddress}",
            "tokenAddress": "{mint}",
            "tokenSymbol": "BONK",
            "startPurchaseTime": "2020-01-01",
            "endPurchaseTime": "2099-01-01",
            "startSaleTime": "2020-01-01",
            "endSaleTime": "2099-01-01",
            "minProfitLossUsd": "-1000",
            "maxProfitLossUsd": "1000",
            "limit": 1,
        },
        uses=("closed",),
    ),
    *(
        Case(SWAPS, 400, name, query={**AGENT, name: wrong}, fields=(name,))
        for name, wrong in (
            ("startPurchaseTime", "x"),
            ("endSaleTime", "x"),
            ("signalId", "x"),
            ("purchaseTransactionId", "x"),
            ("saleTransactionId", "x"),
            ("minProfitLossUsd", "NaN"),
            ("maxProfitLossUsd", "1e9"),
            ("limit", 0),
        )
    ),
]
