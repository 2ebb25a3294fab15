"""Tokens, candles, verdicts and the ledger over REST."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.accounts.models import Membership, Role, User
from nexgent.api.wire import stamp
from nexgent.money import SOL_MINT
from prices.models import Candle, Token
from signals import fanout
from tests.integration.api_client import Api, signed_in
from tests.integration.api_trading import (  # noqa: F401
    ABSENT,
    MINT,
    buy,
    deposit,
    inline_prices,
    seller,
    tick,
    trader,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]
OTHER = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def candles(*bars, mint=MINT, seconds=60):
    """(minutes after noon, open, high, low, close)."""
    Token.objects.get_or_create(mint=mint)
    for minute, *prices in bars:
        values = dict(zip(("open", "high", "low", "close"), map(Decimal, prices), strict=True))
        Candle.objects.create(mint=mint, seconds=seconds, start=NOON + timedelta(minutes=minute), ticks=3, **values)


def demote(email, role):
    Membership.objects.filter(user=User.objects.get(email=email)).update(role=role)


def test_candles_come_oldest_first_and_are_made_coarser():
    api = signed_in("a@example.com")
    candles(
        (0, "1", "3", "0.5", "2"), (4, "2", "2.5", "1", "1.5"), (5, "1.5", "9", "1.5", "8"), (65, "4", "4", "4", "4")
    )
    path, span = f"/api/v1/tokens/{MINT}/candles", {"from": stamp(NOON), "to": "2026-05-01T14:00:00Z"}

    minutes = api.get(path, span).json()
    fives = api.get(path, {**span, "interval": "5m"}).json()
    hours = api.get(path, {**span, "interval": "1h"}).json()

    assert [bar["time"][11:16] for bar in minutes] == ["12:00", "12:04", "12:05", "13:05"]
    assert fives[0] == {
        "time": "2026-05-01T12:00:00.000Z",
        "open": "1",
        "high": "3",
        "low": "0.5",
        "close": "1.5",
        "ticks": 6,
    }
    assert [(bar["time"][11:16], bar["open"], bar["close"]) for bar in hours] == [
        ("12:00", "1", "8"),
        ("13:00", "4", "4"),
    ]
    assert [bar["time"][11:16] for bar in api.get(path, {**span, "limit": 1}).json()] == ["13:05"]


def test_an_hour_reads_rolled_up_hours_and_minutes_together():
    api = signed_in("a@example.com")
    candles((-60, "7", "8", "6", "7.5"), seconds=3600)
    candles((0, "1", "3", "0.5", "2"))
    query = {"interval": "4h", "from": "2026-05-01T08:00:00Z", "to": "2026-05-01T16:00:00Z"}

    bars = api.get(f"/api/v1/tokens/{MINT}/candles", query).json()

    assert [(bar["time"][11:16], bar["high"], bar["low"]) for bar in bars] == [
        ("08:00", "8", "6"),
        ("12:00", "3", "0.5"),
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"interval": "2m"}, "interval"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-05-02", "to": "2026-05-01"}, "from"),
        ({"limit": 1501}, "limit"),
        ({"to": "0001-01-01"}, "to"),
    ],
)
def test_wrong_candles_are_400(query, field):
    Token.objects.create(mint=MINT)

    answer = signed_in("a@example.com").get(f"/api/v1/tokens/{MINT}/candles", query)

    assert (answer.status_code, answer.json()["details"]["errors"][0]["field"]) == (400, field)


def test_an_unknown_token_is_404_and_no_address_is_400():
    api = signed_in("a@example.com")

    for path in (f"/api/v1/tokens/{OTHER}", f"/api/v1/tokens/{OTHER}/candles"):
        assert (api.get(path).status_code, api.get(path).json()["code"]) == (404, "TOKEN_NOT_FOUND")
        assert api.get(path.replace(OTHER, "nonsense")).status_code == 400
    assert Api().get("/api/v1/tokens").status_code == 401


def test_tokens_are_searched_sorted_and_priced():
    api = signed_in("a@example.com")
    tick("0.001", usd=Decimal("0.2"))
    Token.objects.filter(mint=MINT).update(symbol="BONK", name="Bonk Inu", decimals=5)
    Token.objects.create(mint=OTHER, symbol="WIF")

    found = api.get("/api/v1/tokens", {"q": "inu"}).json()

    assert [row["symbol"] for row in found] == ["BONK"]
    assert (found[0]["priceSol"], found[0]["priceUsd"], found[0]["liquidityUsd"]) == ("0.001", "0.2", "100000")
    assert (found[0]["priceState"], found[0]["decimals"], found[0]["priceSource"]) == ("fresh", 5, "test")
    other = api.get(f"/api/v1/tokens/{OTHER}").json()
    assert (other["priceState"], other["priceSol"], other["name"]) == ("unpriced", None, None)
    ordered = api.get("/api/v1/tokens", {"sort": "tokenAddress", "total": "true"})
    assert [row["tokenAddress"] for row in ordered.json()] == sorted([MINT, OTHER, SOL_MINT])
    assert ordered.headers["X-Total-Count"] == "3"


def judged():
    """A signal that was followed, and one that was skipped because the position exists."""
    api, agent = trader()
    tick("0.001")
    ids = []
    for kind in ("First", "Second"):
        body = {"tokenAddress": MINT, "signalType": kind, "signalStrength": 5, "externalRef": kind}
        ids.append(api.post("/api/v1/trading-signals", body).json()["id"])
        fanout.drain()
    return api, agent, ids


def test_every_verdict_has_reasons_stages_and_latencies():
    api, agent, ids = judged()

    followed = api.get(f"/api/v1/trading-signals/{ids[0]}/executions").json()[0]
    skipped = api.get(f"/api/v1/trading-signals/{ids[1]}/executions").json()[0]

    assert (followed["status"], followed["reasons"]) == ("EXECUTED", [])
    assert {"received", "verdict", "order_committed", "quoted", "submitted", "filled"} <= set(followed["stages"])
    assert (skipped["status"], skipped["orderId"], skipped["reasons"]) == ("SKIPPED", None, ["position_exists"])
    assert set(skipped["stages"]) == set(skipped["latencyMs"]) == {"received", "verdict"}
    for row in (followed, skipped):
        assert row["latencyMs"]["received"] == 0
        assert min(row["latencyMs"].values()) == 0
    assert followed["agentId"] == agent


def test_an_agents_verdicts_are_listed_with_their_signals():
    api, agent, ids = judged()
    path = f"/api/v1/agents/{agent}/verdicts"

    rows = api.get(path).json()

    assert [(row["signalId"], row["status"], row["externalRef"]) for row in rows] == [
        (ids[1], "SKIPPED", "Second"),
        (ids[0], "EXECUTED", "First"),
    ]
    assert [row["signalId"] for row in api.get(path, {"traded": "true"}).json()] == [ids[0]]
    assert [row["signalId"] for row in api.get(path, {"reason": "position_exists"}).json()] == [ids[1]]
    assert api.get(path, {"tokenAddress": OTHER}).json() == []
    first = api.get(path, {"limit": 1})
    following = api.get(first.headers["Link"].removeprefix("<").split(">")[0])
    assert [row["signalId"] for row in [*first.json(), *following.json()]] == [ids[1], ids[0]]
    api.delete(f"/api/v1/trading-signals/{ids[0]}")
    assert [row["signalId"] for row in api.get(path).json()] == [ids[1]]


def test_verdicts_of_others_do_not_exist():
    api, agent, _ = judged()
    stranger = signed_in("stranger@example.com")

    assert stranger.get(f"/api/v1/agents/{agent}/verdicts").json()["code"] == "AGENT_NOT_FOUND"
    assert api.get(f"/api/v1/agents/{agent}/verdicts", {"traded": "maybe"}).status_code == 400


def address_of(api, agent):
    return api.get(f"/api/v1/wallets/agent/{agent}").json()["agentWallets"][0]["walletAddress"]


def test_the_ledger_shows_each_line_of_each_entry():
    api, agent = trader()
    tick("0.001")
    bought = buy(api, agent).json()
    wallet = address_of(api, agent)

    rows = api.get("/api/v1/ledger/entries", {"walletAddress": wallet}).json()

    assert [row["entryType"] for row in rows] == ["SWAP", "DEPOSIT"]
    assert (rows[0]["orderId"], rows[0]["id"], rows[0]["epoch"]) == (bought["orderId"], bought["transactionId"], 1)
    lines = {(line["account"], line["tokenSymbol"]): line["amount"] for line in rows[0]["postings"]}
    assert lines == {("own", "SOL"): "-1", ("market", "SOL"): "1", ("own", "BONK"): "1000", ("market", "BONK"): "-1000"}
    assert rows[1]["author"] == "trader@example.com"
    for row in rows:
        sums: dict[str, int] = {}
        for line in row["postings"]:
            sums[line["tokenAddress"]] = sums.get(line["tokenAddress"], 0) + int(line["units"])
        assert set(sums.values()) == {0}


def test_entries_are_filtered_and_paged():
    api, agent = trader(sol=None)
    for amount in ("1", "2", "3"):
        deposit(api, agent, amount)
    deposit(api, agent, "-1", kind="ADJUSTMENT", reason="lost keys")
    query = {"walletAddress": address_of(api, agent)}

    def own(**more):
        rows = api.get("/api/v1/ledger/entries", {**query, **more}).json()
        return [next(line["amount"] for line in row["postings"] if line["account"] == "own") for row in rows]

    assert own() == ["-1", "3", "2", "1"]
    assert own(entryType="ADJUSTMENT") == own(q="KEYS") == own(account="adjustment") == ["-1"]
    assert own(sort="time", limit=2) == ["1", "2"]
    assert own(epoch=2) == own(tokenAddress=OTHER) == own(endTime="2020-01-01") == []
    counted = api.get("/api/v1/ledger/entries", {**query, "limit": 3, "total": "true"})
    assert counted.headers["X-Total-Count"] == "4"
    last = api.get(counted.headers["Link"].removeprefix("<").split(">")[0]).json()
    assert [row["postings"][0]["amount"] for row in last] == ["1"]


def test_balances_now_and_at_a_time():
    api, agent = trader(sol="5")
    between = clock.now()
    deposit(api, agent, "2.5")
    query = {"walletAddress": address_of(api, agent)}

    def held(**more):
        rows = api.get("/api/v1/ledger/balances", {**query, **more}).json()
        return [(row["tokenSymbol"], row["balance"], row["units"], row["held"]) for row in rows]

    assert held() == [("SOL", "7.5", "7500000000", "0")]
    assert held(at=between.isoformat()) == [("SOL", "5", "5000000000", "0")]
    assert held(at="2020-01-01") == []


def test_the_ledger_is_for_auditors_of_the_workspace():
    api, agent = trader(sol="1")
    wallet = address_of(api, agent)
    stranger = signed_in("stranger@example.com")

    for path in ("/api/v1/ledger/entries", "/api/v1/ledger/balances"):
        assert stranger.get(path, {"walletAddress": wallet}).json()["code"] == "WALLET_NOT_FOUND"
        assert api.get(path).json()["details"]["errors"] == [{"field": "walletAddress", "message": "is required"}]
        demote("trader@example.com", Role.VIEWER)
        assert api.get(path, {"walletAddress": wallet}).status_code == 403
        demote("trader@example.com", Role.AUDITOR)
        assert api.get(path, {"walletAddress": wallet}).status_code == 200
    assert api.get("/api/v1/ledger/entries", {"walletAddress": wallet, "orderId": "x"}).status_code == 400
    assert api.get("/api/v1/ledger/entries", {"walletAddress": wallet, "orderId": ABSENT}).json() == []
