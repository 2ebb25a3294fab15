"""`/agent-transactions`: the ledger entries of an agent's wallets, and the few a person may add.

A wallet's entries belong to the agent that was assigned to it at the time. Entries are never edited: the routes that
would are kept and answer 409 LEDGER_IMMUTABLE.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import wallet_of
from nexgent import clock, money, rows
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency, pagination, query
from nexgent.api.bodies import read
from nexgent.api.openapi import Link, address, choice, describe, flag, integer, moment, text, uuid, window
from nexgent.api.shapes import Error
from nexgent.api.wire import sol_text, stamp, text_or_none
from nexgent.errors import InvalidInput, NotFound, Refusal
from prices import selectors as prices
from trading.api.entries import NewTransaction, post_entry
from trading.models import Purpose, Side
from trading.rules.pnl import usd_of
from trading.shapes import TransactionShape
from wallets.api import immutable
from wallets.models import EntryKind, Kind, Wallet

USE = "POST /api/v1/agent-transactions with DEPOSIT, WITHDRAWAL or ADJUSTMENT"
USD_PLACES = Decimal("0.00000001")

_ENTRIES = """
FROM wallets_entry e
JOIN wallets_wallet w ON w.id = e.wallet_id AND w.epoch = e.epoch
JOIN agents_assignment a ON a.wallet_id = e.wallet_id AND e.at >= a.started_at
    AND (a.ended_at IS NULL OR e.at < a.ended_at)
JOIN agents_agent g ON g.id = a.agent_id AND g.archived_at IS NULL
"""
_PAGE = f"""
SELECT e.id, e.kind, e.at, e.order_id, e.reason, e.author, e.destination, e.sol_usd, a.agent_id, w.address {_ENTRIES}
"""
_COLUMNS = """
SELECT e.id, e.kind, e.at, e.order_id, e.reason, e.author, e.destination, e.sol_usd AS sol_usd_posted,
       e.agent_id, e.address,
       o.side, o.purpose, o.signal_id, o.mint, o.position_id,
       f.amount_in, f.amount_out, f.protocol_fee_lamports, f.network_fee_lamports, f.price, f.price_impact, f.sol_usd,
       own.asset, own.amount, coalesce(nullif(t.symbol, ''), 'TOKEN') AS symbol, coalesce(t.decimals, 0) AS decimals
"""
_JOINED = """
LEFT JOIN trading_order o ON o.id = e.order_id
LEFT JOIN trading_fill f ON f.order_id = e.order_id
LEFT JOIN LATERAL (
    SELECT asset, amount FROM wallets_posting WHERE entry_id = e.id AND kind = 'own' ORDER BY line LIMIT 1
) own ON true
LEFT JOIN prices_token t ON t.mint = coalesce(o.mint, own.asset)
"""
_SEARCHED = "concat_ws(' ', t.symbol, t.mint, e.reason, e.author)"
LISTING = pagination.Listing(
    keys={"transactionTime": pagination.by_time("e.at"), "createdAt": pagination.by_id("e.id")},
    tie=pagination.by_id("e.id"),
    default="-createdAt",
)


_NO_OUTPUT = {f"output{name}": None for name in ("Mint", "Symbol", "Amount", "Price")}


def _input(mint: str, symbol: str, amount: str, price: str | None) -> dict[str, Any]:
    return {"inputMint": mint, "inputSymbol": symbol, "inputAmount": amount, "inputPrice": price}


def _output(mint: str, symbol: str, amount: str, price: str | None) -> dict[str, Any]:
    return {"outputMint": mint, "outputSymbol": symbol, "outputAmount": amount, "outputPrice": price}


def _legs(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if row["amount_in"] is None:
        return _single_leg(row), _NO_OUTPUT
    is_buy = row["side"] == Side.BUY
    lamports, units = (row["amount_in"], row["amount_out"]) if is_buy else (row["amount_out"], row["amount_in"])
    sol = (money.SOL_MINT, "SOL", sol_text(int(lamports)), "1")
    token = (row["mint"], row["symbol"], money.units_text(int(units), row["decimals"]), text_or_none(row["price"]))
    return (_input(*sol), _output(*token)) if is_buy else (_input(*token), _output(*sol))


def _single_leg(row: dict[str, Any]) -> dict[str, Any]:
    units = int(row["amount"] or 0)
    if row["kind"] != EntryKind.ADJUSTMENT:
        units = abs(units)
    if row["asset"] == money.SOL_MINT:
        return _input(money.SOL_MINT, "SOL", sol_text(units), "1")
    return _input(row["asset"] or "", row["symbol"], money.units_text(units, row["decimals"]), None)


def _value_usd(row: dict[str, Any]) -> str:
    """USD of the SOL side at the price of its time; "0" where none was known, as the reference's type wants text."""
    if row["amount_in"] is not None:
        lamports = row["amount_in"] if row["side"] == Side.BUY else row["amount_out"]
        usd = usd_of(int(lamports), row["sol_usd"])
    else:
        lamports = abs(int(row["amount"] or 0)) if row["asset"] == money.SOL_MINT else 0
        usd = usd_of(lamports, row["sol_usd_posted"])
    return "0" if usd is None else money.text(usd.quantize(USD_PLACES))


