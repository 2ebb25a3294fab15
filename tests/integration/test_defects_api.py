"""Regression tests of the defects of the REST interface that move money (reference/domain.md section 20)."""

import pytest

from nexgent import money
from tests.integration.api_trading import buy, inline_prices, tick, trader  # noqa: F401
from trading.books import check
from trading.models import Fill, Position

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
