"""`/wallets/agent/:id`: the wallets an agent trades from, and those it could."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.models import Agent, Assignment
from agents.shapes import AgentWalletsShape
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp
from nexgent.errors import NotFound
from wallets.models import Kind, Wallet


def open_assignments(agent: Agent) -> list[Assignment]:
    """The agent's assignments of now with their wallets, oldest first."""
    return list(Assignment.objects.filter(agent=agent, ended_at=None).select_related("wallet").order_by("id"))


def wallet_of(agent: Agent, address: str | None) -> Wallet:
    """The agent's wallet with this address; without one, that of its current mode. Raises `NotFound`."""
    for assignment in open_assignments(agent):
        if assignment.wallet.address == address or (address is None and assignment.mode == agent.mode):
            return assignment.wallet
    raise NotFound("wallet")


def wallet_wire(assignment: Assignment) -> dict[str, Any]:
    wallet = assignment.wallet
    return {
        "walletAddress": wallet.address,
        "walletType": assignment.mode,
        "isAvailable": True,
        "createdAt": stamp(wallet.created_at),
        "updatedAt": stamp(wallet.updated_at),
    }


class AgentWallets(Endpoint):
    @describe("listAgentWallets", "The wallets an agent trades from", tag="Wallets", answer=AgentWalletsShape)
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        assigned = open_assignments(agent)
        mine = {assignment.wallet_id for assignment in assigned}
        available = Wallet.objects.filter(workspace_id=agent.workspace_id, kind=Kind.LIVE).order_by("id")
        return Response(
            {
                "agentWallets": [wallet_wire(assignment) for assignment in assigned],
                "availableWallets": [
                    {"walletAddress": wallet.address, "isAssigned": wallet.id in mine} for wallet in available
                ],
            }
        )