def transaction_wire(row: dict[str, Any]) -> dict[str, Any]:
    """One ledger entry as the reference's transaction; decimals as text."""
    given, taken = _legs(row)
    at = stamp(row["at"])
    return {
        "id": row["id"],
        "agentId": row["agent_id"],
        "walletAddress": row["address"],
        "transactionType": row["kind"],
        "transactionValueUsd": _value_usd(row),
        "transactionTime": at,
        "destinationAddress": row["destination"] or None,
        "signalId": row["signal_id"],
        "fees": "0",
        "routes": None,
        **given,
        **taken,
        "slippage": None,
        "priceImpact": text_or_none(row["price_impact"]),
        "isDca": row["purpose"] == Purpose.DCA,
        "isTakeProfit": row["purpose"] == Purpose.TAKE_PROFIT,
        "transactionHash": None,
        "protocolFeeSol": _fee(row["protocol_fee_lamports"]),
        "networkFeeSol": _fee(row["network_fee_lamports"]),
        "createdAt": at,
        "updatedAt": at,
        "orderId": row["order_id"],
        "positionId": row["position_id"],
        "reason": row["reason"] or None,
        "author": row["author"] or None,
    }


def _fee(lamports: Any) -> str | None:
    return None if lamports is None else sol_text(int(lamports))


def fetch(
    where: list[str],
    values: dict[str, Any],
    *,
    joined: Sequence[str] = (),
    window: pagination.Window | None = None,
) -> list[dict[str, Any]]:
    """Rows of the ledger, newest first unless a window says otherwise.

    `where` are fixed conditions on entries, wallets and agents, `joined` on what hangs on an entry: without any of
    these only the entries of the page are joined.
    """
    tail, order = " ORDER BY e.id DESC", " ORDER BY e.id DESC"
    if window is not None:
        where, values = [*where, *window.condition()], {**values, **window.parameters()}
        tail, order = window.tail(), window.order()
    page = f"{_PAGE} WHERE {' AND '.join(where)}"
    last = f"WHERE {' AND '.join(joined)} {tail}" if joined else order
    sql = f"{_COLUMNS} FROM ({page} {'' if joined else tail}) e {_JOINED} {last}"
    with rows.execute(sql, values, is_answer_binary=True) as cursor:
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _count(where: list[str], values: dict[str, Any], joined: Sequence[str]) -> int:
    sql = f"SELECT count(*) FROM ({_PAGE} WHERE {' AND '.join(where)}) e"  # noqa: S608
    with rows.execute(f"{sql} {_JOINED} WHERE {' AND '.join(joined)}" if joined else sql, values) as cursor:
        return int(cursor.fetchall()[0][0])


def one(principal: Principal, transaction_id: str) -> dict[str, Any]:
    """The caller's transaction by its id or its order's; raises `NotFound`."""
    wanted = query.uuid_of(transaction_id, "id")
    found = fetch(
        ["g.workspace_id = %(workspace)s", "(e.id = %(id)s OR e.order_id = %(id)s)"],
        {"workspace": principal.workspace_id, "id": wanted},
    )
    if not found or not principal.sees(found[0]["agent_id"]):
        raise NotFound("transaction")
    return found[0]


def _conditions(filters: dict[str, tuple[str, Any]], values: dict[str, Any]) -> list[str]:
    """The conditions that were asked for; their parameters are added to `values`."""
    asked = {condition: pair for condition, pair in filters.items() if pair[1] is not None}
    values.update(asked.values())
    return [condition.format(name) for condition, (name, _) in asked.items()]


