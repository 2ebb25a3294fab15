"""Reads of agents, their configurations and wallets."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from agents.models import Agent, Assignment, ConfigVersion
from agents.policy import compile_policy
from nexgent import rows
from nexgent.accounts.principals import Principal
from nexgent.api.pagination import Window
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


class AgentRow(NamedTuple):
    """An agent as lists show it, under the model's names."""

    id: UUID
    user_id: UUID
    name: str
    mode: str
    entries_simulation: bool
    entries_live: bool
    exits_simulation: bool
    exits_live: bool
    profile: str
    created_at: datetime
    updated_at: datetime


_COLUMNS = ", ".join(AgentRow._fields)


class Listed:
    """The agents that exist for this principal, by name and mode where asked, as prepared statements.

    What bots ask most: composing the same statement anew for every request cost more than answering it.
    """

    def __init__(self, principal: Principal, *, search: str | None = None, mode: str | None = None) -> None:
        wanted = {
            "workspace_id = %(workspace)s": ("workspace", principal.workspace_id),
            "id = ANY(%(granted)s)": ("granted", None if principal.agent_ids is None else list(principal.agent_ids)),
            "strpos(upper(name), upper(%(search)s::text)) > 0": ("search", search),
            "mode = %(mode)s": ("mode", mode),
        }
        asked = {condition: pair for condition, pair in wanted.items() if pair[1] is not None}
        self.values: dict[str, Any] = dict(asked.values())
        self.where = ["archived_at IS NULL", *asked]

    def page(self, window: Window) -> list[AgentRow]:
        """The rows that `window` says to read."""
        where = " AND ".join([*self.where, *window.condition()])
        sql = f"SELECT {_COLUMNS} FROM agents_agent WHERE {where}{window.tail()}"  # noqa: S608  (fixed words)
        with rows.execute(sql, {**self.values, **window.parameters()}, is_answer_binary=True) as cursor:
            return [AgentRow(*row) for row in cursor.fetchall()]

    def count(self) -> int:
        """How many there are, without a window."""
        sql = f"SELECT count(*) FROM agents_agent WHERE {' AND '.join(self.where)}"  # noqa: S608  (fixed words)
        with rows.execute(sql, self.values) as cursor:
            return int(cursor.fetchall()[0][0])


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
