"""Regression tests of the reference's defects in exits, through the whole engine (reference/domain.md section 20)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock, money
from prices import cache
from prices.models import LatestPrice
from prices.records import PriceTick
from tests.trader import Trader
from tests.venues import FEES, with_fees
from trading.models import Purpose, Side, State
from wallets import selectors as wallets
from wallets.models import Account, AccountKind

SOL = 10**9
LADDER = [{"targetPercent": 50, "sellPercent": 25}, {"targetPercent": 150, "sellPercent": 25}]


def ladder(*levels: tuple[object, object], bag: object = None) -> dict:
    steps = [{"targetPercent": target, "sellPercent": sell} for target, sell in levels]
    moon_bag = {"enabled": bag is not None, "triggerPercent": 300, "retainPercent": bag or 10}
    return {"takeProfit": {"enabled": True, "mode": "custom", "levels": steps, "moonBag": moon_bag}}


def owned(trader: Trader, asset: str = money.SOL_MINT) -> int:
    balance = wallets.balances(trader.wallet.id).get(asset)
    return balance.units if balance else 0


@pytest.mark.parametrize(
    ("mode", "stop", "price"),
    [("fixed", 4990, "0.0509"), ("zones", 4250, "0.0435"), ("exponential", 4500, "0.046")],
)
def test_d1_the_stop_of_a_gain_of_5000_percent_is_stored_and_enforced(tape, mode, stop, price):
    trader = Trader.with_position(tape, config={"stopLoss": {"mode": mode}})
    trader.price("0.051")
    trader.engine.book.save_watermarks(at=clock.now())

    assert trader.position.watermark.peak == Decimal("0.051")
    assert trader.position.watermark.stop_percent == stop
    assert trader.position.closed_at is None

    trader.wait(1)
    trader.price(price)

    assert trader.position.close_reason == "stop_loss"
    assert trader.position.received_lamports == int(Decimal(price) * 1000 * SOL)


def test_d2_without_sol_usd_the_engine_trades_in_sol_and_books_no_usd(tape):
    trader = Trader(tape)
    trader.price("0.001")
    bought = trader.buy("1")
    trader.wait(1)
    trader.price("0.0006")

    sale = trader.orders(side=Side.SELL)[0]
    assert (sale.state, sale.purpose) == (State.FILLED, Purpose.STOP_LOSS)
    assert bought.fill.sol_usd is None
    assert sale.fill.sol_usd is None
    assert trader.position.sol_usd_at_close is None


def test_d3_a_preset_sells_at_its_own_levels_whatever_is_stored(tape):
    trader = Trader.with_position(
        tape, config={"takeProfit": {"enabled": True, "mode": "aggressive", "levels": LADDER}}
    )
    trader.price("0.00125")

    assert trader.position.levels_hit == 1
    assert trader.position.remaining_units == 750 * 10**9


def test_d6_a_dca_re_bases_peak_and_stop_so_that_the_next_tick_holds(tape):
    trader = Trader.with_position(tape, config={"dca": {"enabled": True, "mode": "aggressive"}})
    trader.price("0.00119")
    trader.wait(1)
    trader.price("0.0009")
    position = trader.position
    assert position.dca_count == 1
    assert position.watermark.peak == position.average
    assert Decimal("0.00119") / position.average > Decimal("1.2")

    trader.wait(1)
    trader.price("0.00091")
    trader.engine.book.save_watermarks(at=clock.now())

    assert trader.position.closed_at is None
    assert trader.position.watermark.stop_percent == -32
    assert trader.position.watermark.peak == position.average


def test_d7_a_position_without_stop_and_ladder_exists_and_closes_stale(tape):
    trader = Trader(tape, config={"stopLoss": {"enabled": False}, "takeProfit": {"enabled": False}})
    trader.price("0.001")
    trader.signal()
    assert trader.position.remaining_units > 0
    trader.wait(3599)
    trader.price("0.00105")
    assert trader.position.closed_at is None
    trader.wait(1)
    trader.price("0.00105")

    assert trader.position.close_reason == "stale_trade"


def test_d9_dca_buys_after_a_take_profit(tape):
    config = ladder((50, 25)) | {"stopLoss": {"enabled": False}, "dca": {"enabled": True, "mode": "conservative"}}
    trader = Trader.with_position(tape, config=config)
    trader.price("0.0015")
    assert trader.position.remaining_units == 750 * 10**9
    trader.wait(1)
    trader.price("0.0008")

    dca = trader.orders(purpose=Purpose.DCA)[0]
    assert dca.state == State.FILLED
    assert dca.fill.amount_in == 600_000_000
    assert trader.position.remaining_units == 1500 * 10**9


def test_d10_a_planned_stop_needs_no_further_price(tape):
    trader = Trader.with_position(tape)
    trader.engine.offer([PriceTick(trader.mint, Decimal("0.0006"), clock.now(), "test")])
    trader.engine.step()
    cache.forget()
    LatestPrice.objects.all().delete()
    trader.settle()

    assert trader.position.close_reason == "stop_loss"
    assert trader.orders(side=Side.SELL)[0].fill.price == Decimal("0.0006")


@pytest.mark.parametrize("units", ["0.333333333", "0.777777777"])
def test_d16_a_full_ladder_leaves_nothing_and_closes(tape, units):
    config = ladder((50, 33.33), (100, 33.33), (150, 33.34)) | {"stopLoss": {"enabled": False}}
    trader = Trader(tape, config=config, decimals=6)
    trader.price("0.0007")
    trader.buy(units)
    for price in ("0.00106", "0.00141", "0.00176"):
        trader.wait(1)
        trader.price(price)

    assert trader.position.levels_hit == 3
    assert trader.position.remaining_units == 0
    assert trader.position.close_reason == "take_profit"
    assert owned(trader, trader.mint) == 0


@pytest.mark.parametrize(("price", "closes"), [("0.00068", True), ("0.000680000000000000000001", False)])
def test_d20_a_fall_of_exactly_32_percent_is_at_the_stop(tape, price, closes):
    trader = Trader.with_position(tape)
    trader.price(price)

    assert (trader.position.closed_at is not None) is closes


@pytest.mark.parametrize(("peak", "stop"), [("0.0012", 10), ("0.001199999999999999999999", -32)])
def test_d20_a_rise_of_exactly_20_percent_arms_the_stop(tape, peak, stop):
    trader = Trader.with_position(tape)
    trader.price(peak)
    trader.engine.book.save_watermarks(at=clock.now())

    assert trader.position.watermark.stop_percent == stop


def test_d20_exactly_50_percent_reaches_the_ladders_level(tape):
    trader = Trader.with_position(tape, config=ladder((50, 25)))
    trader.price("0.001499999999999999999999")
    assert trader.position.levels_hit == 0
    trader.wait(1)
    trader.price("0.0015")

    assert trader.position.levels_hit == 1


def test_d21_a_peak_is_kept_however_little_it_rose_and_written_once(tape):
    trader = Trader(tape, config={"stopLoss": {"mode": "zones"}}, decimals=6)
    trader.price("0.000000001")
    trader.buy("1")
    trader.wait(1)
    trader.price("0.000000001333333333")
    assert trader.engine.book.save_watermarks(at=clock.now()) == 1
    trader.wait(1)
    trader.price("0.000000001333333334")
    assert trader.engine.book.save_watermarks(at=clock.now()) == 1
    trader.wait(1)
    trader.price("0.000000001333333334")
    trader.wait(1)
    trader.price("0.000000001333333333")

    assert trader.engine.book.save_watermarks(at=clock.now()) == 0
    assert trader.position.watermark.peak == Decimal("0.000000001333333334")


def test_d24_dca_is_cut_to_the_reserve_and_the_cap(tape):
    config = {"dca": {"enabled": True, "mode": "aggressive"}, "purchaseLimits": {"minimumAgentBalance": 0.5}}
    trader = Trader.with_position(tape, config=config, sol="1.7")
    trader.price("0.0009")

    dca = trader.orders(purpose=Purpose.DCA)[0]
    assert (dca.state, dca.fill.amount_in) == (State.FILLED, 200_000_000)
    assert owned(trader) == 500_000_000


def test_d24_a_dca_below_the_stop_never_fires(tape):
    levels = [{"dropPercent": -40, "buyPercent": 50}]
    trader = Trader.with_position(tape, config={"dca": {"enabled": True, "mode": "custom", "levels": levels}})
    trader.price("0.0006")

    assert trader.orders(purpose=Purpose.DCA) == []
    assert trader.position.close_reason == "stop_loss"


def test_d28_one_formula_of_profit_with_fees_in_and_rent_out(tape):
    trader = Trader(tape, profile=with_fees())
    trader.price("0.001")
    trader.buy("1")
    assert trader.position.invested_lamports == SOL + 25_000
    assert trader.position.rent_lamports == FEES.rent_lamports
    assert owned(trader) == 10 * SOL - SOL - 25_000 - FEES.rent_lamports
    trader.wait(1)
    trader.price("0.0006")

    position = trader.position
    received = 600_000_000 - 1_500_000 - 25_000
    assert position.received_lamports == received
    assert position.realised_lamports == received - SOL - 25_000
    assert owned(trader) == 10 * SOL + position.realised_lamports
    rent = Account.objects.get(wallet=trader.wallet, asset=money.SOL_MINT, kind=AccountKind.RENT)
    assert rent.balance == 0


def test_d35_a_price_older_than_the_limit_decides_nothing_whoever_asks(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trader.wait(60)
    trader.price("0.0001", age=30.001)
    assert trader.position.closed_at is None
    trader.wait(1)
    trader.price("0.0001", age=30)

    assert trader.position.close_reason == "stop_loss"


def test_d36_an_order_names_the_source_and_time_of_its_price(tape):
    trader = Trader(tape)
    trader.price("0.001", source="jupiter")
    bought = trader.buy("1")
    trader.wait(5)
    trader.price("0.0006", source="dexscreener", age=2)

    sale = trader.orders(side=Side.SELL)[0]
    assert (bought.price_source, sale.price_source) == ("jupiter", "dexscreener")
    assert sale.price_at == clock.now() - timedelta(seconds=2)
