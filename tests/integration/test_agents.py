"""Agents: creation, switches, and the versions of their configuration."""

import pytest

from agents import selectors, services
from agents.models import Agent, Assignment, ConfigVersion
from nexgent.accounts.models import User, Workspace
from nexgent.events.models import Event

pytestmark = pytest.mark.django_db


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
    agent = services.agent_create(workspace_id=workspace.id, user_id=owner.id, name="  Momentum ")

    stored = Agent.objects.get(id=agent.id)
    assert (stored.name, stored.mode, stored.profile, stored.policy_version) == ("Momentum", "simulation", "realistic", 1)
    assert ConfigVersion.objects.get(id=stored.config_id).number == 1
    wallet = selectors.assignment(agent.id, "simulation").wallet
    assert wallet.address.startswith("sim_")
    event = Event.objects.get(stream_id=workspace.id)
    assert (event.seq, event.type, event.payload["name"]) == (1, "agent_created", "Momentum")
    assert Assignment.objects.count() == 1
