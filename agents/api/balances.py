"""`/agent-balances`: what an agent's wallets hold. A balance is the sum of its postings, so nothing here writes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response

from agents import selectors
from agents.api.agents import owned
from agents.api.wallets import open_assignments
from agents.models import Agent
from agents.shapes import BalanceShape, PricedBalanceShape
from nexgent import money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import pagination, query
from nexgent.api.bodies import Body, UuidValue
from nexgent.api.openapi import address, describe, uuid, window
from nexgent.api.shapes import Error
from nexgent.api.wire import stamp, text_or_none
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.ids import key_uuid
from prices import selectors as prices
from wallets.api import immutable

USE = "POST /api/v1/agent-transactions (DEPOSIT, WITHDRAWAL, ADJUSTMENT)"
PLACE = "place"
"""What tells the rows of the list apart; it does not go out."""
LISTING = pagination.Listing(
    keys={"walletAddress": pagination.by_text(PLACE), "tokenAddress": pagination.by_text("tokenAddress")},
    tie=pagination.by_text(PLACE),
    default="walletAddress",
    limit_default=None,
)

_BALANCES = """
SELECT a.wallet_id, w.address, a.asset, coalesce(nullif(t.symbol, ''), 'TOKEN'), coalesce(t.decimals, 0),
       a.balance, a.held, coalesce(last.at, w.created_at)
FROM wallets_account a
JOIN wallets_wallet w ON w.id = a.wallet_id
LEFT JOIN prices_token t ON t.mint = a.asset
LEFT JOIN LATERAL (
    SELECT e.at FROM wallets_posting p JOIN wallets_entry e ON e.id = p.entry_id
    WHERE p.wallet_id = a.wallet_id AND p.asset = a.asset AND p.kind = 'own' ORDER BY p.entry_id DESC LIMIT 1
) last ON true
WHERE a.wallet_id = ANY(%s) AND a.kind = 'own' AND a.balance <> 0
ORDER BY a.wallet_id, a.asset
"""


def balance_id(wallet_id: UUID, asset: str) -> UUID:
    """The stable id of (wallet, asset) on the wire; the row's own key is the pair."""
    return key_uuid(f"balance|{wallet_id}|{asset}")


def balances_wire(agent: Agent, *, address: str | None = None) -> list[dict[str, Any]]:
    """The balances of the agent's wallets (of one address), decimal text."""
    wallets = [row.wallet_id for row in open_assignments(agent) if address in (None, row.wallet.address)]
    if not wallets and address is not None:
        raise NotFound("wallet")
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [wallets])
        rows = cursor.fetchall()
    return [_wire(agent.id, *row) for row in rows]


def _wire(
    agent_id: UUID,
    wallet_id: UUID,
    address: str,
    asset: str,
    symbol: str,
    decimals: int,
    units: Any,
    held: Any,
    at: Any,
) -> dict[str, Any]:
    is_sol = asset == money.SOL_MINT
    places = money.SOL_DECIMALS if is_sol else decimals
    return {
        "id": balance_id(wallet_id, asset),
        "agentId": agent_id,
        "walletAddress": address,
        "tokenAddress": asset,
        "tokenSymbol": "SOL" if is_sol else symbol,
        "balance": money.text(money.tokens(int(units), places)),
        "held": money.text(money.tokens(int(held), places)),
        "lastUpdated": stamp(at),
    }


class OfAgent(Body):
    """Bodies that are refused once it is clear whose agent they name."""

    agent_id: UuidValue


class Balances(Endpoint):
    scopes = {"GET": "balances"}
    roles = {"POST": Role.VIEWER}

    @describe(
        "listBalances",
        "What an agent's wallets hold",
        tag="Ledger",
        answer=list[PricedBalanceShape],
        query=(uuid("agentId").required(), address("walletAddress"), *window(LISTING)),
        refusals=("AGENT_NOT_FOUND", "WALLET_NOT_FOUND"),
    )
    def get(self, request: Request) -> Response:
        agent = owned(request.principal, str(query.uuid_param(request, "agentId")))
        wanted = pagination.read(request, LISTING)
        rows = [
            {**row, PLACE: f"{row['walletAddress']} {row['tokenAddress']}"}
            for row in balances_wire(agent, address=query.text(request, "walletAddress", length_max=44))
        ]
        return pagination.respond(request, wanted, wanted.picked(rows), wire=_priced, total=lambda: len(rows))

    @describe(
        "createBalance",
        "Refused: a balance is the sum of its postings",
        tag="Ledger",
        body=OfAgent,
        example={"agentId": "0190a6a0-0000-7000-8000-000000000001"},
        status=409,
        answer=Error,
        refusals=("AGENT_NOT_FOUND",),
    )
    def post(self, request: Request) -> Response:
        given = request.data.get("agentId") if isinstance(request.data, dict) else None
        if not isinstance(given, str):
            raise InvalidInput({"agentId": "is required"})
        owned(request.principal, given)
        raise immutable(USE)


def _priced(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a list with the newest price of each token in SOL."""
    known = prices.latest([row["tokenAddress"] for row in rows if row["tokenAddress"] != money.SOL_MINT])
    priced = []
    for row in rows:
        tick = known.get(row["tokenAddress"])
        price = "1" if row["tokenAddress"] == money.SOL_MINT else text_or_none(tick.price_sol if tick else None)
        priced.append({name: value for name, value in row.items() if name != PLACE} | {"priceSol": price})
    return priced


class OneBalance(Endpoint):
    scopes = {"GET": "balances"}
    roles = {"PUT": Role.VIEWER, "DELETE": Role.VIEWER}

    @describe("getBalance", "One balance", tag="Ledger", answer=BalanceShape)
    def get(self, request: Request, balance_id: str) -> Response:
        return Response(_found(request.principal, query.uuid_of(balance_id, "id")))

    @describe("updateBalance", "Refused: a balance is the sum of its postings", tag="Ledger", status=409, answer=Error)
    def put(self, request: Request, balance_id: str) -> Response:
        raise self._refusal(request, balance_id)

    @describe("deleteBalance", "Refused: a balance is the sum of its postings", tag="Ledger", status=409, answer=Error)
    def delete(self, request: Request, balance_id: str) -> Response:
        raise self._refusal(request, balance_id)

    def _refusal(self, request: Request, balance_id: str) -> Refusal:
        _found(request.principal, query.uuid_of(balance_id, "id"))
        return immutable(USE)


def _found(principal: Principal, wanted: UUID) -> dict[str, Any]:
    for agent in selectors.visible(principal):
        for row in balances_wire(agent):
            if row["id"] == wanted:
                return row
    raise NotFound("balance")
