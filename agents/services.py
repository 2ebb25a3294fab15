"""Use cases that change agents: create, rename and switch, configure.

Every change locks the agent's row, raises `policy_version`, writes its event on the workspace's stream, and rings the
price engine after the commit. A configuration is never edited: a save adds a version.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import config as trading_config
from agents import live, selectors
from agents.models import Agent, Assignment, ConfigVersion, Mode, Profile
from nexgent import clock
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import bell
from nexgent.events import services as events
from wallets import services as wallets

AGENTS_CHANNEL = "nexgent:agents"
NAME_LENGTH_MIN, NAME_LENGTH_MAX = 3, 50
SWITCHES = ("entries_simulation", "entries_live", "exits_simulation", "exits_live")
CHANGEABLE = ("name", "mode", "profile", *SWITCHES)


def agent_create(
    *,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    mode: str = Mode.SIMULATION,
    profile: str = Profile.REALISTIC,
    config: Mapping[str, Any] | None = None,
    author: str = "",
) -> Agent:
    """A new agent with an empty simulation wallet and version 1 of its configuration (partial over the defaults).

    Raises InvalidInput for name, mode or profile, InvalidConfig for the configuration.
    """
    _refuse_invalid({"name": name, "mode": mode, "profile": profile})
    data = _complete(trading_config.merge(trading_config.DEFAULTS, _partial(config)))
    now = clock.now()
    agent = Agent(
        workspace_id=workspace_id,
        user_id=user_id,
        name=name.strip(),
        mode=mode,
        profile=profile,
        entries_live=False,  # real buying begins when an owner says so, never with a change of mode alone
        created_at=now,
        updated_at=now,
    )
    version = ConfigVersion(agent=agent, number=1, data=data, author=author, created_at=now)
    agent.config_id = version.id  # the foreign key is checked at the commit
    with transaction.atomic():
        wallet = wallets.wallet_create(workspace_id=workspace_id)
        agent.save(force_insert=True)
        version.save(force_insert=True)
        Assignment.objects.create(agent=agent, wallet=wallet, mode=Mode.SIMULATION, started_at=now)
        _tell(agent, "agent_created", live.agent_wire(agent))
    return agent


def agent_update(*, agent_id: UUID, changes: Mapping[str, Any]) -> Agent:
    """Change name, mode, profile or switches (`CHANGEABLE`, model names). Open positions go on under their own config.

    Raises NotFound, InvalidInput.
    """
    _refuse_invalid(changes)
    with transaction.atomic():
        agent = _locked(agent_id)
        fields = [name for name, value in changes.items() if getattr(agent, name) != _clean(value)]
        if not fields:
            return agent
        for name in fields:
            setattr(agent, name, _clean(changes[name]))
        _touch(agent, *fields)
        _tell(agent, "agent_updated", live.agent_wire(agent))
    return agent


def config_update(
    *, agent_id: UUID, partial: Mapping[str, Any] | None, author: str, base_version: int | None = None
) -> ConfigVersion:
    """Save `partial` over the agent's configuration as a new version; None restores the defaults.

    `base_version` is the number the author saw: another current one is refused. Without it the last write wins and
    both versions are kept. Raises NotFound, InvalidConfig, Refusal CONFIG_VERSION_CONFLICT.
    """
    with transaction.atomic():
        agent = _locked(agent_id)
        current = selectors.config(agent.id)
        if base_version is not None and base_version != current.number:
            raise Refusal(
                "CONFIG_VERSION_CONFLICT",
                "The configuration was changed meanwhile.",
                details={"baseVersion": base_version, "currentVersion": current.number},
            )
        merged = trading_config.merge(current.data, None if partial is None else _partial(partial))
        version = ConfigVersion(
            agent=agent,
            number=current.number + 1,
            data=_complete(merged),
            author=author,
            created_at=clock.now(),
        )
        version.save(force_insert=True)
        agent.config = version
        _touch(agent, "config")
        _tell(agent, "agent_config_updated", live.config_wire(version))
    return version


def _locked(agent_id: UUID) -> Agent:
    agent = Agent.objects.select_for_update(no_key=True).filter(id=agent_id, archived_at=None).first()
    if agent is None:
        raise NotFound("agent")
    return agent


def _touch(agent: Agent, *fields: str) -> None:
    agent.policy_version += 1
    agent.updated_at = clock.now()
    agent.save(update_fields=[*fields, "policy_version", "updated_at"])


def _tell(agent: Agent, kind: str, payload: dict[str, Any]) -> None:
    """The event, as the last write of the transaction, and the ring after it."""
    bell.publish(AGENTS_CHANNEL, agent.id.bytes)
    events.append([events.NewEvent(agent.workspace_id, kind, payload, agent.updated_at)])


def _partial(config: Any) -> Mapping[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise trading_config.InvalidConfig([trading_config.Problem("(root)", "Must be an object")])
    return config


def _complete(merged: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration in its stored form; raises InvalidConfig."""
    problems = trading_config.validate(merged)
    if problems:
        raise trading_config.InvalidConfig(problems)
    stored: dict[str, Any] = trading_config.canonical(trading_config.with_defaults(merged))
    return stored


def _clean(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _refuse_invalid(changes: Mapping[str, Any]) -> None:
    problems = {name: "Cannot be changed" for name in changes if name not in CHANGEABLE}
    if not changes:
        problems[""] = "At least one field is needed"
    for name in SWITCHES:
        if name in changes and not isinstance(changes[name], bool):
            problems[name] = "Must be true or false"
    if "name" in changes and not _is_name(changes["name"]):
        problems["name"] = f"Must have {NAME_LENGTH_MIN} to {NAME_LENGTH_MAX} characters"
    if "mode" in changes and changes["mode"] not in Mode.values:
        problems["mode"] = f"Must be one of {', '.join(Mode.values)}"
    if "profile" in changes and changes["profile"] not in Profile.values:
        problems["profile"] = f"Must be one of {', '.join(Profile.values)}"
    if problems:
        raise InvalidInput(problems)


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not trading_config.is_storable(value):
        return False
    return NAME_LENGTH_MIN <= len(value.strip()) <= NAME_LENGTH_MAX
