"""Reads of agents, their configurations and wallets."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from agents.models import Agent, Assignment, ConfigVersion
from agents.policy import compile_policy
from nexgent.accounts.principals import Principal
from nexgent.errors import NotFound
from trading.rules.policy import Policy

POLICIES_MAX = 10_000

_policies: OrderedDict[UUID, Policy] = OrderedDict()
_lock = threading.Lock()


def policy(config_id: UUID) -> Policy:
    """The compiled policy of a configuration version. Raises NotFound."""
    return policies([config_id])[config_id]


def policies(config_ids: Iterable[UUID]) -> dict[UUID, Policy]:
    """Compiled policies by version; at most one query. Versions never change, so each is compiled once per process."""
    wanted = set(config_ids)
    with _lock:
        found = {config_id: _policies[config_id] for config_id in wanted if config_id in _policies}
        for config_id in found:
            _policies.move_to_end(config_id)
    missing = wanted - found.keys()
    if missing:
        stored = ConfigVersion.objects.filter(id__in=missing).values_list("id", "data")
        compiled = {config_id: compile_policy(data) for config_id, data in stored}
        if compiled.keys() != missing:
            raise NotFound("config_version")
        found |= compiled
        with _lock:
            _policies.update(compiled)
            while len(_policies) > POLICIES_MAX:
                _policies.popitem(last=False)
    return found


def agents(workspace_id: UUID) -> QuerySet[Agent]:
    """The workspace's agents, newest first, archived ones left out."""
    return Agent.objects.filter(workspace_id=workspace_id, archived_at=None).order_by("-created_at", "-id")


def agent(workspace_id: UUID, agent_id: UUID) -> Agent:
    """One agent of the workspace. Raises NotFound (archived and foreign ones too)."""
    found = agents(workspace_id).filter(id=agent_id).first()
    if found is None:
        raise NotFound("agent")
    return found


def visible(principal: Principal) -> QuerySet[Agent]:
    """The agents that exist for this principal, newest first: of its workspace, and granted where it is limited."""
    rows = agents(principal.workspace_id)
    return rows if principal.agent_ids is None else rows.filter(id__in=principal.agent_ids)


def ids(workspace_id: UUID) -> set[UUID]:
    """The workspace's agents, archived ones left out."""
    return set(agents(workspace_id).values_list("id", flat=True))


def config(agent_id: UUID) -> ConfigVersion:
    """The configuration version that counts now. Raises NotFound."""
    version = ConfigVersion.objects.filter(id__in=Agent.objects.filter(id=agent_id).values("config_id")).first()
    if version is None:
        raise NotFound("agent")
    return version


def config_versions(agent_id: UUID) -> QuerySet[ConfigVersion]:
    """All versions of an agent's configuration, newest first."""
    return ConfigVersion.objects.filter(agent_id=agent_id).order_by("-number")


def assignment(agent_id: UUID, mode: str) -> Assignment | None:
    """The open assignment of the agent in a mode, with its wallet."""
    return Assignment.objects.filter(agent_id=agent_id, mode=mode, ended_at=None).select_related("wallet").first()


def entries_on(agent: Agent) -> bool:
    """Whether the agent may enter (and buy more) in its current mode."""
    return agent.entries_live if agent.mode == "live" else agent.entries_simulation


def exits_on(agent: Agent) -> bool:
    """Whether the agent's own rules may sell in its current mode."""
    return agent.exits_live if agent.mode == "live" else agent.exits_simulation
