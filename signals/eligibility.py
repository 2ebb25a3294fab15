"""Which agents a signal concerns: gathers facts for the pure filter and keeps every reason it gives.

Configurations come from the database (compiled once per version), switches from the agent's row: nothing cached outside
PostgreSQL can turn an agent on or off.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import Error

from agents import selectors as agent_selectors
from agents.models import Agent, Mode
from nexgent import rows
from prices import selectors as prices
from signals import stuck
from signals.models import Signal
from trading.rules import eligibility
from trading.rules.eligibility import SignalFacts, TokenMetrics
from trading.rules.policy import Policy

log = logging.getLogger(__name__)
NO_CONFIG = "no_config"
AGENT_ARCHIVED = "agent_archived"
CONFIG_UNREADABLE = "config_unreadable"


class Candidate(NamedTuple):
    """What of an agent decides on its eligibility, by the names of `Agent`."""

    id: UUID
    workspace_id: UUID
    mode: str
    entries_simulation: bool
    entries_live: bool
    config_id: UUID | None
    archived_at: datetime | None


_CANDIDATES = f"""
SELECT {", ".join(Candidate._fields)} FROM agents_agent WHERE workspace_id = %b AND archived_at IS NULL ORDER BY id
"""  # noqa: S608


def candidates(signal: Signal) -> list[Candidate]:
    """Every agent the signal could concern: those of its workspace, in id order."""
    with rows.execute(_CANDIDATES, [signal.workspace_id]) as cursor:
        return [Candidate(*row) for row in cursor.fetchall()]


def verdicts(signal: Signal, agents: Sequence[Agent | Candidate]) -> dict[UUID, tuple[str, ...]]:
    """All reasons against each agent acting on the signal (lower_snake, in check order); empty means eligible.

    At most two queries whatever the number of agents: uncompiled configurations, and token facts when a bound is set.
    """
    policies, unreadable = _policies(agents)
    needs_metrics = any(eligibility.needs_metrics(policy.signals) for policy in policies.values())
    metrics = token_metrics(signal.token_address) if needs_metrics else None
    facts = SignalFacts(
        token=signal.token_address,
        type=signal.signal_type,
        strength=signal.signal_strength,
        side=signal.side,
        source=signal.source,
    )
    return {
        agent.id: (CONFIG_UNREADABLE,)
        if agent.id in unreadable
        else _reasons(agent, policies.get(agent.config_id) if agent.config_id else None, facts=facts, metrics=metrics)
        for agent in agents
        if agent.workspace_id == signal.workspace_id
    }


def _policies(agents: Sequence[Agent | Candidate]) -> tuple[dict[UUID, Policy], set[UUID]]:
    """The policies by configuration version, and the agents whose version cannot be read: told, the others go on."""
    configured = [agent for agent in agents if agent.config_id is not None]
    try:
        return agent_selectors.policies(agent.config_id for agent in configured if agent.config_id), set()
    except Error:
        raise
    except Exception as problem:
        log.warning("configurations are read one by one: %s", problem)
    policies: dict[UUID, Policy] = {}
    unreadable: set[UUID] = set()
    for agent in configured:
        try:
            policies |= agent_selectors.policies([agent.config_id] if agent.config_id else [])
        except Error:
            raise
        except Exception as problem:
            unreadable.add(agent.id)
            stuck.tell_agent(agent.id, agent.workspace_id, problem, step=stuck.CONFIG)
    return policies, unreadable


def token_metrics(mint: str) -> TokenMetrics | None:
    """The market metrics that are stored for a token; None when there are none at all."""
    known = prices.facts(mint)
    metrics = TokenMetrics(
        market_cap_usd=known.get("marketCapUsd"),
        liquidity_usd=known.get("liquidityUsd"),
        holder_count=known.get("holderCount"),
    )
    return None if metrics == TokenMetrics() else metrics


def _reasons(
    agent: Agent | Candidate, policy: Policy | None, *, facts: SignalFacts, metrics: TokenMetrics | None
) -> tuple[str, ...]:
    if agent.archived_at is not None:
        return (AGENT_ARCHIVED,)
    if policy is None:
        return (NO_CONFIG,)
    entries_on = agent.entries_live if agent.mode == Mode.LIVE else agent.entries_simulation
    return eligibility.evaluate(facts, policy.signals, metrics, entries_on=entries_on)
