"""`/agent-transactions`: the ledger entries of an agent's wallets, and the few a person may add.

A wallet's entries belong to the agent that was assigned to it at the time. Entries are never edited: the routes that
would are kept and answer 409 LEDGER_IMMUTABLE.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import wallet_of
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency, pagination, query
from nexgent.api.bodies import read
from nexgent.api.openapi import Link, address, choice, describe, flag, integer, moment, text, uuid, window
from nexgent.api.shapes import Error
from nexgent.api.wire import sol_text
from nexgent.errors import InvalidInput, NotFound, Refusal
from prices import selectors as prices
from trading.api.entries import NewTransaction, post_entry
from trading.api.transaction_rows import SEARCHED, Row, count, fetch
from trading.shapes import TransactionShape
from wallets.api import immutable
from wallets.models import EntryKind, Kind, Wallet

USE = "POST /api/v1/agent-transactions with DEPOSIT, WITHDRAWAL or ADJUSTMENT"
LISTING = pagination.Listing(
    keys={"transactionTime": pagination.by_time("e.at"), "createdAt": pagination.by_id("e.id")},
    tie=pagination.by_id("e.id"),
    default="-createdAt",
)


def transaction_wire(row: Row) -> orjson.Fragment:
    """One ledger entry as the reference's transaction: the JSON that came with its row."""
    return orjson.Fragment(row.wire)


def one(principal: Principal, transaction_id: str) -> Row:
    """The caller's transaction by its id or its order's; raises `NotFound`."""
    wanted = query.uuid_of(transaction_id, "id")
    found = fetch(
        ["g.workspace_id = %(workspace)s", "(e.id = %(id)s OR e.order_id = %(id)s)"],
        {"workspace": principal.workspace_id, "id": wanted},
    )
    if not found or not principal.sees(found[0].agent_id):
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
            f"strpos(lower({SEARCHED}), lower(%({{}})s::text)) > 0": ("q", query.text(request, "q")),
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
            total=lambda: count(where, values, joined),
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
            raise _uncovered(refusal, wallet) from refusal

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


def _uncovered(refusal: Refusal, wallet: Wallet) -> Refusal:
    """The refusal with the amounts that clients of the reference look for."""
    told = {
        "currentBalance": sol_text(int(refusal.details["availableUnits"])),
        "requiredAmount": sol_text(int(refusal.details["requiredUnits"])),
        "tokenAddress": money.SOL_MINT,
        "tokenSymbol": "SOL",
        "walletAddress": wallet.address,
    }
    return Refusal(refusal.code, refusal.message, details=told)
