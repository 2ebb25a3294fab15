"""Limits of API keys: presets, an end, networks, a rate, rotation, last use, and SOL per day over their signals."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.accounts import spending
from nexgent.accounts.models import ApiKey, KeySpend, KeyUse
from nexgent.errors import Refusal
from nexgent.money import LAMPORTS_PER_SOL
from prices import services as prices
from prices.records import PriceTick
from signals import fanout
from signals.models import Verdict
from tests.integration.api_client import Api, signed_in
from tests.racing import together
from trading.models import Order
from wallets import services as wallets
from wallets.models import Wallet

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/api-keys"
SIGNALS = "/api/v1/trading-signals"
MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
OTHER = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"


@pytest.fixture
def owner():
    return signed_in("owner@example.com")


def make(api, **body):
    return api.post(PATH, {"name": "bot", **({} if "preset" in body else {"scopes": ["signals"]}), **body})


def fields(answer):
    return [error["field"] for error in answer.json()["details"]["errors"]]


def test_presets_are_served_and_give_the_least(owner):
    presets = {each["name"]: each["scopes"] for each in owner.get(f"{PATH}/presets").json()}

    made = {name: make(owner, preset=name).json()["scopes"] for name in presets}

    assert (
        presets
        == made
        == {
            "signal_bot": ["signals"],
            "read_only": ["agents", "positions", "balances", "transactions", "history"],
            "trader": ["agents", "positions", "balances", "trade"],
            "strategist": ["agents", "config"],
        }
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"preset": "everything"}, "preset"),
        ({"scopes": ["signals"], "preset": "trader"}, "preset"),
        ({"scopes": None}, "scopes"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"addresses": ["10.0.0.0/33"]}, "addresses"),
        ({"spendLimitSol": 0}, "spendLimitSol"),
        ({"spendLimitSol": "-1"}, "spendLimitSol"),
        ({"ratePerMinute": 0}, "ratePerMinute"),
    ],
)
def test_a_wrong_limit_names_its_field(owner, body, field):
    answer = make(owner, **body)

    assert answer.status_code == 400
    assert fields(answer) == [field]


def test_an_expired_key_is_unknown(owner):
    end = clock.now() + timedelta(hours=1)
    key = make(owner, expiresAt=end.isoformat()).json()
    assert Api(key["key"]).get(SIGNALS).status_code == 200

    ApiKey.objects.update(expires_at=clock.now() - timedelta(seconds=1))

    assert Api(key["key"]).get(SIGNALS).status_code == 401


def test_a_key_is_used_from_its_networks_only(owner, settings):
    key = make(owner, addresses=["203.0.113.0/24", "2001:db8::7"]).json()

    inside = Api(key["key"], address="203.0.113.9").get(SIGNALS)
    six = Api(key["key"], address="2001:db8::7").get(SIGNALS)
    outside = Api(key["key"], address="198.51.100.1").get(SIGNALS)
    forged = Api(key["key"], address="198.51.100.1").get(SIGNALS, **{"X-Forwarded-For": "203.0.113.9"})
    settings.TRUSTED_PROXIES = ("198.51.100.0/24",)
    proxied = Api(key["key"], address="198.51.100.1").get(SIGNALS, **{"X-Forwarded-For": "203.0.113.9"})

    assert key["addresses"] == ["203.0.113.0/24", "2001:db8::7/128"]
    assert (inside.status_code, six.status_code, proxied.status_code) == (200, 200, 200)
    assert [(each.status_code, each.json()["code"]) for each in (outside, forged)] == [(403, "ADDRESS_REFUSED")] * 2


def test_a_rate_of_its_own_counts_all_routes_and_never_a_close(owner):
    agent = owner.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    bot = Api(make(owner, scopes=["signals", "trade", "agents"], ratePerMinute=3).json()["key"])

    answers = [bot.get(path).status_code for path in (SIGNALS, "/api/v1/agents", SIGNALS, SIGNALS)]
    close = bot.post(f"/api/v1/agent-positions/{agent}/018f0000-0000-7000-8000-000000000001/close")

    assert answers == [200, 200, 200, 429]
    assert close.status_code == 404


def test_last_use_is_written_once_a_minute(owner):
    key = make(owner).json()
    assert owner.get(f"{PATH}/{key['id']}").json()["lastUsedAt"] is None

    Api(key["key"], address="203.0.113.9").get(SIGNALS)
    first = KeyUse.objects.get()
    Api(key["key"], address="203.0.113.8").get(SIGNALS)
    second = KeyUse.objects.get()
    KeyUse.objects.update(at=clock.now() - timedelta(seconds=61))
    Api(key["key"], address="203.0.113.7").get(SIGNALS)

    assert (first.at, first.address) == (second.at, second.address)
    assert owner.get(f"{PATH}/{key['id']}").json()["lastUsedFrom"] == "203.0.113.7"


def test_a_rotated_key_s_old_secret_lives_for_its_grace(owner):
    old = make(owner).json()

    new = owner.post(f"{PATH}/{old['id']}/rotate", {"graceSeconds": 600}).json()
    both = [Api(secret).get(SIGNALS).status_code for secret in (old["key"], new["key"])]
    ApiKey.objects.update(previous_until=clock.now() - timedelta(seconds=1))
    after = [Api(secret).get(SIGNALS).status_code for secret in (old["key"], new["key"])]
    last = owner.post(f"{PATH}/{old['id']}/rotate", {"graceSeconds": 0}).json()
    at_once = [Api(secret).get(SIGNALS).status_code for secret in (new["key"], last["key"])]

    assert new["id"] == old["id"]
    assert new["previousGoodUntil"] is not None
    assert (both, after, at_once) == ([200, 200], [401, 200], [401, 200])
    assert fields(owner.post(f"{PATH}/{old['id']}/rotate", {"graceSeconds": 604801})) == ["graceSeconds"]


def test_a_key_is_renamed_and_its_limits_change_one_by_one(owner):
    key = make(owner, spendLimitSol="1.5", ratePerMinute=10).json()

    renamed = owner.patch(f"{PATH}/{key['id']}", {"name": "garage"}).json()
    lifted = owner.patch(f"{PATH}/{key['id']}", {"spendLimitSol": None}).json()

    assert (renamed["name"], renamed["spendLimitSol"], renamed["ratePerMinute"]) == ("garage", "1.5", 10)
    assert (lifted["name"], lifted["spendLimitSol"], lifted["ratePerMinute"]) == ("garage", None, 10)
    assert signed_in("stranger@example.com").patch(f"{PATH}/{key['id']}", {"name": "x"}).status_code == 404


def agent_of(owner, name):
    """An agent with 12 SOL that spends exactly 1 SOL on each signal."""
    sizes = {size: {"min": 1, "max": 1} for size in ("small", "medium", "large")}
    config = {"positionCalculator": {"positionSizes": sizes, "randomization": {"enabled": False}}}
    agent = owner.post("/api/v1/agents", {"name": name, "profile": "ideal", "config": config}).json()["id"]
    wallets.deposit(wallet_id=Wallet.objects.get(assignments__agent=agent).id, lamports=12 * 10**9, author="test")
    return agent


def signalled(key, mint):
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test", liquidity_usd=Decimal(100_000))])
    body = {"tokenAddress": mint, "symbol": "X", "signalType": key[-8:], "signalStrength": 5}
    signal = Api(key).post(SIGNALS, body).json()["id"]
    fanout.drain()
    return {str(verdict.agent_id): verdict.reasons for verdict in Verdict.objects.filter(signal_id=signal)}


def test_the_spend_limit_counts_all_agents_of_a_day_and_other_keys_not(owner):
    agents = sorted(agent_of(owner, f"Agent {number}") for number in range(3))
    limited = make(owner, spendLimitSol=2).json()
    free = make(owner).json()

    first, second, unlimited = (
        signalled(limited["key"], MINT),
        signalled(limited["key"], OTHER),
        signalled(free["key"], OTHER),
    )

    assert sorted(first.values()) == [[], [], ["key_spend_limit"]]
    assert list(second.values()) == [["key_spend_limit"]] * 3
    assert list(unlimited.values()) == [[]] * 3
    assert sorted(first) == agents
    assert owner.get(f"{PATH}/{limited['id']}").json()["spentTodaySol"] == "2"
    assert Order.objects.count() == 5
    assert not KeySpend.objects.filter(key_id=free["id"]).exists()


def test_yesterday_s_spending_does_not_count(owner):
    agent_of(owner, "Momentum")
    key = make(owner, spendLimitSol=1).json()
    yesterday = clock.now().date() - timedelta(days=1)
    KeySpend.objects.create(key_id=key["id"], day=yesterday, lamports=LAMPORTS_PER_SOL)

    assert list(signalled(key["key"], MINT).values()) == [[]]


def test_two_entries_at_once_cannot_both_take_the_last_sol(owner):
    key_id = ApiKey.objects.get(id=make(owner, spendLimitSol=5).json()["id"]).id

    def enter():
        from django.db import transaction

        with transaction.atomic():
            purses = spending.Purses([key_id])
            try:
                purses.take(key_id, LAMPORTS_PER_SOL)
                outcome = "in"
            except Refusal as refusal:
                outcome = refusal.code
            purses.close()
        return outcome

    outcomes = together([enter] * 12)

    assert sorted(outcomes) == ["KEY_SPEND_LIMIT"] * 7 + ["in"] * 5
    assert KeySpend.objects.get().lamports == 5 * LAMPORTS_PER_SOL


def test_keys_without_a_limit_ask_the_database_nothing(owner, django_assert_num_queries):
    with django_assert_num_queries(0):
        purses = spending.Purses([None, None])
        purses.take(None, LAMPORTS_PER_SOL)
        purses.close()
        assert spending.limited([None]) == frozenset()
