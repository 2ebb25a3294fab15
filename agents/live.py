"""What an agent looks like on the wire, and who may follow it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from agents import selectors
from agents.models import Agent, ConfigVersion
from nexgent.api import wire
from nexgent.events.registry import Live


def agent_wire(agent: Agent) -> dict[str, Any]:
    """The agent as the API and its events show it; the reference's fields, then ours."""
    return {
        "id": str(agent.id),
        "userId": str(agent.user_id),
        "name": agent.name,
        "tradingMode": agent.mode,
        "automatedTradingSimulation": agent.entries_simulation,
        "automatedTradingLive": agent.entries_live,
        "exitsEnabledSimulation": agent.exits_simulation,
        "exitsEnabledLive": agent.exits_live,
        "profile": agent.profile,
        "createdAt": wire.stamp(agent.created_at),
        "updatedAt": wire.stamp(agent.updated_at),
    }


def config_wire(version: ConfigVersion) -> dict[str, Any]:
    """One version of a configuration with its number, author and time."""
    return {
        "agentId": str(version.agent_id),
        "version": version.number,
        "author": version.author,
        "createdAt": wire.stamp(version.created_at),
        "config": version.data,
    }


def agent_visible(principal: Any, agent_id: UUID) -> bool:
    """An agent is seen by its workspace, until it is archived; by limited members with a grant only."""
    return selectors.visible(principal).filter(id=agent_id).exists()


def streams(principal: Any) -> Iterable[UUID]:
    """The workspace's own stream and one per visible agent. The first tells of all agents: not for limited members."""
    agents = list(selectors.visible(principal).values_list("id", flat=True))
    return agents if principal.is_limited else [principal.workspace_id, *agents]


LIVE = Live(agent_visible=agent_visible, streams=streams)
