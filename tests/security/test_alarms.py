"""Alarms of agents: who may not see an agent does not see what is wrong with it, in the API or on a stream."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from agents import live
from nexgent import clock
from nexgent.accounts.models import AgentGrant, Membership
from nexgent.events import alarms, topics
from nexgent.events.models import Alarm, Event
from nexgent.events.records import Record
from tests.integration.api_client import sign_up
from tests.security.people import client_of, member_of, workspace_of
from trading.engine import positions

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    """A workspace with two agents, an alarm of each, one of the workspace and one of the installation."""
    owner = sign_up("owner@example.com")
    api, workspace = client_of(owner), workspace_of(owner)
    agents = [UUID(api.post("/api/v1/agents", {"name": f"Agent {n}"}).json()["id"]) for n in range(2)]
    for number, agent in enumerate(agents):
        alarms.raise_alarm("EXIT_FAILING", subject=f"p{number}", workspace_id=workspace, agent_id=agent, at=clock.now())
    alarms.raise_alarm("WEBHOOK_FAILING", subject="w", workspace_id=workspace, at=clock.now())
    alarms.raise_alarm("FEED_SILENT", subject="jupiter", at=clock.now())
    return SimpleNamespace(api=api, workspace=workspace, agents=agents)


def limited(house, *granted):
    person = member_of(house.workspace, "limited@example.com", is_limited=True)
    for agent in granted:
        AgentGrant.objects.create(membership=Membership.objects.get(user=person), agent_id=agent)
    return person


def subjects(api, **query):
    answer = api.get("/api/v1/alarms", query)
    assert answer.status_code == 200, answer.json()
    return [row["subject"] for row in answer.json()]


def test_an_owner_sees_every_alarm_with_its_agent(house):
    rows = house.api.get("/api/v1/alarms", {"sort": "since"}).json()

    assert [row["subject"] for row in rows] == ["p0", "p1", "w", "jupiter"]
    assert [row["agentId"] for row in rows] == [*map(str, house.agents), None, None]


def test_a_limited_member_sees_alarms_of_granted_agents_and_of_none(house):
    api = client_of(limited(house, house.agents[1]))

    counted = api.get("/api/v1/alarms", {"limit": 1, "total": "true"})

    assert subjects(api, sort="since") == ["p1", "w", "jupiter"]
    assert counted.headers["X-Total-Count"] == "3"


def test_without_a_grant_no_alarm_of_an_agent_is_seen(house):
    assert subjects(client_of(limited(house)), sort="since", active="true") == ["w", "jupiter"]


def test_alarms_travel_on_the_stream_that_limited_members_do_not_follow(house):
    person = limited(house, house.agents[1])
    rows = Event.objects.filter(type__startswith="alarm")

    assert set(rows.values_list("stream_id", flat=True)) == {house.workspace}
    for row in rows:
        record = Record(row.stream_id, row.seq, row.type, "{}", row.at)
        assert topics.TOPICS["signals"].wants(record) is False
    principal = SimpleNamespace(
        workspace_id=house.workspace, is_limited=True, agent_ids=frozenset({house.agents[1]}), user=person
    )
    assert live.streams(principal) == [house.agents[1]]


def test_a_position_that_is_stuck_names_its_agent(house):
    position = SimpleNamespace(id="p9", workspace_id=house.workspace, agent_id=house.agents[0])

    positions.tell_stuck(position, ValueError("x"), at=clock.now())

    assert Alarm.objects.get(code="POSITION_STUCK").agent_id == house.agents[0]
