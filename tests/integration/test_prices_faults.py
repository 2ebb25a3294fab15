"""Feeds against loopback servers that misbehave: every call ends in time, with an answer or a named failure."""

import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from nexgent.money import SOL_MINT
from prices.budget import Budget
from prices.feeds.dexscreener import DexScreenerFeed
from prices.feeds.jupiter import JupiterFeed
from prices.feeds.protocol import FeedFailure
from prices.feeds.provider import FAILURES_TO_OPEN, Provider
from prices.mints import mint_of
from prices.records import Lane
from tests.fakes.dexscreener import FakeDexScreener
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault, Raw

MINT, OTHER = mint_of(b"a" * 32), mint_of(b"b" * 32)


@pytest.fixture
def server() -> Iterator[FakeJupiter]:
    with FakeJupiter() as fake:
        fake.prices = {MINT: Raw("0.3"), OTHER: 15}
        yield fake


@pytest.fixture
def feed(server: FakeJupiter, request: pytest.FixtureRequest) -> Iterator[JupiterFeed]:
    budget = Budget(f"test-{request.node.name}", 10_000)
    feed = JupiterFeed(Provider("jupiter", url=server.url, budget=budget, deadline_seconds=1.0))
    yield feed
    feed.close()


def failure_of(feed: JupiterFeed) -> FeedFailure:
    with pytest.raises(FeedFailure) as failure:
        feed.prices([MINT], lane=Lane.POSITIONS)
    return failure.value


def test_sol_is_part_of_every_batch_and_prices_are_exact(feed: JupiterFeed, server: FakeJupiter) -> None:
    answer = feed.prices([MINT, OTHER, SOL_MINT], lane=Lane.POSITIONS)

    assert {tick.mint: tick.price_sol for tick in answer.ticks} == {MINT: Decimal("0.002"), OTHER: Decimal("0.1")}
    assert server.requests[0][1]["ids"] == [f"{SOL_MINT},{MINT},{OTHER}"]


def test_a_key_is_sent_and_a_wrong_one_is_a_refusal_without_retry() -> None:
    with FakeJupiter(api_key="right") as server:
        for key, code in [("right", None), ("wrong", "refused")]:
            provider = Provider(
                "jupiter", url=server.url, budget=Budget(f"key-{key}", 1000), headers={"x-api-key": key}
            )
            feed = JupiterFeed(provider)
            if code is None:
                assert feed.prices([], lane=Lane.POSITIONS).sol_usd is not None
            else:
                assert failure_of(feed).code == code
        assert len(server.requests) == 2


def test_missing_mints_are_left_out(feed: JupiterFeed, server: FakeJupiter) -> None:
    del server.prices[MINT]

    assert [tick.mint for tick in feed.prices([MINT, OTHER], lane=Lane.POSITIONS).ticks] == [OTHER]


@pytest.mark.parametrize("bad", [Raw("NaN"), -3, 0, "x", Raw("-Infinity"), {"usdPrice": None}])
def test_one_senseless_price_costs_only_itself(feed: JupiterFeed, server: FakeJupiter, bad: object) -> None:
    server.prices[MINT] = bad

    answer = feed.prices([MINT, OTHER], lane=Lane.POSITIONS)

    assert [tick.mint for tick in answer.ticks] == [OTHER]
    assert list(answer.rejected) == [MINT]


def test_decimals_as_text_are_prices(feed: JupiterFeed, server: FakeJupiter) -> None:
    server.prices[MINT] = "0.3"

    assert feed.prices([MINT], lane=Lane.POSITIONS).ticks[0].price_sol == Decimal("0.002")


@pytest.mark.parametrize("body", [b"{}", b"", b"[]", b"null", b'{"a":', b"<html>busy</html>"])
def test_an_empty_or_broken_answer_is_malformed(feed: JupiterFeed, server: FakeJupiter, body: bytes) -> None:
    server.fault = Fault(body=body)

    assert failure_of(feed).code == "malformed"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_d36_a_busy_provider_is_asked_again(feed: JupiterFeed, server: FakeJupiter, status: int) -> None:
    server.fault = Fault(status=status, times=1)

    answer = feed.prices([MINT], lane=Lane.POSITIONS)

    assert answer.ticks[0].source == "jupiter"
    assert len(server.requests) == 2


def test_d36_retry_after_is_honoured(feed: JupiterFeed, server: FakeJupiter) -> None:
    server.fault = Fault(status=429, headers={"Retry-After": "30"}, times=1)

    failure = failure_of(feed)

    assert (failure.code, failure.retry_after) == ("rate_limited", 30)
    assert len(server.requests) == 1
    assert failure_of(feed).code == "circuit_open"
    assert len(server.requests) == 1


def test_a_server_that_stays_broken_is_left_alone_and_tried_once_later(
    feed: JupiterFeed, server: FakeJupiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault = Fault(status=500)
    codes = [failure_of(feed).code for _ in range(FAILURES_TO_OPEN + 1)]
    assert codes == ["http_error"] * FAILURES_TO_OPEN + ["circuit_open"]

    server.fault = None
    now = time.monotonic()
    monkeypatch.setattr("prices.feeds.provider.time.monotonic", lambda: now + 6)

    assert feed.prices([MINT], lane=Lane.POSITIONS).ticks
    assert feed.provider.health.is_open is False


def test_d12_a_silent_provider_ends_at_the_deadline(feed: JupiterFeed, server: FakeJupiter) -> None:
    server.fault = Fault(silent_seconds=20)
    started = time.monotonic()

    assert failure_of(feed).code == "timeout"
    assert 0.9 < time.monotonic() - started < 2.5


def test_d12_a_dripping_body_is_cut_at_the_deadline(feed: JupiterFeed, server: FakeJupiter) -> None:
    server.fault = Fault(drip_seconds=0.2)
    started = time.monotonic()

    assert failure_of(feed).code == "timeout"
    assert time.monotonic() - started < 2.5


def test_a_cut_connection_is_unreachable(feed: JupiterFeed, server: FakeJupiter) -> None:
    server.fault = Fault(cut=True)

    assert failure_of(feed).code == "unreachable"


def test_nobody_listening_is_unreachable() -> None:
    with FakeJupiter() as server:
        url = server.url
    feed = JupiterFeed(Provider("jupiter", url=url, budget=Budget("gone", 1000), deadline_seconds=1.0))

    assert failure_of(feed).code == "unreachable"


def test_a_block_that_stands_still_for_ten_seconds_makes_the_answer_stale(
    feed: JupiterFeed, server: FakeJupiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.prices([MINT], lane=Lane.POSITIONS)
    server.blocks_stand_still = True
    feed.prices([MINT], lane=Lane.POSITIONS)
    now = time.monotonic()
    monkeypatch.setattr("prices.feeds.jupiter.time.monotonic", lambda: now + 10.1)

    assert failure_of(feed).code == "stale"
    server.blocks_stand_still = False
    assert feed.prices([MINT], lane=Lane.POSITIONS).ticks


def test_dexscreener_prices_and_its_empty_answer() -> None:
    with FakeDexScreener() as server:
        server.pools = {MINT: "0.002"}
        feed = DexScreenerFeed(Provider("dexscreener", url=server.url, budget=Budget("dex", 1000)))

        answer = feed.prices([MINT, OTHER], lane=Lane.POSITIONS)
        nothing = feed.prices([OTHER], lane=Lane.POSITIONS)

    assert [(tick.mint, tick.price_sol, tick.source) for tick in answer.ticks] == [
        (MINT, Decimal("0.002"), "dexscreener")
    ]
    assert nothing.ticks == ()
