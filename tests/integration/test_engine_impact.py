"""Price impact in a pool: buys shrink or are refused, exits split and are never blocked."""

from decimal import Decimal

import pytest
from django.db import OperationalError

from nexgent import money
from nexgent.errors import Refusal
from prices.models import Token
from tests.trader import Trader
from tests.venues import BUSY, OutsideVenue, pool, register, set_depth
from trading import services as trading
from trading.engine import orders
from trading.models import Purpose, Side, State
from trading.rules.market import Realism, realistic
from wallets import selectors as wallets

SOL = 10**9
CALM = Realism(delay_ms_min=0, delay_ms_max=0, failure_rate=Decimal(0), expiry_rate=Decimal(0))
NO_LIMIT = {"purchaseLimits": {"maxPriceImpact": None}}


def impact_of(lamports: int, depth: int) -> Decimal:
    swapped = Decimal(lamports) * 9975 / 10000
    return swapped / (swapped + depth)


def in_pool(tape, depth: int, **options) -> Trader:
    trader = Trader(tape, profile=pool(), **options)
    set_depth(trader.mint, depth)
    trader.price("0.001")
    return trader


def test_d27_the_limit_is_a_fraction_and_the_size_shrinks_until_it_passes(tape):
    trader = in_pool(tape, 18 * SOL)
    assert impact_of(SOL, 18 * SOL) > Decimal("0.05") > impact_of(SOL * 9 // 10, 18 * SOL)
    order = trader.buy("1")

    assert order.state == State.FILLED
    assert order.fill.amount_in == 900_000_000
    assert order.fill.price_impact < Decimal("0.05")


def test_d27_an_entry_whose_smallest_size_is_too_much_is_refused(tape):
    trader = in_pool(tape, 10 * SOL)
    with pytest.raises(Refusal) as refused:
        trader.buy("1")

    assert refused.value.code == "PRICE_IMPACT_TOO_HIGH"
    assert trader.orders() == []


def test_d27_null_switches_the_gate_off(tape):
    trader = in_pool(tape, 2 * SOL, config=NO_LIMIT)
    order = trader.buy("1")

    assert order.fill.amount_in == SOL
    assert order.fill.price_impact > Decimal("0.3")


def test_without_a_known_depth_nothing_is_bought_and_everything_sold(tape):
    trader = in_pool(tape, 1000 * SOL)
    trader.buy("1")
    trader.wait(1)
    Token.objects.filter(mint=trader.mint).update(facts={})
    trader.price("0.0006")
    assert trader.position.close_reason == "stop_loss"
    trader.wait(1)
    trader.price("0.001")
    with pytest.raises(Refusal) as refused:
        trader.buy("1")

    assert refused.value.code == "LIQUIDITY_UNKNOWN"


def test_an_exit_above_the_limit_is_split_and_ends(tape):
    trader = in_pool(tape, 1000 * SOL)
    trader.buy("1")
    bought = trader.position.remaining_units
    trader.wait(1)
    set_depth(trader.mint, 6 * SOL)
    trader.price("0.0006")

    parts = trader.orders(side=Side.SELL)
    assert [order.purpose for order in parts] == [Purpose.STOP_LOSS] * len(parts)
    assert [order.ordinal for order in parts] == list(range(len(parts)))
    assert [order.plan["part"] for order in parts] == list(range(1, len(parts) + 1))
    assert 1 < len(parts) <= 8
    assert sum(order.fill.amount_in for order in parts) == bought
    assert all(order.fill.price_impact < Decimal("0.05") for order in parts[:-1])
    assert trader.position.close_reason == "stop_loss"
    assert wallets.balances(trader.wallet.id).get(trader.mint) is None
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].units == 10 * SOL + trader.position.realised_lamports


