"""Feeds as a process runs them: started, rung, silent, stopped; tokens described; what other processes ask for."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nexgent import clock
from nexgent.events.models import Alarm
from prices import cache, selectors, services, tasks
from prices.feeds import registry
from prices.mints import mint_of
from prices.models import LatestPrice, Token
from prices.records import Lane, PriceTick
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault, Raw, until
from tests.fakes.rpc import FakeRpc, mint_account

MINT, OTHER, THIRD = (mint_of(bytes([n]) * 32) for n in (1, 2, 3))


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any) -> Iterator[None]:
    registry.forget()
    services.watchlist.clear()
    cache.valkey().client.delete(cache.FEEDS, *cache.valkey().client.keys("nexgent:budget:*"))
    yield
    services.stop_feeds()
    services.write_prices("inline")
    services.watchlist.clear()
    registry.forget()


@pytest.fixture
def jupiter(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJupiter]:
    monkeypatch.setattr(services, "PATIENCE_SECONDS", 10)  # a loaded machine takes longer than a user would wait
    with FakeJupiter() as server:
        settings.PRICE_FEEDS, settings.JUPITER_API_URL = ("jupiter",), server.url
        settings.PYTH_API_URL = server.url
        settings.SOLANA_RPC_URLS = ()
        settings.JUPITER_API_KEY, settings.JUPITER_RATE = "key", 600
        yield server


def tick(price: str, mint: str = MINT) -> PriceTick:
    return PriceTick(mint, Decimal(price), clock.now(), "jupiter")


@pytest.mark.django_db(transaction=True)
def test_without_a_ring_the_timer_polls_by_itself(jupiter: FakeJupiter) -> None:
    jupiter.prices = {MINT: 15}
    services.watch([MINT], "positions")
    seen: list[PriceTick] = []
    services.register_sink(seen.extend)
    try:
        services.write_prices("thread")
        services.start_feeds()
        assert until(lambda: any(t.mint == MINT for t in seen), seconds=6)
        assert until(lambda: LatestPrice.objects.filter(token_id=MINT).exists(), seconds=6)
    finally:
        services.unregister_sink(seen.extend)
    assert selectors.sol_usd(clock.now()) == 150


@pytest.mark.django_db(transaction=True)
def test_a_ring_polls_where_the_feeds_run_and_nowhere_else(jupiter: FakeJupiter) -> None:
    tasks.poll()
    assert jupiter.requests == []

    services.start_feeds()
    asked = len(jupiter.requests)
    assert services.start_feeds() is services.start_feeds()
    assert until(services.poll)
    assert len(jupiter.requests) > asked


@pytest.mark.django_db(transaction=True)
def test_the_feeds_command_tells_state_and_age(jupiter: FakeJupiter) -> None:
    jupiter.prices = {MINT: 15}
    services.watch([MINT])
    services.start_feeds()
    assert until(lambda: bool(services.poll()))
    assert until(lambda: cache.valkey().client.exists(cache.FEEDS) == 1)
    time.sleep(0.1)

    out = StringIO()
    call_command("feeds", "--json", stdout=out)
    state = json.loads(out.getvalue())

    assert state["order"] == ["jupiter"]
    assert state["running"] is True
    assert [feed["name"] for feed in state["feeds"]] == ["jupiter", "pyth"]
    assert state["solUsd"]["source"] == "jupiter"
    assert state["prices"]["known"] == 1
    assert "key" not in out.getvalue().replace("tokenKey", "")


@pytest.mark.django_db
def test_the_order_of_the_feeds_is_the_one_that_runs_not_that_of_these_settings(settings: Any) -> None:
    settings.PRICE_FEEDS = ("jupiter", "dexscreener")
    assert selectors.feeds(now=clock.now())["order"] == ["jupiter", "dexscreener"]

    running = {"feeds": [{"name": "synthetic"}], "pyth": {"name": "pyth"}}
    cache.valkey().client.set(cache.FEEDS, json.dumps(running), ex=60)

    assert selectors.feeds(now=clock.now())["order"] == ["synthetic"]
    assert [feed["name"] for feed in selectors.feeds(now=clock.now())["feeds"]] == ["synthetic", "pyth"]


@pytest.mark.django_db
def test_the_feeds_command_without_feeds() -> None:
    out = StringIO()
    call_command("feeds", stdout=out)
    assert out.getvalue().splitlines()[0] == "order: none; running: no"
    assert "SOL/USD: unknown" in out.getvalue()


@pytest.mark.django_db
def test_an_unknown_feed_is_named(settings: Any) -> None:
    settings.PRICE_FEEDS = ("jupitre",)
    with pytest.raises(ImproperlyConfigured, match="PRICE_FEEDS names jupitre"):
        services.start_feeds()


@pytest.mark.django_db(transaction=True)
def test_a_token_is_described_when_it_is_made(jupiter: FakeJupiter) -> None:
    jupiter.token(MINT, mcap=Raw("1234567.891"))

    token = services.ensure_token(MINT)

    assert (token.decimals, token.symbol, token.name) == (5, "BONK", "Bonk")
    facts = selectors.facts(MINT)
    assert facts["marketCapUsd"] == Decimal("1234567.891")
    assert facts["holderCount"] == 1234
    assert facts["freezeAuthorityDisabled"] is False
    assert facts["createdAt"].year == 2026
    assert facts["factsAt"] <= clock.now()
    services.ensure_token(MINT)
    assert len(jupiter.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_a_token_that_no_feed_knows_is_read_from_the_chain(jupiter: FakeJupiter, settings: Any) -> None:
    with FakeRpc() as broken, FakeRpc() as rpc:
        settings.SOLANA_RPC_URLS = (broken.url, rpc.url)
        broken.fault = Fault(status=500)
        rpc.mints[MINT] = mint_account(decimals=6, mint_authority=True)

        token = services.ensure_token(MINT)
        services.ensure_token(OTHER)

    assert (token.decimals, token.program) == (6, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
    assert token.facts == {"mintAuthorityDisabled": False, "freezeAuthorityDisabled": True}
    assert Token.objects.get(mint=OTHER).facts_at is None


@pytest.mark.django_db(transaction=True)
def test_facts_of_watched_tokens_are_asked_for_again(jupiter: FakeJupiter) -> None:
    jupiter.token(MINT)
    services.ensure_token(MINT)
    Token.objects.update(facts_at=clock.now() - timedelta(minutes=11))
    jupiter.token(MINT, holderCount=77)

    tasks.describe()

    assert selectors.facts(MINT)["holderCount"] == 77


@pytest.mark.django_db(transaction=True)
def test_decimals_never_change_once_told(jupiter: FakeJupiter) -> None:
    jupiter.token(MINT)
    services.ensure_token(MINT)
    jupiter.token(MINT, decimals=8, holderCount=9)

    assert services.describe([MINT], max_age=timedelta(0)) == 1

    assert Token.objects.get(mint=MINT).decimals == 5
    assert selectors.facts(MINT)["holderCount"] == 9


@pytest.mark.django_db
def test_inside_a_transaction_nobody_waits_for_the_network(jupiter: FakeJupiter) -> None:
    jupiter.token(MINT)

    token = services.ensure_token(MINT, "SYM")

    assert (token.symbol, token.facts_at) == ("SYM", None)
    assert jupiter.requests == []
    tasks.describe()
    assert Token.objects.get(mint=MINT).facts_at is not None


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_longer_than_patience_for_a_description(
    jupiter: FakeJupiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PATIENCE_SECONDS", 0.3)
    jupiter.token(MINT)
    jupiter.fault = Fault(silent_seconds=2, times=1)
    started = time.monotonic()

    token = services.ensure_token(MINT)

    assert token.facts_at is None
    assert time.monotonic() - started < 1.4
    assert until(lambda: Token.objects.get(mint=MINT).decimals == 5)


@pytest.mark.django_db(transaction=True)
def test_an_unpolled_token_is_priced_when_somebody_wants_to_buy_it(jupiter: FakeJupiter) -> None:
    jupiter.prices = {MINT: 15}

    known = services.refresh([MINT, OTHER], wait_seconds=10)

    assert {mint: t.price_sol for mint, t in known.items()} == {MINT: Decimal("0.1")}
    assert selectors.sol_usd(clock.now()) == 150
    services.refresh([MINT])
    assert len(jupiter.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_a_silent_feed_leaves_the_price_as_old_as_it_is(jupiter: FakeJupiter) -> None:
    old = PriceTick(MINT, Decimal("0.3"), clock.now() - timedelta(minutes=1), "jupiter")
    services.publish([old])
    jupiter.fault = Fault(status=500)

    assert services.refresh([MINT], wait_seconds=10) == {MINT: old}


@pytest.mark.django_db(transaction=True)
def test_a_token_of_a_signal_is_polled_from_then_on(jupiter: FakeJupiter) -> None:
    services.ensure_token(MINT)

    assert services.watchlist.lanes() == {MINT: Lane.SIGNALS}


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_is_down_leaves_the_token_undescribed(jupiter: FakeJupiter) -> None:
    jupiter.fault = Fault(status=500)

    token = services.ensure_token(MINT)

    assert (token.decimals, token.facts_at) == (9, None)
    assert selectors.facts(MINT) == {}


@pytest.mark.django_db(transaction=True)
def test_the_made_up_market_brings_its_own_tokens(settings: Any) -> None:
    settings.PRICE_FEEDS = ("synthetic",)
    services.start_feeds()
    assert until(lambda: bool(services.poll()))

    tokens = Token.objects.filter(facts_at__isnull=False)
    assert tokens.count() == 12
    known = selectors.latest([token.mint for token in tokens])
    assert {t.source for t in known.values()} == {"synthetic"}
    assert selectors.sol_usd_quote(clock.now()).source == "synthetic"  # type: ignore[union-attr]
    before = {mint: t.price_sol for mint, t in known.items()}
    services.stop_feeds()
    services.start_feeds()
    moved = [t for m, t in selectors.latest(list(before)).items() if abs(t.price_sol / before[m] - 1) > Decimal("0.5")]
    assert moved == []


@pytest.mark.django_db
def test_wishes_reach_other_processes_and_the_most_urgent_lane_counts() -> None:
    services.watch([MINT, OTHER], "signals")
    services.watch([OTHER], "positions")
    services.register_held(lambda: [THIRD])

    assert services.watchlist.lanes() == {MINT: Lane.SIGNALS, OTHER: Lane.POSITIONS, THIRD: Lane.POSITIONS}
    services.watchlist._wishes.clear()
    services.watchlist._held.clear()
    mints = {THIRD: None}
    services.register_held(mints.keys)
    services.register_held(mints.keys)
    services.unregister_held(mints.keys)
    assert services.watchlist.lanes() == {MINT: Lane.SIGNALS, OTHER: Lane.POSITIONS}


@pytest.mark.django_db
def test_d17_held_tokens_are_polled_without_valkey(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    services.watch([MINT], "signals")
    services.register_held(lambda: [OTHER, MINT])

    assert services.watchlist.lanes() == {MINT: Lane.POSITIONS, OTHER: Lane.POSITIONS}


@pytest.mark.django_db
def test_d31_without_valkey_prices_go_to_postgresql_and_come_from_there(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    services.publish([tick("0.5")])

    assert selectors.latest([MINT])[MINT].price_sol == Decimal("0.5")
    assert selectors.feeds(now=clock.now())["cache"] == "away"


@pytest.mark.django_db
def test_d35_a_price_has_an_age_and_an_old_one_is_not_fresh() -> None:
    services.publish([tick("0.5")])
    known = selectors.latest([MINT])[MINT]

    fresh = {"max_age": timedelta(seconds=10)}
    assert selectors.is_fresh(known, now=known.observed_at + timedelta(seconds=10), **fresh)
    assert not selectors.is_fresh(known, now=known.observed_at + timedelta(seconds=10, microseconds=1), **fresh)
    assert not selectors.is_fresh(None, now=known.observed_at, **fresh)


@pytest.mark.django_db
def test_web_hubs_hear_of_changed_prices_once() -> None:
    listener = cache.valkey().client.pubsub()
    listener.subscribe(cache.CHANNEL)
    assert until(lambda: (listener.get_message(timeout=0.1) or {}).get("type") == "subscribe")

    first, other = tick("0.00000123"), tick("2", OTHER)
    services.publish([first, other])
    services.publish([tick("0.00000123")])

    message = listener.get_message(timeout=2)
    assert json.loads(message["data"])["prices"] == sorted([[MINT, "0.00000123", None], [OTHER, "2", None]])
    assert json.loads(message["data"])["t"] == clock.to_ms(max(first.observed_at, other.observed_at))
    assert listener.get_message(timeout=0.2) is None
    listener.close()


@pytest.mark.django_db
def test_a_sink_that_fails_raises_one_alarm(django_capture_on_commit_callbacks: Any) -> None:
    def broken(batch: object) -> None:
        raise RuntimeError("engine")

    services._writer.notes._is_raised.clear()
    services.register_sink(broken)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            services.publish([tick("1")])
            services.publish([tick("2")])
    finally:
        services.unregister_sink(broken)

    assert [alarm.code for alarm in Alarm.objects.all()] == ["PRICE_SINK_FAILED"]


@pytest.mark.django_db
def test_a_batch_of_a_hundred_mints_is_a_handful_of_statements() -> None:
    batch = [tick("1", mint_of(bytes([n]) * 32)) for n in range(1, 101)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        services.publish(batch)

    assert LatestPrice.objects.count() == 100
    assert len(queries) <= 8


@pytest.mark.django_db
def test_replays_may_store_nothing() -> None:
    services.write_prices("off")
    seen: list[PriceTick] = []
    services.register_sink(seen.extend)
    try:
        services.publish([tick("1")])
    finally:
        services.unregister_sink(seen.extend)

    assert len(seen) == 1
    assert LatestPrice.objects.count() == 0
    assert selectors.latest([MINT]) == {}
