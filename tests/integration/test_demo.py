"""The demo: which market it chooses, what it makes, and that it trades by itself."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from agents.models import Agent, Assignment
from nexgent import clock, money
from nexgent.accounts import services as accounts
from nexgent.accounts.models import Membership
from nexgent.runtime import demo
from nexgent.runtime.strategies import STRATEGIES
from prices import services as prices
from prices.feeds import registry
from prices.feeds.synthetic import SOURCE, SyntheticFeed
from prices.models import Candle, LatestPrice, Tick, Token
from prices.records import PriceTick
from signals import fanout, momentum
from signals.models import Signal, Verdict
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault
from tests.trader import START, new_mint, tape_clock
from trading.books import check
from trading.models import Order, PortfolioSnapshot, Purpose, State
from wallets.models import Entry, EntryKind
from wallets.selectors import sol_balances

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def settled(settings, tmp_path):
    """Settings that the demo changes are put back afterwards, and feeds made anew."""
    settings.DATA_DIR = tmp_path
    settings.DEMO_MARKET = settings.DEMO_WORKSPACE_ID = ""
    settings.PRICE_FEEDS = ("jupiter",)
    settings.JUPITER_API_KEY = ""
    settings.JUPITER_API_URL = NOBODY
    settings.SOLANA_RPC_URLS = (NOBODY,)
    registry.forget()
    yield settings
    registry.forget()


@pytest.fixture
def owner():
    user = accounts.create_first_admin("admin@localhost", "correct horse battery 9")
    return Membership.objects.get(user=user)


@pytest.fixture
def jupiter(settings):
    with FakeJupiter() as server:
        settings.JUPITER_API_URL = server.url
        yield server


def test_a_feed_that_answers_is_a_live_market(jupiter):
    assert demo.choose_market() == "live"
    assert [path for path, _, _ in jupiter.requests] == ["/price/v3"]


def test_nobody_there_is_a_made_up_market():
    assert demo.choose_market() == "synthetic"


@pytest.mark.parametrize(
    "fault",
    [Fault(status=401), Fault(status=500), Fault(body=b"<html>welcome to the captive portal"), Fault(body=b"{}")],
)
def test_a_feed_that_has_no_price_of_sol_is_a_made_up_market(jupiter, fault):
    jupiter.fault = fault

    assert demo.choose_market() == "synthetic"


def test_a_silent_feed_is_waited_for_no_longer_than_the_patience(jupiter, monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.2)
    jupiter.fault = Fault(silent_seconds=2)

    assert demo.choose_market() == "synthetic"


def test_it_makes_agents_of_different_strategies_with_their_sol(owner):
    demo.prepare()

    agents = list(Agent.objects.order_by("id"))
    assert [agent.name for agent in agents] == [strategy.name for strategy in STRATEGIES]
    assert {(agent.mode, agent.profile, agent.workspace_id) for agent in agents} == {
        ("simulation", "realistic", owner.workspace_id)
    }
    assert len({json.dumps(agent.config.data, sort_keys=True) for agent in agents}) == 5
    wallets = dict(Assignment.objects.values_list("agent_id", "wallet_id"))
    funds = sol_balances(list(wallets.values()))
    assert [funds[wallets[agent.id]].units for agent in agents] == [money.lamports(s.sol) for s in STRATEGIES]
    assert set(Entry.objects.values_list("kind", flat=True)) == {EntryKind.DEPOSIT}
    assert PortfolioSnapshot.objects.count() == 5


def test_a_second_start_adds_nothing_even_where_things_were_renamed_and_archived(owner):
    demo.prepare()
    first, second = Agent.objects.order_by("id")[:2]
    Agent.objects.filter(id=first.id).update(name="Mine now")
    Agent.objects.filter(id=second.id).update(archived_at=clock.now())
    before = (Agent.objects.count(), Entry.objects.count(), Token.objects.count(), Tick.objects.count())

    demo.prepare()

    assert (Agent.objects.count(), Entry.objects.count(), Token.objects.count(), Tick.objects.count()) == before


def test_the_processes_read_the_market_from_a_file(owner, settled, tmp_path):
    demo.prepare()

    assert json.loads((tmp_path / "demo.json").read_text()) == {
        "market": "synthetic",
        "workspace": str(owner.workspace_id),
    }
    assert (settled.DEMO_MARKET, settled.PRICE_FEEDS) == ("synthetic", ("synthetic",))


def test_a_live_market_keeps_its_feeds_and_makes_nothing_up(owner, settled, jupiter):
    demo.prepare()

    assert (settled.DEMO_MARKET, settled.PRICE_FEEDS) == ("live", ("jupiter",))
    assert (LatestPrice.objects.count(), Candle.objects.count()) == (0, 0)
    assert momentum.tokens() == list(settled.DEMO_TOKENS)


def test_the_tokens_of_a_live_market_are_described_before_anybody_polls(owner, settled, jupiter):
    for mint in settled.DEMO_TOKENS:
        jupiter.token(mint, symbol="KNOWN", decimals=6)

    demo.prepare()

    known = Token.objects.filter(mint__in=settled.DEMO_TOKENS, facts_at__isnull=False)
    assert set(known.values_list("mint", "symbol", "decimals")) == {(m, "KNOWN", 6) for m in settled.DEMO_TOKENS}
    assert [path for path, _, _ in jupiter.requests] == ["/price/v3", "/tokens/v2/search"]


def test_a_made_up_market_is_labelled_and_has_a_past(owner):
    demo.prepare()

    assert LatestPrice.objects.count() == 12
    for model in (LatestPrice, Tick):
        assert set(model.objects.values_list("source", flat=True)) == {SOURCE}
    assert all(token.name.endswith("(demo)") for token in Token.objects.exclude(name=""))
    mint = momentum.tokens()[0]
    assert 15 <= Candle.objects.filter(mint=mint, seconds=60).count() <= 16


def test_the_feed_goes_on_where_the_past_ended(owner):
    demo.prepare()
    known = dict(LatestPrice.objects.values_list("token_id", "price_sol"))

    feed = registry.synthetic()

    assert isinstance(feed, SyntheticFeed)
    assert {mint: money.quantise(path.price) for mint, path in feed._paths.items()} == known


def test_what_rises_becomes_a_signal_that_the_agents_trade(owner):
    with tape_clock(START + timedelta(seconds=50)) as tape:
        demo.prepare()
        tape.set(START + timedelta(seconds=61))

        told = momentum.run()
        fanout.drain()

        assert told
        assert {(signal.source, signal.user_id) for signal in told} == {("momentum", owner.user_id)}
        assert all(signal.external_ref.startswith(f"momentum:{signal.token_address}:") for signal in told)
        assert Verdict.objects.count() == 5 * len(told)


def test_agents_buy_on_a_momentum_signal(owner):
    demo.prepare()
    mint = momentum.tokens()[0]
    now = clock.now()
    price = PriceTick(mint, Decimal("0.00001"), now, SOURCE, liquidity_usd=Decimal(200_000))
    prices.publish([price, PriceTick(money.SOL_MINT, Decimal(1), now, SOURCE, price_usd=Decimal(150))])
    _rise(mint)

    [signal] = momentum.emit(workspace_id=owner.workspace_id, mints=[mint])
    fanout.drain()

    entries = Order.objects.filter(signal_id=signal.id, purpose=Purpose.ENTRY)
    assert entries.count() == 5
    assert set(entries.values_list("state", flat=True)) == {State.PLANNED}
    assert check().problems == ()


def test_a_rise_is_told_once_however_often_it_is_looked_at(owner):
    mint = new_mint()
    Token.objects.create(mint=mint, symbol="KNOWN", facts_at=clock.now())
    _rise(mint)

    first = momentum.emit(workspace_id=owner.workspace_id, mints=[mint])
    second = momentum.emit(workspace_id=owner.workspace_id, mints=[mint])

    assert (len(first), len(second), Signal.objects.count()) == (1, 0, 1)


def test_without_a_demo_nothing_is_told(owner):
    assert momentum.run() == []


def test_a_workspace_with_a_live_agent_is_told_nothing(owner, settled):
    demo.prepare()
    Agent.objects.filter(name="Fixed stop").update(mode="live")
    for mint in momentum.tokens():
        _rise(mint)

    assert momentum.run() == []
    assert Signal.objects.count() == 0


def _rise(mint: str) -> None:
    """Closed minutes up to now of which the last two rise."""
    last = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    Candle.objects.filter(mint=mint).delete()
    closes = [Decimal("1"), Decimal("1.001"), Decimal("1"), Decimal("1.001"), Decimal("1.05"), Decimal("1.1")]
    for back, (opened, closed) in enumerate(zip(closes[-2::-1], closes[:0:-1], strict=True)):
        Candle.objects.create(
            mint=mint, start=last - timedelta(minutes=back), open=opened, high=closed, low=opened, close=closed
        )