def test_an_exit_in_an_empty_pool_takes_eight_parts_and_the_last_the_rest(tape):
    trader = in_pool(tape, 1000 * SOL)
    trader.buy("1")
    bought = trader.position.remaining_units
    trader.wait(1)
    set_depth(trader.mint, SOL // 100)
    trader.price("0.0006")

    sold = [order.fill.amount_in for order in trader.orders(side=Side.SELL)]
    assert len(sold) == 8
    assert sold[:7] == [bought // 8] * 7
    assert sum(sold) == bought
    assert trader.position.close_reason == "stop_loss"


def test_a_split_take_profit_books_its_levels_once(tape):
    levels = [{"targetPercent": 15, "sellPercent": 50}, {"targetPercent": 200, "sellPercent": 10}]
    ladder = {"enabled": True, "mode": "custom", "levels": levels, "moonBag": {"enabled": False}}
    trader = in_pool(tape, 1000 * SOL, config={"takeProfit": ladder, "stopLoss": {"enabled": False}})
    trader.buy("1")
    bought = trader.position.remaining_units
    trader.wait(1)
    set_depth(trader.mint, 6 * SOL)
    trader.price("0.00116")

    parts = trader.orders(purpose=Purpose.TAKE_PROFIT)
    assert len(parts) == 2
    assert sum(order.fill.amount_in for order in parts) == bought // 2
    assert trader.position.levels_hit == 1
    assert trader.position.remaining_units == bought - bought // 2


@pytest.mark.parametrize("purpose", [Purpose.TAKE_PROFIT, Purpose.MANUAL])
def test_a_part_that_fails_is_tried_again_whatever_the_exits_purpose(tape, purpose):
    levels = [{"targetPercent": 15, "sellPercent": 50}]
    ladder = {"enabled": True, "mode": "custom", "levels": levels, "moonBag": {"enabled": False}}
    venue = shallow()
    trader = Trader(tape, profile="outside", config={"takeProfit": ladder, "stopLoss": {"enabled": False}})
    trader.price("0.001")
    venue.depth = 1000 * SOL
    trader.buy("1")
    bought = trader.position.remaining_units
    trader.wait(1)
    venue.depth = 6 * SOL
    venue.refuse_from = 2
    if purpose == Purpose.MANUAL:
        trading.position_close(position_id=trader.position.id, principal="t", percent=Decimal(50))
        trader.settle()
    else:
        trader.price("0.00116")
    assert [order.state for order in trader.orders(purpose=purpose)][:2] == [State.FILLED, State.FAILED]
    venue.refuse_from = None
    trader.wait(2)
    trader.price("0.0011")

    assert trader.position.remaining_units == bought - bought // 2
    assert [order.state for order in trader.orders(purpose=purpose)] == [State.FILLED, State.FAILED, State.FILLED]


def part_that_waits(tape) -> Trader:
    """A trader with half a position sold in part; the sale's next part has failed and waits to be tried again."""
    levels = [{"targetPercent": 15, "sellPercent": 50}]
    ladder = {"enabled": True, "mode": "custom", "levels": levels, "moonBag": {"enabled": False}}
    venue = shallow()
    trader = Trader(tape, profile="outside", config={"takeProfit": ladder})
    trader.price("0.001")
    venue.depth = 1000 * SOL
    trader.buy("1")
    trader.wait(1)
    venue.depth = 6 * SOL
    venue.refuse_from = 2
    trader.price("0.00116")
    venue.refuse_from, venue.depth = None, 1000 * SOL
    trader.wait(1)
    trader.price("0.00115")
    assert [order.state for order in trader.orders(side=Side.SELL)] == [State.FILLED, State.FAILED, State.PLANNED]
    return trader


def test_a_stop_takes_the_place_of_a_part_that_waits_to_be_tried_again(tape):
    trader = part_that_waits(tape)
    trader.price("0.0006")

    waiting, stop = trader.orders(side=Side.SELL)[2:]
    assert (waiting.state, waiting.error_code) == (State.CANCELLED, "SUPERSEDED")
    assert (stop.purpose, stop.state) == (Purpose.STOP_LOSS, State.FILLED)
    assert trader.position.close_reason == "stop_loss"


def test_a_part_that_waits_goes_on_waiting_when_the_stop_in_its_place_cannot_be_planned(tape, monkeypatch):
    trader = part_that_waits(tape)

    def away(intents, *, at):
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(orders, "plan", away)
        with pytest.raises(OperationalError):
            trader.price("0.0006")
    assert trader.orders(side=Side.SELL)[2].state == State.PLANNED

    trader.price("0.0006")
    assert [order.state for order in trader.orders(side=Side.SELL)[2:]] == [State.CANCELLED, State.FILLED]
    assert trader.position.close_reason == "stop_loss"


class Shallow(OutsideVenue):
    """A pool over a wire; from the named sale on it refuses."""

    depth = SOL
    refuse_from: int | None = None
    sales = 0

    def quote(self, request):
        if not request.is_buy and self.refuse_from is not None and self.sales + 1 >= self.refuse_from:
            raise BUSY
        return realistic(
            is_buy=request.is_buy,
            amount=request.amount,
            price=request.price,
            decimals=request.decimals,
            depth_lamports=self.depth,
            seed=request.seed,
            opens_account=request.opens_account,
            realism=CALM,
        )

    def submit(self, request, quote):
        self.sales += not request.is_buy


def shallow() -> Shallow:
    venue = Shallow()
    register("outside", venue)
    return venue
