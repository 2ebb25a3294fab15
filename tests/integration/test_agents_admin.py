"""The admin of agents and signals: everything is shown, nothing is edited, switches go through the services."""

import pytest
from django.test import Client

from agents import services
from agents.models import Agent, ConfigVersion
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from nexgent.events.models import Event
from signals import services as signals
from signals.models import Signal, Verdict

MINT = "So11111111111111111111111111111111111111112"
LISTS = [
    "agents/agent",
    "agents/configversion",
    "agents/assignment",
    "signals/signal",
    "signals/verdictrow",
    "signals/signalrevision",
    "signals/duplicateguard",
]


@pytest.fixture
def admin(db):
    user = User.objects.create_superuser("root@example.com", "pw-for-tests-1")
    client = Client()
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def agent(admin):
    workspace = Workspace.objects.create(name="mine")
    return services.agent_create(workspace_id=workspace.id, user_id=admin.user.id, name="Momentum")


@pytest.fixture
def signal(admin, agent):
    body = {"tokenAddress": MINT, "signalType": "BUY", "signalStrength": 3}
    signal = signals.accept(workspace_id=agent.workspace_id, user_id=admin.user.id, data=body, received_at=clock.now())
    signals.signal_revise(workspace_id=agent.workspace_id, signal_id=signal.id, data={"signalStrength": 4})
    Verdict.objects.create(signal=signal, agent=agent, reasons=["token_blacklisted"], at=clock.now())
    return signal


@pytest.mark.parametrize("page", LISTS)
def test_every_list_opens_and_can_be_searched(admin, signal, page):
    assert admin.get(f"/admin/{page}/").status_code == 200
    assert admin.get(f"/admin/{page}/?q=1").status_code == 200


@pytest.mark.parametrize("page", LISTS)
def test_nothing_can_be_added(admin, agent, page):
    assert admin.get(f"/admin/{page}/add/").status_code == 403


def test_a_signal_shows_its_verdicts_and_revisions(admin, signal):
    text = admin.get(f"/admin/signals/signal/{signal.id}/change/").content.decode()

    assert "token_blacklisted" in text
    assert "signalStrength" in text


def test_pages_of_agents_and_versions_open_read_only(admin, agent):
    version = ConfigVersion.objects.get(agent=agent)

    assert admin.get(f"/admin/agents/agent/{agent.id}/change/").status_code == 200
    assert admin.get(f"/admin/agents/configversion/{version.id}/change/").status_code == 200
    assert admin.post(f"/admin/agents/agent/{agent.id}/change/", {"name": "Mine now"}).status_code == 403
    assert Agent.objects.get(id=agent.id).name == "Momentum"


def test_entries_are_paused_by_an_action_that_tells_everybody(admin, agent):
    admin.post("/admin/agents/agent/", {"action": "pause_entries", "_selected_action": [str(agent.id)]})

    stored = Agent.objects.get(id=agent.id)
    assert (stored.entries_simulation, stored.entries_live, stored.exits_simulation) == (False, False, True)
    assert stored.policy_version == 2
    assert Event.objects.latest("seq").type == "agent_updated"


def test_resuming_many_agents_begins_no_real_buying(admin, agent):
    for action in ("pause_entries", "resume_entries"):
        admin.post("/admin/agents/agent/", {"action": action, "_selected_action": [str(agent.id)]})

    stored = Agent.objects.get(id=agent.id)
    assert (stored.entries_simulation, stored.entries_live) == (True, False)


def test_an_archived_agent_is_left_as_it_is(admin, agent):
    Agent.objects.filter(id=agent.id).update(archived_at=clock.now())

    admin.post("/admin/agents/agent/", {"action": "stop_exits", "_selected_action": [str(agent.id)]})

    assert Agent.objects.get(id=agent.id).exits_simulation is True


def test_a_signal_is_hidden_by_an_action(admin, signal):
    admin.post("/admin/signals/signal/", {"action": "hide", "_selected_action": [str(signal.id)]})

    assert Signal.objects.get(id=signal.id).hidden_at is not None
