"""What an agent looks like on the wire, and who may follow it."""

from collections.abc import Iterable
from typing import Any, get_args
from uuid import UUID

from pydantic import BaseModel

from agents import config as trading_config
from agents import selectors
from agents.models import Agent, ConfigVersion
from nexgent.api import wire
from nexgent.events.registry import Live


def agent_wire(agent: Agent | selectors.AgentRow) -> dict[str, Any]:
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
        "config": _in_order(version.data, trading_config.TradingConfig),
    }


def _in_order(stored: Any, schema: type[BaseModel]) -> dict[str, Any]:
    """The keys in the order of the schema: PostgreSQL keeps JSON by length of key, and the same text is easier to
    compare. What the schema does not know comes last."""
    ordered: dict[str, Any] = {}
    for field in schema.model_fields.values():
        name = field.alias or ""
        if name in stored:
            ordered[name] = _of_field(stored[name], field.annotation)
    return {**ordered, **{name: value for name, value in stored.items() if name not in ordered}}


def _of_field(value: Any, annotation: Any) -> Any:
    inner = next((part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None)
    if inner is None:
        return value
    if isinstance(value, list):
        return [_in_order(item, inner) for item in value]
    return _in_order(value, inner) if isinstance(value, dict) else value


def _parts(annotation: Any) -> Iterable[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def agent_visible(principal: Any, agent_id: UUID) -> bool:
    """An agent is seen by its workspace, until it is archived; by limited members with a grant only."""
    return selectors.visible(principal).filter(id=agent_id).exists()


def streams(principal: Any) -> Iterable[UUID]:
    """The workspace's own stream and one per visible agent. The first tells of all agents: not for limited members."""
    agents = list(selectors.visible(principal).values_list("id", flat=True))
    return agents if principal.is_limited else [principal.workspace_id, *agents]


def workspace_streams(workspace_id: UUID) -> Iterable[UUID]:
    """The workspace's own stream and one per agent, archived ones too: their last events are still to be told."""
    return [workspace_id, *Agent.objects.filter(workspace_id=workspace_id).values_list("id", flat=True)]


LIVE = Live(agent_visible=agent_visible, streams=streams, workspace_streams=workspace_streams)
