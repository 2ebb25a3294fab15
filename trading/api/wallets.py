"""`/wallets/…`: give an agent another wallet, take one away, empty a simulated one, look for deposits to a live one."""

import time
from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import selectors as agents
from agents.api.agents import owned
from agents.models import Assignment, Mode
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency
from nexgent.api.bodies import Body, Trimmed, UuidValue, read
from nexgent.api.openapi import address, describe
from nexgent.api.throttling import WALLETS
from nexgent.api.wire import sol_text
from nexgent.errors import InvalidInput, NotFound, Refusal
from trading import deposits, lifecycle
from trading.wallet_shapes import AssignedShape, DepositCheckShape, EndedShape
from wallets.models import Kind

ADDRESS = (address("walletAddress"),)


class AssignBody(Body):
    agent_id: UuidValue
    wallet_address: Trimmed = Field(min_length=1, max_length=44, pattern=r"^[A-Za-z0-9_]+$")
    wallet_type: str = Field(json_schema_extra={"enum": Mode.values})


class ConfirmBody(Body):
    confirm: bool = Field(json_schema_extra={"const": True})


class CheckBody(Body):
    agent_id: UuidValue


def assigned(principal: Principal, wallet_address: str) -> Assignment:
    """The open assignment of a wallet to an agent that the caller sees. Raises NotFound."""
    mine = agents.visible(principal)
    rows = Assignment.objects.filter(wallet__address=wallet_address, ended_at=None, agent__in=mine)
    found = rows.select_related("wallet").first()
    if found is None:
        raise NotFound("wallet")
    return found


def confirmed(request: Request) -> None:
    """Raises InvalidInput unless the body says `confirm: true`."""
    if not read(ConfirmBody, request.data).confirm:
        raise InvalidInput({"confirm": "must be true"})


class Assign(Endpoint):
    """201 when the agent had no wallet of this type, 200 when it has now another, or this one already."""

    roles = {"POST": Role.OWNER}
    throttles = {"POST": (WALLETS,)}

    @describe(
        "assignWallet",
        "Let an agent trade from a wallet",
        tag="Wallets",
        body=AssignBody,
        example={
            "agentId": "0190a6a0-0000-7000-8000-000000000001",
            "walletAddress": "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
            "walletType": "live",
        },
        answer=AssignedShape,
        status=201,
        also={200: AssignedShape},
        refusals=("AGENT_NOT_FOUND", "WALLET_NOT_FOUND", "WALLET_IN_USE", "OPEN_POSITIONS"),
    )
    def post(self, request: Request) -> Response:
        body = read(AssignBody, request.data)
        if body.wallet_type not in Mode.values:
            raise InvalidInput({"walletType": f"must be one of {', '.join(Mode.values)}"})
        agent = owned(request.principal, str(body.agent_id))
        had = Assignment.objects.filter(agent=agent, mode=body.wallet_type, ended_at=None).exists()
        done = lifecycle.wallet_assign(agent_id=agent.id, mode=body.wallet_type, address=body.wallet_address)
        answer = {
            "success": True,
            "walletAddress": body.wallet_address,
            "walletType": done.assignment.mode,
            "message": "Wallet replaced." if done.is_replaced else "Wallet assigned.",
        }
        return Response(answer, status=200 if had else 201)


