"""Who may follow an agent, and which streams a principal's pages follow."""

from types import SimpleNamespace

import pytest

from agents import live, services
from agents.models import Agent
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from nexgent.events import registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent():
    user = User.objects.create_user("owner@example.com", "pw-for-tests-1")
    workspace = Workspace.objects.create(name="mine")
    return services.agent_create(workspace_id=workspace.id, user_id=user.id, name="Momentum")


def test_an_agent_is_followed_by_its_workspace_until_it_is_archived(agent):
    owner = SimpleNamespace(workspace_id=agent.workspace_id, agent_ids=None, is_limited=False)
    stranger = SimpleNamespace(**{**vars(owner), "workspace_id": Workspace.objects.create(name="other").id})

    assert registry.agent_visible(owner, agent.id) is True
    assert live.agent_visible(stranger, agent.id) is False
    assert set(live.streams(owner)) == {agent.workspace_id, agent.id}
    assert list(live.streams(stranger)) == [stranger.workspace_id]
    Agent.objects.filter(id=agent.id).update(archived_at=clock.now())
    assert live.agent_visible(owner, agent.id) is False
    assert list(live.streams(owner)) == [agent.workspace_id]
