"""The fill model: exact at a price, or against a pool with everything that a real swap costs."""

from decimal import Decimal

import pytest

from nexgent.errors import Refusal
from tests.unit.rules.samples import SOL
from trading.rules import market
from trading.rules.market import FeeSchedule, Outcome, Realism

CALM = Realism(failure_rate=Decimal(0), expiry_rate=Decimal(0), pool_fee_bps=0)
PRICE = Decimal("0.001")


def test_ideal_fills_at_the_price_in_whole_units() -> None:
    buy = market.ideal(is_buy=True, amount=SOL, price=Decimal("0.0003"), decimals=6)
    sell = market.ideal(is_buy=False, amount=buy.amount_out, price=Decimal("0.0003"), decimals=6)

    assert (buy.amount_out, sell.amount_out) == (3_333_333_333, 999_999_999)
    assert (buy.network_fee_lamports, buy.rent_lamports, buy.delay_ms, buy.outcome) == (0, 0, 0, Outcome.OK)


def test_ideal_takes_fees_from_the_schedule() -> None:
    fees = FeeSchedule(protocol_bps=10, signature_lamports=5_000, priority_lamports=100_000, rent_lamports=2_039_280)

    buy = market.ideal(is_buy=True, amount=SOL, price=PRICE, decimals=6, fees=fees)
    sell = market.ideal(is_buy=False, amount=10**9, price=PRICE, decimals=6, fees=fees)

    assert (buy.protocol_fee_lamports, buy.network_fee_lamports, buy.rent_lamports) == (1_000_000, 105_000, 2_039_280)
    assert (sell.amount_out, sell.protocol_fee_lamports, sell.rent_lamports) == (SOL, 1_000_000, 0)


def test_a_pool_gives_less_the_larger_the_share_taken() -> None:
    # a tenth of the pool: impact 1/11
    buy = market.realistic(
        is_buy=True, amount=SOL, price=PRICE, decimals=6, depth_lamports=10 * SOL, seed=1, realism=CALM
    )
    sell = market.realistic(
        is_buy=False, amount=10**9, price=PRICE, decimals=6, depth_lamports=10 * SOL, seed=1, realism=CALM
    )

    assert (buy.amount_out, sell.amount_out) == (909_090_909, 909_090_909)
    assert round(buy.price_impact, 6) == Decimal("0.090909")


def test_the_pool_fee_comes_off_what_goes_in() -> None:
    quote = market.realistic(
        is_buy=False, amount=10**9, price=PRICE, decimals=6, depth_lamports=10**30, seed=1, opens_account=False
    )

    assert quote.amount_out == 997_499_999


def test_the_same_seed_gives_the_same_quote() -> None:
    quotes = [
        market.realistic(is_buy=True, amount=SOL, price=PRICE, decimals=6, depth_lamports=100 * SOL, seed=seed)
        for seed in (5, 5, 6)
    ]

    assert quotes[0] == quotes[1] != quotes[2]
    assert 400 <= quotes[0].delay_ms <= 2_000
    assert 25_000 <= quotes[0].network_fee_lamports <= 205_000
    assert quotes[0].rent_lamports == 2_039_280


def test_failures_and_expiries_come_at_their_rates() -> None:
    outcomes = [
        market.realistic(is_buy=True, amount=SOL, price=PRICE, decimals=6, depth_lamports=100 * SOL, seed=seed)
        for seed in range(4_000)
    ]
    failed = [quote for quote in outcomes if quote.outcome is Outcome.FAILED]
    expired = [quote for quote in outcomes if quote.outcome is Outcome.EXPIRED]

    assert 50 < len(failed) < 110
    assert 8 < len(expired) < 36
    assert all(quote.network_fee_lamports > 0 for quote in failed)
    assert all((quote.network_fee_lamports, quote.delay_ms) == (0, 60_000) for quote in expired)


def test_an_unknown_depth_stops_a_buy_and_never_a_sale() -> None:
    with pytest.raises(Refusal) as refusal:
        market.realistic(is_buy=True, amount=SOL, price=PRICE, decimals=6, depth_lamports=None, seed=1)
    sell = market.realistic(
        is_buy=False, amount=10**9, price=PRICE, decimals=6, depth_lamports=None, seed=1, realism=CALM
    )

    assert refusal.value.code == "LIQUIDITY_UNKNOWN"
    assert (sell.amount_out, sell.price_impact) == (SOL, 0)
