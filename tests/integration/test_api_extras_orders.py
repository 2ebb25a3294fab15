"""Orders over REST: the filtered journal, and one order with its decision, latencies and sentence."""

import pytest

from signals import fanout
from tests.integration.api_client import signed_in
from tests.integration.api_trading import ABSENT, MINT, buy, inline_prices, seller, tick, trader  # noqa: F401
from trading.models import Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]
ORDERS = "/api/v1/orders"
OTHER = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"


def bought_and_sold():
    """Two buys of two tokens and a part sale of the first."""
    api, agent = trader()
    tick("0.001")
    tick("0.5", mint=OTHER)
    first = buy(api, agent).json()
    second = buy(api, agent, tokenAddress=OTHER, tokenSymbol="WIF").json()
    sold = api.post(f"/api/v1/agent-positions/{agent}/{first['positionId']}/close", {"percent": 50}).json()
    return api, agent, [first, second, sold]


@pytest.mark.usefixtures("seller")
def test_orders_are_listed_newest_first_and_filtered():
    api, agent, (first, second, sold) = bought_and_sold()

    def found(**query):
        return [row["id"] for row in api.get(ORDERS, query).json()]

    everything = [sold["orderId"], second["orderId"], first["orderId"]]
    assert found() == found(agentId=agent) == found(state="filled") == everything
    assert found(side="sell") == found(purpose="manual") == [sold["orderId"]]
    assert found(positionId=first["positionId"]) == [sold["orderId"], first["orderId"]]
    assert found(tokenAddress=OTHER) == found(q="wif") == [second["orderId"]]
    assert found(state="open") == found(signalId=7) == found(endTime="2020-01-01") == []
    assert found(startTime="2020-01-01", sort="createdAt") == everything[::-1]


@pytest.mark.usefixtures("seller")
def test_a_row_of_the_list_is_the_order_without_its_details():
    api, _, (first, *_) = bought_and_sold()

    one = api.get(f"{ORDERS}/{first['orderId']}").json()
    row = api.get(ORDERS, {"side": "buy", "tokenAddress": MINT}).json()[0]

    assert {name: one[name] for name in row} == row
    assert set(one) - set(row) == {"decision", "attempts", "latencyMs", "explanation"}
    assert (row["fill"]["outputAmount"], row["transactionId"]) == ("1000", first["transactionId"])


def test_the_list_takes_as_many_statements_for_ten_orders_as_for_one(django_assert_max_num_queries):
    api, agent = trader()
    tick("0.001")
    buy(api, agent, "0.1")
    order = Order.objects.get()
    for number in range(9):
        order.id = order.key = f"018f0000-0000-7000-8000-00000000010{number}"
        order.save(force_insert=True)

    with django_assert_max_num_queries(6):
        assert len(api.get(ORDERS).json()) == 10


@pytest.mark.usefixtures("seller")
def test_one_order_tells_its_decision_latencies_and_why():
    api, _, (first, _, sold) = bought_and_sold()

    entry = api.get(f"{ORDERS}/{first['orderId']}").json()
    sale = api.get(f"{ORDERS}/{sold['orderId']}").json()

    assert entry["explanation"] == "A person asked to buy at 0.001 SOL (test). Bought 1000 BONK for 1 SOL."
    assert sale["explanation"] == "A person asked to sell at 0.001 SOL (test). Sold 500 BONK for 0.5 SOL."
    assert (sale["decision"]["isFull"], sale["decision"]["part"], sale["decision"]["exitAmount"]) == (False, 1, "500")
    assert (sale["decision"]["peakPrice"], sale["decision"]["stopPercent"]) == ("0.001", "-32")
    assert (entry["decision"]["reason"], entry["decision"]["isFull"], entry["attempts"]) == ("manual", None, [])
    assert entry["latencyMs"]["received"] == 0
    assert set(entry["latencyMs"]) == set(entry["stages"])


def test_an_entry_of_a_signal_names_it():
    api, _agent = trader()
    tick("0.001")
    body = {"tokenAddress": MINT, "signalType": "Breakout", "signalStrength": 5}
    signal = api.post("/api/v1/trading-signals", body).json()["id"]
    fanout.drain()

    rows = api.get(ORDERS, {"signalId": signal}).json()

    assert [row["purpose"] for row in rows] == ["entry"]
    sentence = api.get(f"{ORDERS}/{rows[0]['id']}").json()["explanation"]
    assert sentence.startswith(f"Signal {signal} (Breakout) led to an entry at 0.001 SOL (test). Bought ")


def test_orders_page_by_cursor():
    api, agent = trader()
    tick("0.001")
    tick("0.5", mint=OTHER)
    ids = [buy(api, agent, "0.1").json()["orderId"], buy(api, agent, "0.1", tokenAddress=OTHER).json()["orderId"]]

    first = api.get(ORDERS, {"limit": 1, "total": "true"})

    assert ([row["id"] for row in first.json()], first.headers["X-Total-Count"]) == ([ids[1]], "2")
    path = first.headers["Link"].removeprefix("<").split(">")[0]
    assert [row["id"] for row in api.get(path).json()] == [ids[0]]


def test_orders_of_others_do_not_exist():
    api, agent = trader()
    tick("0.001")
    order = buy(api, agent).json()["orderId"]
    stranger = signed_in("stranger@example.com")

    assert stranger.get(ORDERS).json() == []
    assert stranger.get(ORDERS, {"agentId": agent}).status_code == 404
    assert stranger.get(f"{ORDERS}/{order}").status_code == 404
    assert api.get(ORDERS, {"agentId": ABSENT}).json()["code"] == "AGENT_NOT_FOUND"


@pytest.mark.parametrize(
    "query",
    [{"state": "done"}, {"side": "both"}, {"purpose": "fun"}, {"agentId": "x"}, {"signalId": "x"}, {"sort": "x"}],
)
def test_a_wrong_filter_of_orders_is_400(query):
    answer = signed_in("a@example.com").get(ORDERS, query)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["details"]["errors"]] == list(query)
