"""`Idempotency-Key` of a person who acts in two workspaces: an answer of one is none of the other."""

import pytest

from agents.models import Agent
from nexgent.accounts.models import Membership, User
from tests.integration.api_client import signed_in
from tests.integration.api_trading import MINT, inline_prices, tick, trader  # noqa: F401
from trading.models import Order, State

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]

AGENTS, BUY = "/api/v1/agents", "/api/v1/trades/execute"
KEY = {"Idempotency-Key": "once"}


def second_workspace(email="trader@example.com"):
    """Makes this person an owner of somebody else's workspace too; returns its id."""
    signed_in("other@example.com")
    workspace_id = Membership.objects.get(user__email="other@example.com").workspace_id
    Membership.objects.create(user=User.objects.get(email=email), workspace_id=workspace_id)
    return workspace_id


def choose(api, workspace_id):
    assert api.post(f"/api/v1/workspaces/{workspace_id}/choose").status_code == 200


def test_the_same_request_in_two_workspaces_is_two_actions():
    api = signed_in("trader@example.com")
    home = Membership.objects.get(user__email="trader@example.com").workspace_id
    away = second_workspace()

    first = api.post(AGENTS, {"name": "Momentum"}, **KEY)
    choose(api, away)
    second = api.post(AGENTS, {"name": "Momentum"}, **KEY)
    choose(api, home)
    again = api.post(AGENTS, {"name": "Momentum"}, **KEY)

    assert [answer.status_code for answer in (first, second, again)] == [201, 201, 201]
    assert ["Idempotent-Replayed" in answer for answer in (first, second, again)] == [False, False, True]
    assert first.json() == again.json() != second.json()
    assert {str(agent.id): agent.workspace_id for agent in Agent.objects.all()} == {
        first.json()["id"]: home,
        second.json()["id"]: away,
    }


def test_a_buy_in_another_workspace_is_an_order_of_its_own():
    api, agent = trader()
    away = second_workspace()
    tick("0.001")

    first = api.post(BUY, {"agentId": agent, "tokenAddress": MINT, "positionSize": "1"}, **KEY)
    choose(api, away)
    elsewhere = api.post(AGENTS, {"name": "Momentum", "profile": "ideal"}).json()["id"]
    refused = api.post(BUY, {"agentId": elsewhere, "tokenAddress": MINT, "positionSize": "1"}, **KEY)

    assert first.status_code == 200
    # it has no money of its own, and the order of the first workspace is none of its answers
    assert (refused.status_code, refused.json()["code"]) == (400, "INSUFFICIENT_BALANCE")
    assert [str(order.agent_id) for order in Order.objects.filter(state=State.FILLED)] == [agent]
