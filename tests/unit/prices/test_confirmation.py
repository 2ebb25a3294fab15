"""Jumps wait for a second word; SOL/USD has one voice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nexgent.money import SOL_MINT
from prices.feeds.confirmation import Confirmation
from prices.feeds.oracle import SolOracle
from prices.records import PriceTick

T0 = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def tick(price: str, seconds: float = 0, source: str = "jupiter") -> PriceTick:
    return PriceTick("mint", Decimal(price), at(seconds), source)


def after_a_price_of_100() -> Confirmation:
    confirmation = Confirmation()
    confirmation.accept([tick("100")], now=at(0))
    return confirmation


@pytest.mark.parametrize(("price", "counts"), [("129.99", True), ("130", False), ("70.01", True), ("70", False)])
def test_a_move_of_thirty_per_cent_or_more_waits(price: str, counts: bool) -> None:
    confirmation = after_a_price_of_100()

    assert bool(confirmation.accept([tick(price, 1.5)], now=at(1.5))) is counts
    assert confirmation.suspects() == ([] if counts else ["mint"])


def test_the_next_poll_confirms_a_jump() -> None:
    confirmation = after_a_price_of_100()
    confirmation.accept([tick("40", 1.5)], now=at(1.5))

    assert confirmation.accept([tick("41", 3)], now=at(3)) == [tick("41", 3)]
    assert confirmation.suspects() == []


def test_the_second_source_confirms_a_jump() -> None:
    confirmation = after_a_price_of_100()
    confirmation.accept([tick("40", 1.5)], now=at(1.5))

    assert confirmation.accept([tick("39", 1.6, "dexscreener")], now=at(1.6)) == [tick("39", 1.6, "dexscreener")]


def test_the_same_source_takes_a_jump_back() -> None:
    confirmation = after_a_price_of_100()
    confirmation.accept([tick("40", 1.5)], now=at(1.5))

    assert confirmation.accept([tick("101", 3)], now=at(3)) == [tick("101", 3)]
    assert confirmation.suspects() == []
    assert confirmation.release(now=at(10)) == []


def test_a_lagging_second_source_never_holds_a_crash_up_for_longer_than_three_seconds() -> None:
    confirmation = after_a_price_of_100()
    confirmation.accept([tick("40", 1.5)], now=at(1.5))

    assert confirmation.accept([tick("100", 1.6, "dexscreener")], now=at(1.6)) == []
    assert confirmation.release(now=at(4.4)) == []
    assert confirmation.release(now=at(4.5)) == [tick("40", 1.5)]
    assert confirmation.release(now=at(4.6)) == []


def test_a_price_that_keeps_jumping_counts_after_three_seconds() -> None:
    confirmation = after_a_price_of_100()
    for seconds, price in [(1, "200"), (2, "40"), (3, "300")]:
        assert confirmation.accept([tick(price, seconds)], now=at(seconds)) == []

    assert confirmation.accept([tick("30", 4)], now=at(4)) == [tick("30", 4)]


def test_nothing_to_jump_from_after_thirty_seconds_of_silence() -> None:
    confirmation = after_a_price_of_100()

    assert confirmation.accept([tick("40", 30.5)], now=at(30.5)) == [tick("40", 30.5)]


@pytest.mark.parametrize("source", ["replay", "synthetic", "quote"])
def test_tapes_made_up_markets_and_quotes_are_exempt(source: str) -> None:
    confirmation = after_a_price_of_100()

    assert confirmation.accept([tick("1", 1, source)], now=at(1)) == [tick("1", 1, source)]


def test_a_tick_older_than_the_last_one_is_dropped() -> None:
    confirmation = after_a_price_of_100()

    assert confirmation.accept([tick("101", -1)], now=at(1)) == []


def sol(price: str, seconds: float, source: str) -> PriceTick:
    return PriceTick(SOL_MINT, Decimal(1), at(seconds), source, price_usd=Decimal(price))


def test_d2_pyth_while_fresh_then_the_feed_then_nothing() -> None:
    oracle = SolOracle()
    assert oracle.best(now=at(0)) is None

    oracle.take(sol("150", 0, "pyth"))
    oracle.take(sol("151", 10, "jupiter"))

    assert oracle.best(now=at(30)) == sol("150", 0, "pyth")
    assert oracle.best(now=at(30.001)) == sol("151", 10, "jupiter")
    assert oracle.best(now=at(40.001)) is None


@pytest.mark.parametrize(("other", "disputed"), [("153", False), ("153.01", True), ("147", True), ("148", False)])
def test_d2_sources_two_per_cent_apart_are_disputed(other: str, disputed: bool) -> None:
    oracle = SolOracle()
    oracle.take(sol("150", 0, "jupiter"))
    oracle.take(sol(other, 0, "pyth"))

    assert (oracle.dispute(now=at(1)) is not None) is disputed
    assert oracle.dispute(now=at(31)) is None
