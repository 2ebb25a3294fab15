"""Versions of the trading configuration: immutable, numbered, never lost to a concurrent save."""

import functools

import pytest
from django.db import connection

from agents import config, selectors, services
from agents.models import Agent, ConfigVersion
from nexgent.accounts.models import User, Workspace
from nexgent.errors import NotFound, Refusal
from nexgent.events.models import Event
from nexgent.ids import uuid7
from tests.racing import together


@pytest.fixture
def agent(db):
    owner = User.objects.create_user("owner@example.com", "pw-for-tests-1")
    workspace = Workspace.objects.create(name="mine")
    return services.agent_create(workspace_id=workspace.id, user_id=owner.id, name="Momentum")


def test_a_save_adds_a_version_and_keeps_the_one_before(agent):
    first = selectors.config(agent.id)

    version = services.config_update(agent_id=agent.id, partial={"stopLoss": {"mode": "zones"}}, author="ann")

    stored = Agent.objects.get(id=agent.id)
    assert (version.number, version.author, stored.config_id, stored.policy_version) == (2, "ann", version.id, 2)
    assert selectors.policy(stored.config_id).stop.mode == "zones"
    assert selectors.policy(first.id).stop.mode == "fixed"
    assert [v.number for v in selectors.config_versions(agent.id)] == [2, 1]
    event = Event.objects.filter(stream_id=agent.workspace_id).latest("seq")
    assert (event.type, event.payload["version"], event.payload["author"]) == ("agent_config_updated", 2, "ann")
    assert event.payload["config"]["stopLoss"]["mode"] == "zones"


def test_numbers_are_stored_as_they_were_written(agent):
    partial = {"purchaseLimits": {"maxPurchasePerToken": 0.1}, "staleTrade": {"minHoldTimeMinutes": 90.0}}

    version = services.config_update(agent_id=agent.id, partial=partial, author="ann")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data #>> '{purchaseLimits,maxPurchasePerToken}' FROM agents_configversion WHERE id = %s",
            [version.id],
        )
        assert cursor.fetchone() == ("0.1",)
    stored = ConfigVersion.objects.get(id=version.id)
    assert stored.data["staleTrade"]["minHoldTimeMinutes"] == 90
    assert selectors.policy(stored.id).limits.max_purchase_lamports == 100_000_000


def test_an_invalid_save_changes_nothing(agent):
    with pytest.raises(config.InvalidConfig) as caught:
        services.config_update(agent_id=agent.id, partial={"dca": {"levelz": []}}, author="ann")

    assert caught.value.details == ["dca.levelz: Unknown key"]
    assert ConfigVersion.objects.count() == 1
    assert Agent.objects.get(id=agent.id).policy_version == 1
    assert Event.objects.filter(stream_id=agent.workspace_id).count() == 1


@pytest.mark.parametrize("partial", [5, [], "text"])
def test_a_configuration_is_an_object(agent, partial):
    with pytest.raises(config.InvalidConfig) as caught:
        services.config_update(agent_id=agent.id, partial=partial, author="ann")

    assert caught.value.details == ["(root): Must be an object"]


def test_null_restores_the_defaults(agent):
    services.config_update(agent_id=agent.id, partial={"signals": {"minScore": 5}}, author="ann")

    version = services.config_update(agent_id=agent.id, partial=None, author="ann")

    assert version.data == config.with_defaults(None)


def test_the_retired_key_is_not_stored(agent):
    partial = {"stopLoss": {"continuousTrailing": {"enabled": True}}}

    version = services.config_update(agent_id=agent.id, partial=partial, author="ann")

    assert "continuousTrailing" not in version.data["stopLoss"]


def test_d37_a_save_on_an_old_version_is_refused(agent):
    services.config_update(agent_id=agent.id, partial={"signals": {"minScore": 2}}, author="ann", base_version=1)

    with pytest.raises(Refusal) as caught:
        services.config_update(agent_id=agent.id, partial={"signals": {"minScore": 3}}, author="bob", base_version=1)

    assert (caught.value.code, caught.value.status) == ("CONFIG_VERSION_CONFLICT", 409)
    assert caught.value.details == {"baseVersion": 1, "currentVersion": 2}
    assert selectors.config(agent.id).data["signals"]["minScore"] == 2


def test_d37_without_a_base_the_last_save_wins_and_both_are_kept(agent):
    services.config_update(agent_id=agent.id, partial={"signals": {"minScore": 2}}, author="ann")
    services.config_update(agent_id=agent.id, partial={"dca": {"enabled": True}}, author="bob")

    kept = {v.number: (v.author, v.data["signals"]["minScore"]) for v in selectors.config_versions(agent.id)}
    assert kept == {1: ("", 1), 2: ("ann", 2), 3: ("bob", 2)}


def test_an_unknown_version_has_no_policy(db):
    with pytest.raises(NotFound):
        selectors.policy(uuid7())


def test_a_policy_is_compiled_once_per_version(agent, django_assert_num_queries):
    version_id = selectors.config(agent.id).id
    first = selectors.policy(version_id)

    with django_assert_num_queries(0):
        assert selectors.policy(version_id) is first


@pytest.mark.django_db(transaction=True)
def test_d37_parallel_saves_lose_nothing():
    owner = User.objects.create_user("owner@example.com", "pw-for-tests-1")
    workspace = Workspace.objects.create(name="mine")
    agent = services.agent_create(workspace_id=workspace.id, user_id=owner.id, name="Momentum")
    partials = [
        {"signals": {"minScore": 4}},
        {"dca": {"enabled": True}},
        {"stopLoss": {"mode": "zones"}},
        {"takeProfit": {"enabled": True}},
    ]

    saved = together(
        [functools.partial(services.config_update, agent_id=agent.id, partial=one, author="ann") for one in partials]
    )

    assert not any(isinstance(result, Exception) for result in saved)

    data = selectors.config(agent.id).data
    assert [v.number for v in selectors.config_versions(agent.id)] == [5, 4, 3, 2, 1]
    assert data["signals"]["minScore"] == 4
    assert data["dca"]["enabled"] is True
    assert data["stopLoss"]["mode"] == "zones"
    assert data["takeProfit"]["enabled"] is True
    assert Agent.objects.get(id=agent.id).policy_version == 5
