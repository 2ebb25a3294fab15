"""Quotes over REST: what a buy or a sale would do now, all that stands against it, and that nothing is kept."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.accounts.models import Membership, Role, User
from nexgent.events.models import Event
from nexgent.money import SOL_MINT
from prices import services as prices
from prices.records import PriceTick
from tests.integration.api_client import signed_in
from tests.integration.api_trading import ABSENT, MINT, buy, inline_prices, seller, tick, trader  # noqa: F401
from trading.models import Order, Position, ProtectionLock
from wallets.models import Entry, Hold

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inline_prices")]


def quote(api, agent, **body):
    return api.post(f"/api/v1/agents/{agent}/quote", {"side": "buy", "tokenAddress": MINT, **body})


def codes(answer):
    return [refusal["code"] for refusal in answer.json()["refusals"]]


def test_a_buy_is_foreseen_to_the_unit_and_nothing_is_kept():
    api, agent = trader()
    tick("0.001")
    before = (Order.objects.count(), Hold.objects.count(), Entry.objects.count(), Event.objects.count())

    answer = quote(api, agent, positionSize="2")

    body = answer.json()
    assert (answer.status_code, body["allowed"], body["refusals"]) == (200, True, [])
    assert (body["inputAmount"], body["outputAmount"], body["requestedAmount"]) == ("2", "2000", "2")
    assert (body["price"], body["priceSource"], body["priceState"], body["solUsd"]) == ("0.001", "test", "fresh", "200")
    assert [body[f"{name}Sol"] for name in ("protocolFee", "networkFee", "rent")] == ["0", "0", "0"]
    assert (body["priceImpact"], body["profile"], body["positionId"]) == ("0", "ideal", None)
    assert (Order.objects.count(), Hold.objects.count(), Entry.objects.count(), Event.objects.count()) == before
    assert buy(api, agent, "2").json()["outputAmount"] == 2000


def test_a_realistic_buy_tells_impact_and_fees_of_an_order_that_lands():
    api, agent = trader()
    api.put(f"/api/v1/agents/{agent}", {"profile": "realistic"})
    tick("0.001")

    body = quote(api, agent, positionSize="1").json()

    # 100,000 USD of liquidity at 200 USD per SOL: 250 SOL on the pool's SOL side, 0.25 % pool fee.
    assert body["priceImpact"].startswith("0.0039741")
    assert (body["inputAmount"], body["rentSol"]) == ("1", "0.00203928")
    assert Decimal("0.000025") <= Decimal(body["networkFeeSol"]) <= Decimal("0.000205")
    assert Decimal("993") < Decimal(body["outputAmount"]) < Decimal("994")


def test_the_impact_gate_shrinks_and_at_last_refuses():
    api, agent = trader()
    api.put(f"/api/v1/agents/{agent}", {"profile": "realistic"})
    path = f"/api/v1/agents/{agent}/config"
    tick("0.001")

    api.put(path, {"config": {"purchaseLimits": {"maxPriceImpact": 0.0038}}})
    shrunk = quote(api, agent, positionSize="1").json()
    api.put(path, {"config": {"purchaseLimits": {"maxPriceImpact": 0.001}}})
    refused = quote(api, agent, positionSize="1")

    assert (shrunk["inputAmount"], shrunk["requestedAmount"], shrunk["priceImpactLimit"]) == ("0.9", "1", "0.0038")
    assert (codes(refused), refused.json()["allowed"]) == (["PRICE_IMPACT_TOO_HIGH"], False)
    assert refused.json()["outputAmount"] is None


def test_without_a_size_the_rules_choose_and_say_so():
    api, agent = trader(sol="7")
    tick("0.001")

    body = quote(api, agent).json()

    bought = api.get(f"/api/v1/agents/{agent}/config").json()["config"]["positionCalculator"]
    sizes = bought["positionSizes"]["medium" if bought["solBalanceThresholds"]["medium"] <= 7 else "small"]
    assert body["isRandomised"] is bought["randomization"]["enabled"]
    assert sizes["min"] <= float(body["inputAmount"]) <= sizes["max"]


def test_every_refusal_is_told_not_only_the_first():
    api, agent = trader(sol=None)
    old = clock.now() - timedelta(seconds=20)
    prices.publish([PriceTick(MINT, Decimal("0.001"), old, "test"), PriceTick(SOL_MINT, Decimal(1), old, "test")])
    api.put(f"/api/v1/agents/{agent}/config", {"config": {"tokenGate": {"refuseFlagged": True}}})
    ProtectionLock.objects.create(
        agent_id=agent,
        protection="cooldown",
        reason="just because",
        starts_at=clock.now() - timedelta(minutes=1),
        ends_at=clock.now() + timedelta(minutes=1),
    )

    answer = quote(api, agent, positionSize="1")

    assert codes(answer) == ["PROTECTION_ACTIVE", "INSUFFICIENT_BALANCE", "TOKEN_REFUSED", "PRICE_STALE"]
    assert answer.json()["priceState"] == "fresh"  # for exits: their limit is wider
    assert answer.json()["allowed"] is False


def test_a_token_without_a_price_and_a_text_that_is_no_token():
    api, agent = trader()

    unpriced, nonsense = quote(api, agent, positionSize="1"), quote(api, agent, tokenAddress="nonsense")

    assert (codes(unpriced), unpriced.json()["priceState"], unpriced.json()["price"]) == (
        ["PRICE_UNKNOWN"],
        "unpriced",
        None,
    )
    assert (nonsense.status_code, nonsense.json()["code"]) == (400, "INVALID_TOKEN")


def test_a_protection_that_would_pause_is_foreseen_but_not_recorded():
    api, agent = trader()
    tick("0.001")
    buy(api, agent)
    now = clock.now()
    Position.objects.update(closed_at=now, close_reason="stop_loss", realised_lamports=-1, remaining_units=0)
    api.put(f"/api/v1/agents/{agent}/config", {"config": {"protections": {"cooldown": {"minutes": 5}}}})

    answer = quote(api, agent, positionSize="1")

    assert codes(answer) == ["PROTECTION_ACTIVE"]
    assert ProtectionLock.objects.count() == 0


@pytest.mark.usefixtures("seller")
def test_a_sale_is_foreseen_whole_by_percent_and_by_amount():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    tick("0.002")

    whole = quote(api, agent, side="sell").json()
    part = quote(api, agent, side="sell", positionId=position, percent=25).json()
    amount = quote(api, agent, side="sell", positionId=position, amount="100.5").json()

    assert (whole["positionId"], whole["inputAmount"], whole["outputAmount"]) == (position, "1000", "2")
    assert (part["inputAmount"], part["outputAmount"]) == ("250", "0.5")
    assert (amount["inputAmount"], amount["outputAmount"], amount["allowed"]) == ("100.5", "0.201", True)
    assert Order.objects.filter(side=1).count() == 0
    sold = api.post(f"/api/v1/agent-positions/{agent}/{position}/close", {"percent": 25}).json()
    assert (sold["inputAmount"], sold["outputAmount"]) == (250, 0.5)


def test_a_sale_that_would_be_refused_says_why():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent, "0.1").json()["positionId"]
    small = quote(api, agent, side="sell", positionId=position, percent=1)
    api.post(f"/api/v1/agents/{agent}/positions/close-all", {"percent": 50})

    assert (codes(small), small.json()["allowed"]) == (["BELOW_MINIMUM_TRADE"], False)
    assert codes(quote(api, agent, side="sell")) == ["SALE_IN_PROGRESS"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"side": "both"}, "side"),
        ({"tokenAddress": None}, "tokenAddress"),
        ({"side": "sell", "tokenAddress": None}, "positionId"),
        ({"side": "sell", "percent": 10, "amount": 1}, "amount"),
        ({"positionSize": 0}, "positionSize"),
        ({"positionId": "x"}, "positionId"),
        ({"positionId": ABSENT}, "positionId"),
        ({"percent": 10}, "percent"),
        ({"side": "sell", "positionSize": 1}, "positionSize"),
    ],
)
def test_a_wrong_question_is_400(body, field):
    api, agent = trader(sol=None)

    answer = quote(api, agent, **body)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["details"]["errors"]] == [field]


def test_quotes_are_for_traders_of_the_workspace():
    api, agent = trader()
    tick("0.001")
    position = buy(api, agent).json()["positionId"]
    stranger, other = trader("stranger@example.com", sol=None)

    assert quote(stranger, agent).json()["code"] == "AGENT_NOT_FOUND"
    assert quote(stranger, other, side="sell", positionId=position).json()["code"] == "POSITION_NOT_FOUND"
    assert quote(api, agent, side="sell", positionId=ABSENT).status_code == 404
    assert quote(api, agent, walletAddress="sim_of_somebody_else").json()["code"] == "WALLET_NOT_FOUND"
    Membership.objects.filter(user=User.objects.get(email="trader@example.com")).update(role=Role.VIEWER)
    assert quote(api, agent).status_code == 403
    assert quote(signed_in("third@example.com"), "x").status_code == 400


def test_quotes_are_limited_like_buys_and_count_with_them():
    api, agent = trader()
    tick("0.001")

    first = quote(api, agent, positionSize="1")
    bought = api.post("/api/v1/trades/execute", {})

    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("60", "59")
    assert (bought.headers["RateLimit-Limit"], bought.headers["RateLimit-Remaining"]) == ("60", "58")
