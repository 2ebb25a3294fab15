"""Why nothing is bought: agents without money, or with their entries off, and the two buttons that mend it.

An empty table says first what is missing; only where nothing is does it wait for a signal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from agents import selectors as agents
from agents import services
from agents.models import Agent, Mode
from nexgent import money
from nexgent.accounts.endpoints import mine
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.web.access import page
from wallets import services as wallets

DEPOSIT_LAMPORTS = 10 * money.LAMPORTS_PER_SOL
LEAST_LAMPORTS = money.LAMPORTS_PER_SOL // 100
"""Nobody buys for less than 0.01 SOL."""
SHOWN_MAX = 5

_FREE = """
SELECT a.id, a.name, a.mode, CASE WHEN a.mode = 'live' THEN a.entries_live ELSE a.entries_simulation END,
       coalesce(c.balance - c.held, 0)
FROM agents_agent a
LEFT JOIN agents_assignment s ON s.agent_id = a.id AND s.mode = a.mode AND s.ended_at IS NULL
LEFT JOIN wallets_account c ON c.wallet_id = s.wallet_id AND c.asset = %s AND c.kind = 'own'
WHERE a.id = ANY(%s) ORDER BY a.name, a.id
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent that cannot buy, and what it lacks."""

    id: UUID
    name: str
    is_live: bool
    needs_money: bool
    needs_entries: bool


@dataclass(frozen=True, slots=True)
class Buyers:
    """How many agents can buy, and some of those that cannot."""

    ready: int
    waiting: list[Waiting]
    more: int
    """How many more of those there are."""


def buyers(agent_ids: Sequence[UUID]) -> Buyers:
    """Which of these agents lack money or have their entries off."""
    with connection.cursor() as cursor:
        cursor.execute(_FREE, [money.SOL_MINT, list(agent_ids)])
        found = [
            Waiting(agent_id, name, mode == Mode.LIVE, free < LEAST_LAMPORTS, not is_on)
            for agent_id, name, mode, is_on, free in cursor.fetchall()
        ]
    waiting = [agent for agent in found if agent.needs_money or agent.needs_entries]
    return Buyers(len(found) - len(waiting), waiting[:SHOWN_MAX], max(0, len(waiting) - SHOWN_MAX))


@require_POST
@page(least=Role.OWNER)
def add_money(request: Any, agent_id: UUID) -> HttpResponse:
    """Ten simulated SOL for an agent that has none; a second click finds that it has."""
    principal = request.principal
    with transaction.atomic():
        agent = _locked(principal, agent_id)
        assigned = agents.assignment(agent.id, Mode.SIMULATION)
        is_due = any(each.needs_money for each in buyers([agent.id]).waiting)
        if assigned is not None and is_due and agent.mode == Mode.SIMULATION:
            wallets.deposit(
                wallet_id=assigned.wallet_id,
                lamports=DEPOSIT_LAMPORTS,
                author=principal.user.email,
                stream_id=agent.id,
            )
    return _shown(request)


@require_POST
@page(least=Role.OWNER)
def turn_on(request: Any, agent_id: UUID) -> HttpResponse:
    """Turn an agent's simulated entries on; real ones ask for a proof that this page does not take."""
    with transaction.atomic():
        agent = _locked(request.principal, agent_id)
        if agent.mode == Mode.SIMULATION:
            services.agent_update(agent_id=agent.id, changes={"entries_simulation": True})
    return _shown(request)


def _locked(principal: Principal, agent_id: UUID) -> Agent:
    rows = mine(Agent.objects.filter(id=agent_id, archived_at=None), principal)
    agent = rows.select_for_update(no_key=True).first()
    if agent is None:
        raise Http404
    return agent


def _shown(request: Any) -> HttpResponse:
    principal = request.principal
    found = buyers(list(agents.visible(principal).values_list("id", flat=True)))
    context = {"buyers": found, "is_owner": principal.has_role(Role.OWNER)}
    return render(request, "components/buyers.html", context)