class Transactions(Endpoint):
    scopes = {"GET": "transactions"}
    roles = {"GET": Role.AUDITOR, "POST": Role.OWNER}
    signal_exists: ClassVar[Callable[[UUID, int], bool] | None] = None
    """Whether a workspace has a signal; given by the layer that knows signals."""

    @describe(
        "listTransactions",
        "Ledger entries of an agent, newest first",
        tag="Ledger",
        answer=list[TransactionShape],
        refusals=("AGENT_NOT_FOUND",),
        query=(
            uuid("agentId").required(),
            address("walletAddress"),
            choice("transactionType", EntryKind.values),
            moment("startTime"),
            moment("endTime"),
            integer("signalId"),
            flag("isDca"),
            flag("isTakeProfit"),
            text("q", "Part of token, reason or author."),
            *window(LISTING),
        ),
    )
    def get(self, request: Request) -> Response:
        agent_id, principal = query.uuid_param(request, "agentId"), request.principal
        values = {"agent": agent_id, "workspace": principal.workspace_id}
        filters = {
            "w.address = %({})s": ("walletAddress", query.text(request, "walletAddress")),
            "e.kind = %({})s": ("transactionType", query.choice(request, "transactionType", EntryKind.values)),
            "e.at >= %({})s": ("startTime", query.moment(request, "startTime")),
            "e.at <= %({})s": ("endTime", query.moment(request, "endTime")),
        }
        of_joined = {
            "o.signal_id = %({})s": ("signalId", query.integer(request, "signalId")),
            "(o.purpose IS NOT DISTINCT FROM 1) = %({})s": ("isDca", query.flag(request, "isDca")),
            "(o.purpose IS NOT DISTINCT FROM 3) = %({})s": ("isTakeProfit", query.flag(request, "isTakeProfit")),
            f"strpos(lower({_SEARCHED}), lower(%({{}})s::text)) > 0": ("q", query.text(request, "q")),
        }
        where = ["a.agent_id = %(agent)s", "g.workspace_id = %(workspace)s", *_conditions(filters, values)]
        joined = _conditions(of_joined, values)
        window = pagination.read(request, LISTING)
        found = fetch(where, values, joined=joined, window=window) if principal.sees(agent_id) else []
        if not found:  # rows say that the agent is the caller's; without any it has to be asked
            owned(principal, str(agent_id))
        return pagination.respond(
            request,
            window,
            found,
            wire=lambda page: [transaction_wire(row) for row in page],
            total=lambda: _count(where, values, joined),
        )

    @describe(
        "createTransaction",
        "Deposit, withdraw or correct (simulation)",
        tag="Ledger",
        body=NewTransaction,
        answer=TransactionShape,
        status=201,
        idempotent=True,
        refusals=("AGENT_NOT_FOUND", "WALLET_NOT_FOUND", "LEDGER_IMMUTABLE", "INSUFFICIENT_BALANCE"),
        example={"agentId": "0190a6a0-0000-7000-8000-000000000001", "transactionType": "DEPOSIT", "outputAmount": "10"},
        links={"Transaction": Link("getTransaction", {"transactionId": "$response.body#/id"})},
    )
    def post(self, request: Request) -> Response:
        body = read(NewTransaction, request.data)
        agent = owned(request.principal, str(body.agent_id))
        if body.transaction_type not in EntryKind.values:
            raise InvalidInput({"transactionType": f"must be one of {', '.join(EntryKind.values)}"})
        if body.transaction_type in (EntryKind.SWAP, EntryKind.BURN):
            raise immutable("POST /api/v1/trades/execute, POST /api/v1/agent-positions/:agentId/:positionId/close")
        wallet = wallet_of(agent, body.wallet_address)
        if wallet.kind != Kind.SIMULATION:
            raise immutable("a transfer on the chain: the balance of a live wallet follows it")
        if body.signal_id is not None:
            self._check_signal(request.principal, body.signal_id)
        sol_usd = prices.sol_usd(clock.now())
        try:
            return idempotency.once(
                request, lambda: _post(request.principal, body, wallet, agent_id=agent.id, sol_usd=sol_usd)
            )
        except Refusal as refusal:
            if refusal.code != "INSUFFICIENT_BALANCE":
                raise
            raise _uncovered(refusal) from refusal

    def _check_signal(self, principal: Principal, signal_id: int) -> None:
        known: Any = self.signal_exists
        if known is not None and not known(principal.workspace_id, signal_id):
            raise NotFound("signal")


class OneTransaction(Endpoint):
    scopes = {"GET": "transactions"}
    roles = {"GET": Role.AUDITOR, "PUT": Role.VIEWER, "DELETE": Role.VIEWER}

    @describe("getTransaction", "One ledger entry", tag="Ledger", answer=TransactionShape)
    def get(self, request: Request, transaction_id: str) -> Response:
        return Response(transaction_wire(one(request.principal, transaction_id)))

    @describe("updateTransaction", "Refused: entries are never edited", tag="Ledger", status=409, answer=Error)
    def put(self, request: Request, transaction_id: str) -> Response:
        raise self._refusal(request, transaction_id)

    @describe("deleteTransaction", "Refused: entries are never deleted", tag="Ledger", status=409, answer=Error)
    def delete(self, request: Request, transaction_id: str) -> Response:
        raise self._refusal(request, transaction_id)

    def _refusal(self, request: Request, transaction_id: str) -> Refusal:
        one(request.principal, transaction_id)
        return immutable(USE)


def _post(
    principal: Principal, body: NewTransaction, wallet: Wallet, *, agent_id: UUID, sol_usd: Decimal | None
) -> Response:
    entry = post_entry(principal, body, wallet, agent_id=agent_id, sol_usd=sol_usd)
    row = fetch(["a.agent_id = %(agent)s", "e.id = %(id)s"], {"agent": agent_id, "id": entry.id})[0]
    return Response(transaction_wire(row), status=201)


def _uncovered(refusal: Refusal) -> Refusal:
    """The refusal with the amounts that clients of the reference look for."""
    told = {
        "currentBalance": sol_text(int(refusal.details["availableUnits"])),
        "requiredAmount": sol_text(int(refusal.details["requiredUnits"])),
        "tokenAddress": money.SOL_MINT,
        "tokenSymbol": "SOL",
    }
    return Refusal(refusal.code, refusal.message, details={**refusal.details, **told})