class Reset(Endpoint):
    """Sells what a simulated wallet holds, empties it and begins its next epoch. Waits for the sales."""

    roles = {"POST": Role.OWNER}
    throttles = {"POST": (WALLETS,)}

    @describe(
        "resetWallet",
        "Empty a simulated wallet and begin anew",
        tag="Wallets",
        path=ADDRESS,
        body=ConfirmBody,
        answer=EndedShape,
        refusals=("WALLET_NOT_FOUND", "LIVE_WALLET", "OPEN_POSITIONS", "RESET_IN_PROGRESS"),
        example={"confirm": True},
        idempotent=True,
    )
    def post(self, request: Request, wallet_address: str) -> Response:
        confirmed(request)
        found = assigned(request.principal, wallet_address)
        return idempotency.awaited(request, lambda: self._reset(request, wallet_address, found))

    def _reset(self, request: Request, wallet_address: str, found: Assignment) -> Response:
        begun = time.monotonic()
        author = request.principal.user.email[:80]
        ended = lifecycle.wallet_reset(agent_id=found.agent_id, wallet_id=found.wallet_id, author=author)
        deleted = {
            "positions": ended.positions,
            "historicalSwaps": ended.closed_positions,
            "balances": ended.balances,
            "transactions": ended.entries,
        }
        return Response(_ended(wallet_address, "Wallet reset.", deleted, begun))


class Unassign(Endpoint):
    """Ends the period of a live wallet. Its history stays with its agent, so nothing is deleted."""

    roles = {"POST": Role.OWNER}
    throttles = {"POST": (WALLETS,)}

    @describe(
        "unassignWallet",
        "Take a live wallet from its agent",
        tag="Wallets",
        path=ADDRESS,
        body=ConfirmBody,
        answer=EndedShape,
        refusals=("WALLET_NOT_FOUND", "SIMULATION_WALLET", "OPEN_POSITIONS"),
        example={"confirm": True},
    )
    def post(self, request: Request, wallet_address: str) -> Response:
        confirmed(request)
        begun = time.monotonic()
        found = assigned(request.principal, wallet_address)
        if found.wallet.kind != Kind.LIVE:
            raise Refusal("SIMULATION_WALLET", "A simulated wallet stays with its agent; it can be reset or replaced.")
        lifecycle.unassign(agent_id=found.agent_id, wallet_id=found.wallet_id)
        nothing = {"positions": 0, "historicalSwaps": 0, "balances": 0, "transactions": 0}
        return Response(_ended(wallet_address, "Wallet unassigned.", nothing, begun))


class CheckDeposits(Endpoint):
    """Compares the chain's SOL balance with the ledger's and books what is more as a deposit."""

    roles = {"POST": Role.OWNER}
    throttles = {"POST": (WALLETS,)}

    @describe(
        "checkDeposits",
        "Book what arrived at a live wallet",
        tag="Wallets",
        path=ADDRESS,
        body=CheckBody,
        example={"agentId": "0190a6a0-0000-7000-8000-000000000001"},
        answer=DepositCheckShape,
        idempotent=True,
        refusals=("WALLET_NOT_FOUND", "SIMULATION_WALLET", "ORDER_IN_PROGRESS", "BALANCE_CHANGED", "CHAIN_UNAVAILABLE"),
    )
    def post(self, request: Request, wallet_address: str) -> Response:
        body = read(CheckBody, request.data)
        agent = owned(request.principal, str(body.agent_id))
        found = assigned(request.principal, wallet_address)
        if found.agent_id != agent.id:
            raise NotFound("wallet")
        author = request.principal.user.email[:80]

        def check() -> Response:
            return Response(_checked(deposits.check(agent=agent, wallet=found.wallet, author=author)))

        return idempotency.awaited(request, check)


def _ended(wallet_address: str, message: str, deleted: dict[str, int], begun: float) -> dict[str, Any]:
    return {
        "success": True,
        "message": message,
        "walletAddress": wallet_address,
        "deleted": deleted,
        "duration": round((time.monotonic() - begun) * 1000),
    }


def _checked(seen: deposits.Check) -> dict[str, Any]:
    is_new = seen.entry_id is not None
    return {
        "success": True,
        "depositDetected": is_new,
        "previousBalance": sol_text(seen.previous),
        "onChainBalance": sol_text(seen.on_chain),
        "depositAmount": sol_text(seen.deposit),
        "transactionId": seen.entry_id,
        "message": "Deposit booked." if is_new else "Nothing arrived that the ledger does not know.",
    }
