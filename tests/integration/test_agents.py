"""Agents: creation, switches, and what a change tells others."""

import pytest
from django.db import IntegrityError, connection, transaction

from agents import selectors, services
from agents.models import Agent, Assignment, ConfigVersion
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from nexgent.errors import InvalidInput, NotFound
from nexgent.events import bell
from nexgent.events.models import Event
from nexgent.ids import uuid7
from signals import eligibility
from signals import services as signals

pytestmark = pytest.mark.django_db
MINT = "So11111111111111111111111111111111111111112"


@pytest.fixture
def owner():
    return User.objects.create_user("owner@example.com", "pw-for-tests-1")


@pytest.fixture
def workspace():
    return Workspace.objects.create(name="mine")


@pytest.fixture
def agent(owner, workspace):
    return services.agent_create(workspace_id=workspace.id, user_id=owner.id, name="Momentum")


def test_a_new_agent_has_a_wallet_a_configuration_and_an_event(owner, workspace):
    agent = services.agent_create(workspace_id=workspace.id, user_id=owner.id, name="  Momentum ", author="owner")

    stored = Agent.objects.get(id=agent.id)
    assert (stored.name, stored.mode, stored.profile, stored.policy_version) == (
        "Momentum",
        "simulation",
        "realistic",
        1,
    )
    version = ConfigVersion.objects.get(id=stored.config_id)
    assert (version.number, version.author, version.agent_id) == (1, "owner", agent.id)
    assert selectors.assignment(agent.id, "simulation").wallet.address.startswith("sim_")
    event = Event.objects.get(stream_id=workspace.id)
    assert (event.seq, event.type, event.payload["name"]) == (1, "agent_created", "Momentum")
    assert event.payload["automatedTradingSimulation"] is True
    assert event.payload["exitsEnabledLive"] is True


def test_a_new_agent_buys_nothing_live_until_that_is_switched_on(owner, workspace, agent):
    assert agent.entries_live is False

    live = services.agent_update(agent_id=agent.id, changes={"mode": "live"})
    assert selectors.entries_on(live) is False
    assert selectors.exits_on(live) is True

    switched = services.agent_update(agent_id=agent.id, changes={"entries_live": True})
    assert selectors.entries_on(switched) is True


def test_an_agent_may_start_with_a_partial_configuration(owner, workspace):
    agent = services.agent_create(
        workspace_id=workspace.id, user_id=owner.id, name="Ladder", config={"takeProfit": {"enabled": True}}
    )

    data = selectors.config(agent.id).data
    assert data["takeProfit"]["enabled"] is True
    assert data["stopLoss"]["defaultPercentage"] == -32


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": "   a   "}, "name"),
        ({"name": "bad\x00name"}, "name"),
        ({"mode": "paper"}, "mode"),
        ({"profile": "perfect"}, "profile"),
    ],
)
def test_a_refused_agent_leaves_nothing(owner, workspace, wrong, field):
    with pytest.raises(InvalidInput) as caught:
        services.agent_create(**{"workspace_id": workspace.id, "user_id": owner.id, "name": "Good name", **wrong})

    assert list(caught.value.problems) == [field]
    assert Agent.objects.count() == Assignment.objects.count() == Event.objects.count() == 0


def test_a_switch_raises_the_policy_version_and_tells_the_workspace(agent, workspace):
    changed = services.agent_update(agent_id=agent.id, changes={"entries_simulation": False, "name": "Quiet one"})

    stored = Agent.objects.get(id=agent.id)
    assert (stored.entries_simulation, stored.exits_simulation, stored.name) == (False, True, "Quiet one")
    assert stored.policy_version == changed.policy_version == 2
    event = Event.objects.filter(stream_id=workspace.id).latest("seq")
    assert (event.seq, event.type) == (2, "agent_updated")
    assert event.payload["automatedTradingSimulation"] is False


def test_a_change_to_the_same_values_is_no_change(agent, workspace):
    services.agent_update(agent_id=agent.id, changes={"name": "Momentum", "exits_live": True})

    assert Agent.objects.get(id=agent.id).policy_version == 1
    assert Event.objects.filter(stream_id=workspace.id).count() == 1


def test_the_price_engine_is_rung_after_a_change(agent, monkeypatch, django_capture_on_commit_callbacks):
    rung = []
    monkeypatch.setattr(bell._sender, "post", lambda channel, message: rung.append((channel, message)))

    with django_capture_on_commit_callbacks(execute=True):
        services.agent_update(agent_id=agent.id, changes={"exits_simulation": False})

    assert ("nexgent:agents", agent.id.bytes) in rung


@pytest.mark.parametrize("changes", [{}, {"user_id": 1}, {"entries_live": "yes"}, {"mode": None}, {"name": 5}])
def test_refused_changes_change_nothing(agent, changes):
    with pytest.raises(InvalidInput):
        services.agent_update(agent_id=agent.id, changes=changes)

    assert Agent.objects.get(id=agent.id).policy_version == 1


def test_unknown_and_archived_agents_are_not_found(agent):
    Agent.objects.filter(id=agent.id).update(archived_at=clock.now())

    for agent_id in (agent.id, uuid7()):
        with pytest.raises(NotFound) as caught:
            services.agent_update(agent_id=agent_id, changes={"name": "New name"})
        assert caught.value.code == "AGENT_NOT_FOUND"
        with pytest.raises(NotFound):
            services.config_update(agent_id=agent_id, partial={}, author="owner")


def test_agents_are_seen_by_their_workspace_only(agent, workspace):
    stranger = Workspace.objects.create(name="other")

    assert selectors.agent(workspace.id, agent.id).id == agent.id
    assert list(selectors.agents(stranger.id)) == []
    with pytest.raises(NotFound):
        selectors.agent(stranger.id, agent.id)


def test_d8_an_agent_goes_on_after_its_mode_was_switched(agent, owner, workspace):
    services.agent_update(agent_id=agent.id, changes={"mode": "live", "entries_live": True})
    services.agent_update(agent_id=agent.id, changes={"mode": "simulation"})
    switched = services.agent_update(agent_id=agent.id, changes={"mode": "live"})

    signal = signals.accept(
        workspace_id=workspace.id,
        user_id=owner.id,
        data={"tokenAddress": MINT, "signalType": "BUY", "signalStrength": 3},
        received_at=clock.now(),
    )
    assert eligibility.verdicts(signal, [switched]) == {agent.id: ()}
    assert selectors.policy(switched.config_id).stop.default_percent == -32


def test_a_stored_version_cannot_be_changed_or_deleted(agent):
    for statement in ("UPDATE agents_configversion SET author = 'x'", "DELETE FROM agents_configversion"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    assert ConfigVersion.objects.get(agent=agent).author == ""
