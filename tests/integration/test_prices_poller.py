"""A round of polling against loopback providers: order, failover, doubt, budget, alarms."""

import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from nexgent.money import SOL_MINT
from prices.budget import Budget
from prices.feeds.dexscreener import DexScreenerFeed
from prices.feeds.jupiter import JupiterFeed
from prices.feeds.provider import Provider
from prices.mints import mint_of
from prices.poller import Poller
from prices.records import Lane, PriceTick
from tests.fakes.dexscreener import FakeDexScreener
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault, until

MINT, OTHER = mint_of(b"a" * 32), mint_of(b"b" * 32)


class Bench:
    """A poller between two fake providers and what came out of it."""

    def __init__(self, jupiter: FakeJupiter, dexscreener: FakeDexScreener, *, jupiter_rate: int = 10_000) -> None:
        self.jupiter, self.dexscreener = jupiter, dexscreener
        self.lanes: dict[str, Lane] = {MINT: Lane.POSITIONS}
        self.published: list[PriceTick] = []
        self.alarms: dict[tuple[str, str], Any] = {}
        first = Provider("jupiter", url=jupiter.url, budget=Budget(f"j-{uuid.uuid4()}", jupiter_rate))
        second = Provider("dexscreener", url=dexscreener.url, budget=Budget(f"d-{uuid.uuid4()}", 10_000))
        self.poller = Poller(
            [JupiterFeed(first), DexScreenerFeed(second)],
            lanes=lambda: dict(self.lanes),
            publish=self.published.extend,
            alarm=self._note,
        )

    def _note(self, code: str, subject: str, detail: dict[str, object] | None) -> None:
        self.alarms[code, subject] = detail

    def round(self) -> dict[str, tuple[Decimal, str]]:
        """One round; the newest published price and source of each token."""
        self.published.clear()
        assert self.poller.round()
        return {t.mint: (t.price_sol, t.source) for t in self.published if t.mint != SOL_MINT}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with FakeJupiter() as jupiter, FakeDexScreener() as dexscreener:
        jupiter.prices = {MINT: 15, OTHER: 30}
        dexscreener.pools = {MINT: "0.101", OTHER: "0.202"}
        bench = Bench(jupiter, dexscreener)
        yield bench
        bench.poller.close()


def test_the_first_feed_serves_and_the_second_is_not_asked(bench: Bench) -> None:
    assert bench.round() == {MINT: (Decimal("0.1"), "jupiter")}
    assert [t.price_usd for t in bench.published if t.mint == SOL_MINT] == [150]
    assert bench.dexscreener.requests == []


def test_d36_failover_takes_the_next_feed_and_its_own_name(bench: Bench) -> None:
    bench.jupiter.fault = Fault(status=500)

    assert bench.round() == {MINT: (Decimal("0.101"), "dexscreener")}


def test_d36_a_mint_that_the_first_feed_leaves_out_is_asked_of_the_next(bench: Bench) -> None:
    bench.lanes[OTHER] = Lane.SIGNALS
    del bench.jupiter.prices[OTHER]

    assert bench.round() == {MINT: (Decimal("0.1"), "jupiter"), OTHER: (Decimal("0.202"), "dexscreener")}


def test_d11_silence_of_all_feeds_is_silence(bench: Bench) -> None:
    bench.jupiter.prices, bench.dexscreener.pools = {}, {}

    assert bench.round() == {}
    assert all(detail is None for detail in bench.alarms.values())


def test_d12_a_hanging_provider_holds_nobody_up(bench: Bench) -> None:
    bench.jupiter.fault = Fault(silent_seconds=2.2)
    started = time.monotonic()

    prices = bench.round()

    assert prices == {MINT: (Decimal("0.101"), "dexscreener")}
    assert time.monotonic() - started < 2.1
    assert until(lambda: any(t.source == "jupiter" for t in bench.published))


def test_rounds_never_overlap(bench: Bench) -> None:
    bench.poller._round.acquire()
    try:
        assert bench.poller.round() is False
    finally:
        bench.poller._round.release()
    assert bench.published == []


def test_a_jump_is_shown_to_the_second_source_in_the_same_round(bench: Bench) -> None:
    bench.round()
    bench.jupiter.prices[MINT] = 6
    bench.dexscreener.pools[MINT] = "0.041"

    assert bench.round() == {MINT: (Decimal("0.041"), "dexscreener")}


def test_a_jump_that_nobody_else_sees_counts_with_the_next_poll(bench: Bench) -> None:
    bench.round()
    bench.jupiter.prices[MINT] = 6

    assert bench.round() == {}
    assert bench.round() == {MINT: (Decimal("0.04"), "jupiter")}


def test_held_tokens_come_first_when_the_budget_is_short() -> None:
    with FakeJupiter() as jupiter, FakeDexScreener() as dexscreener:
        bench = Bench(jupiter, dexscreener, jupiter_rate=4)
        mints = [mint_of(bytes([n]) * 32) for n in range(1, 121)]
        jupiter.prices = dict.fromkeys(mints, 15)
        bench.lanes = dict.fromkeys(mints, Lane.SIGNALS) | dict.fromkeys(mints[100:], Lane.POSITIONS)

        prices = bench.round()

        asked = [len(query["ids"][0].split(",")) for path, query, _ in jupiter.requests]
        assert asked == [50]
        assert set(mints[100:]) <= set(prices)
        assert bench.poller.states["jupiter"].last_failure.startswith("budget")
        bench.poller.close()


def test_a_spent_budget_asks_the_next_feed_only_for_what_has_grown_old(bench: Bench) -> None:
    short = Bench(bench.jupiter, bench.dexscreener, jupiter_rate=1)
    assert short.round() == {MINT: (Decimal("0.1"), "jupiter")}

    assert short.round() == {}
    assert bench.dexscreener.requests == []
    short.lanes[OTHER] = Lane.POSITIONS
    assert short.round() == {OTHER: (Decimal("0.202"), "dexscreener")}
    short.poller.close()


def test_a_feed_that_fails_three_times_raises_an_alarm_until_it_answers(bench: Bench) -> None:
    bench.jupiter.fault = Fault(body=b"{}")
    bench.round()
    bench.round()
    assert ("PRICE_FEED_DOWN", "jupiter") not in bench.alarms
    bench.round()
    assert "malformed" in bench.alarms["PRICE_FEED_DOWN", "jupiter"]["failure"]

    bench.jupiter.fault = None
    bench.poller.feeds[0].provider._closed_until = 0.0  # type: ignore[attr-defined]
    assert bench.round() == {MINT: (Decimal("0.1"), "jupiter")}
    assert bench.alarms["PRICE_FEED_DOWN", "jupiter"] is None


@pytest.mark.parametrize(("pool", "is_alarmed"), [("0.1029", False), ("0.1031", True)])
def test_live_holdings_are_confirmed_by_the_second_source(bench: Bench, pool: str, is_alarmed: bool) -> None:
    bench.lanes = {MINT: Lane.LIVE}
    bench.dexscreener.pools[MINT] = pool

    assert bench.round() == {MINT: (Decimal("0.1"), "jupiter")}

    assert (bench.alarms["PRICE_SOURCES_DIFFER", MINT] is not None) is is_alarmed
    assert len(bench.dexscreener.requests) == 1


def test_the_sol_mint_is_never_a_token_to_poll(bench: Bench) -> None:
    bench.lanes = {SOL_MINT: Lane.POSITIONS}

    assert bench.round() == {}
    assert [query["ids"] for _, query, _ in bench.jupiter.requests] == [[SOL_MINT]]
