"""What an agent looks like on the wire, and who may follow it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

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
    """An agent is seen by its workspace, until it is archived."""
    return Agent.objects.filter(id=agent_id, workspace_id=principal.workspace_id, archived_at=None).exists()


def streams(principal: Any) -> Iterable[UUID]:
    """The workspace's own stream and one per agent."""
    agents = Agent.objects.filter(workspace_id=principal.workspace_id, archived_at=None)
    return [principal.workspace_id, *agents.values_list("id", flat=True)]


LIVE = Live(agent_visible=agent_visible, streams=streams)
