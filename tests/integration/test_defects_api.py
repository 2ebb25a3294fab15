"""Regression tests of the defects of the REST interface that move money (reference/domain.md section 20)."""

import pytest

from agents.models import Assignment
from nexgent import money
from tests.integration.api_trading import buy, inline_prices, tick, trader  # noqa: F401
from trading.books import check
from trading.models import Fill, Position
from wallets import services as wallets
from wallets.models import Wallet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def test_d29_a_purchase_cannot_be_edited_or_deleted_away_and_shows_what_it_paid():
    api, agent = trader()
    tick("0.001")
    assert buy(api, agent).status_code == 200
    path = "/api/v1/agent-transactions"
    entries = api.get(path, {"agentId": agent}).json()
    swap = next(entry for entry in entries if entry["transactionType"] == "SWAP")

    answers = [api.put(f"{path}/{swap['id']}", {"inputAmount": "9"}), api.delete(f"{path}/{swap['id']}")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "LEDGER_IMMUTABLE")] * 2
    assert swap["inputAmount"] == money.text(money.sol(Fill.objects.get().amount_in))
    assert Position.objects.get().closed_at is None
    assert check().problems == ()


@pytest.mark.parametrize("end", ["delete", "unassign", "reset", "assign"])
def test_d34_no_end_over_rest_forgets_what_a_live_wallet_holds(end):
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    wallet = Wallet.objects.get(assignments__agent_id=agent)
    Wallet.objects.filter(id=wallet.id).update(kind="live")
    Assignment.objects.filter(agent_id=agent).update(mode="live")
    other = wallets.wallet_create(
        workspace_id=wallet.workspace_id, kind="live", address="9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
    )
    assign = {"agentId": agent, "walletAddress": other.address, "walletType": "live"}

    answer = {
        "delete": lambda: api.delete(f"/api/v1/agents/{agent}"),
        "unassign": lambda: api.post(f"/api/v1/wallets/{wallet.address}/unassign", {"confirm": True}),
        "reset": lambda: api.post(f"/api/v1/wallets/{wallet.address}/reset", {"confirm": True}),
        "assign": lambda: api.post("/api/v1/wallets/assign", assign),
    }[end]()

    assert (answer.status_code, answer.json()["code"]) == (409, "OPEN_POSITIONS")
    assert [row["id"] for row in api.get(f"/api/v1/agent-positions/{agent}").json()] == [position]
    assert Position.objects.get().closed_at is None


def test_d34_another_wallet_leaves_the_history_of_the_one_before_with_it():
    api, agent = trader()
    before = Wallet.objects.get(assignments__agent_id=agent)
    body = {"agentId": agent, "walletAddress": "sim_2VfUX7vDzGqRuwbGUPGZJrmKCrgYvpnFzp9Kn2ZW"}

    answer = api.post("/api/v1/wallets/assign", {**body, "walletType": "simulation"})

    entries = api.get("/api/v1/agent-transactions", {"agentId": agent}).json()
    assert answer.status_code == 200
    assert [(row["transactionType"], row["walletAddress"]) for row in entries] == [("DEPOSIT", before.address)]
    assert api.get("/api/v1/agent-balances", {"agentId": agent}).json() == []
    assert check().problems == ()
