"""Switches, limits, gates and protections: what stops entries; nothing but their own switch stops exits."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.errors import Refusal
from prices.models import Token
from prices.records import PriceTick
from signals.models import Verdict
from tests.trader import Trader
from trading import lifecycle
from trading import services as trading
from trading.models import Position, ProtectionLock, Purpose, Side, State

SOL = 10**9
DCA = {"dca": {"enabled": True, "mode": "aggressive"}}


def reasons(signal) -> list:
    return Verdict.objects.get(signal=signal).reasons


def tick_of(trader, price) -> PriceTick:
    return PriceTick(trader.mint, Decimal(price), clock.now(), "test")


def code_of(trader, sol="1") -> str:
    with pytest.raises(Refusal) as refused:
        trader.buy(sol)
    return refused.value.code


def stopped(tape, **options) -> Trader:
    """A trader whose first position was stopped at a loss of 0.4 SOL."""
    trader = Trader.with_position(tape, **options)
    trader.price("0.0006")
    assert trader.position.close_reason == "stop_loss"
    return trader


def test_entries_off_stops_signals_and_dca_and_no_exit(tape):
    trader = Trader(tape, config=DCA)
    trader.price("0.001")
    trader.signal()
    trader.switch(entries_simulation=False)
    trader.settle()
    trader.wait(1)
    trader.price("0.0009")
    assert trader.orders(purpose=Purpose.DCA) == []
    assert reasons(trader.signal()) != []
    trader.price("0.0006")

    assert trader.position.close_reason == "stop_loss"
    assert len(trader.orders(side=Side.BUY)) == 1


def test_exits_off_stops_every_sale_and_on_again_decides_what_is_due(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trader.switch(exits_simulation=False)
    trader.settle()
    trader.wait(1)
    trader.price("0.0006")
    assert trader.orders(side=Side.SELL) == []
    trader.switch(exits_simulation=True)
    trader.settle()
    trader.settle()

    assert trader.position.close_reason == "stop_loss"


def test_a_stop_planned_before_exits_went_off_is_not_sold(tape):
    trader = Trader.with_position(tape)
    trader.engine.offer([tick_of(trader, "0.0006")])
    trader.engine.step()
    trader.switch(exits_simulation=False)
    trader.settle()

    order = trader.orders(side=Side.SELL)[0]
    assert (order.state, order.error_code) == (State.CANCELLED, "NO_LONGER_TRUE")
    assert trader.position.closed_at is None


def test_a_configuration_saved_later_does_not_change_an_open_position(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trader.configure({"stopLoss": {"defaultPercentage": -5}})
    trader.settle()
    trader.wait(1)
    trader.price("0.0009")
    assert trader.position.closed_at is None
    trader.agent.refresh_from_db()
    assert trading.apply_to_open_positions(agent_id=trader.agent.id, config_id=trader.agent.config_id) == 1
    trader.settle()
    trader.settle()

    assert trader.position.close_reason == "stop_loss"
    assert trader.orders(side=Side.SELL)[0].config_id == trader.agent.config_id


def custom_stop(*levels):
    levels = [{"change": change, "stopLoss": stop} for change, stop in levels]
    return {"stopLoss": {"mode": "custom", "trailingLevels": levels}, "takeProfit": {"enabled": False}}


def test_a_custom_stop_holds_what_the_peak_before_it_asks_for_when_a_later_level_asks_for_less(tape):
    trader = Trader.with_position(tape, config=custom_stop((300, 100)))
    trader.price("0.0016")
    trader.configure(custom_stop((100, 10), (50, 30)))
    trader.agent.refresh_from_db()
    trading.apply_to_open_positions(agent_id=trader.agent.id, config_id=trader.agent.config_id)
    trader.settle()
    trader.wait(1)
    trader.price("0.0022")
    trader.engine.book.save_watermarks(at=clock.now())
    assert (trader.position.watermark.peak, trader.position.watermark.stop_percent) == (Decimal("0.0022"), 30)


def test_the_number_of_positions_is_limited(tape):
    trader = Trader(tape, config={"limits": {"maxOpenPositions": 1}})
    trader.price("0.001")
    trader.buy("1")
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.001")

    assert code_of(trader) == "MAX_POSITIONS_EXCEEDED"
    assert reasons(trader.signal()) == ["max_positions_exceeded"]


def test_exposure_cuts_an_entry_of_a_signal_and_refuses_a_persons(tape):
    trader = Trader(tape, config={"limits": {"maxExposureSol": 1.2}})
    trader.price("0.001")
    trader.buy("1")
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.001")
    assert code_of(trader, "0.3") == "MAX_EXPOSURE_EXCEEDED"
    trader.signal()

    assert trader.position.invested_lamports == 200_000_000


def test_exposure_of_a_token_cuts_a_dca(tape):
    trader = Trader.with_position(tape, config=DCA | {"limits": {"maxExposurePerTokenSol": 1.3}})
    trader.price("0.0009")

    assert trader.orders(purpose=Purpose.DCA)[0].fill.amount_in == 300_000_000


def test_the_token_gate_refuses_with_its_reasons(tape):
    gate = {"tokenGate": {"requireMintAuthorityDisabled": True, "refuseFlagged": True}}
    trader = Trader(tape, config=gate)
    trader.price("0.001")
    assert reasons(trader.signal()) == ["token_refused", "mint_authority_unknown", "token_flag_unknown"]
    Token.objects.filter(mint=trader.mint).update(
        facts={"mintAuthorityDisabled": True, "isFlagged": False}, facts_at=clock.now()
    )
    trader.wait(61)
    trader.price("0.001")

    assert reasons(trader.signal()) == []
    assert trader.position.remaining_units > 0


def test_a_cooldown_keeps_from_the_same_token_only_and_ends(tape):
    trader = stopped(tape, config={"protections": {"cooldown": {"minutes": 10}}})
    mine = trader.mint
    assert code_of(trader) == "PROTECTION_ACTIVE"
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.001")
    assert trader.buy("1").state == State.FILLED
    trader.mint = mine
    trader.wait(599)
    trader.price("0.001")
    assert code_of(trader) == "PROTECTION_ACTIVE"
    trader.wait(1)
    trader.price("0.001")

    assert trader.buy("1").state == State.FILLED


def test_the_stop_loss_guard_pauses_all_entries_until_it_is_lifted(tape):
    guard = {"trades": 1, "lookbackMinutes": 60, "pauseMinutes": 30, "perToken": False}
    trader = stopped(tape, config={"protections": {"stopLossGuard": guard}})
    assert reasons(trader.signal())[0] == "protection_active"
    lock = ProtectionLock.objects.get()
    assert (lock.protection, lock.ends_at - lock.starts_at) == ("stop_loss_guard", timedelta(minutes=30))
    trading.protection_lift(lock_id=lock.id, author="me")

    assert trader.buy("1").state == State.FILLED
    lock.refresh_from_db()
    assert (lock.lifted_by, ProtectionLock.objects.count()) == ("me", 1)


def test_max_drawdown_pauses_entries_and_dca_but_no_exit(tape):
    drawdown = {"percent": 3, "lookbackMinutes": 60, "pauseMinutes": 30}
    trader = Trader(tape, config=DCA | {"protections": {"maxDrawdown": drawdown}})
    other = Trader(tape, sol="0").mint
    trader.price("0.001")
    trader.buy("1")
    mine, trader.mint = trader.mint, other
    trader.price("0.001")
    trader.buy("1")
    trader.wait(1)
    trader.price("0.0006")
    assert code_of(trader) == "PROTECTION_ACTIVE"
    trader.mint = mine
    trader.price("0.0009")
    refused = trader.orders(purpose=Purpose.DCA, token_id=mine)
    assert [order.error_code for order in refused] == ["PROTECTION_ACTIVE"]
    trader.price("0.0006")

    assert Position.objects.get(token_id=mine).close_reason == "stop_loss"


def test_the_daily_loss_pauses_until_midnight(tape):
    trader = stopped(tape, config={"protections": {"dailyLoss": {"sol": 0.4}}})
    assert code_of(trader) == "PROTECTION_ACTIVE"
    trader.wait(12 * 3600 - 2)
    trader.price("0.001")
    assert code_of(trader) == "PROTECTION_ACTIVE"
    trader.wait(2)
    trader.price("0.001")

    assert trader.buy("1").state == State.FILLED


@pytest.mark.parametrize(
    "protection",
    [
        {"cooldown": {"minutes": 10}},
        {"dailyLoss": {"sol": 0.4}},
        {"stopLossGuard": {"trades": 1, "lookbackMinutes": 60, "pauseMinutes": 30, "perToken": False}},
    ],
)
def test_protections_count_nothing_of_an_epoch_that_ended(tape, protection):
    trader = stopped(tape, config={"protections": protection})
    lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me")
    trader.fund("10")
    trader.price("0.001")

    assert trader.buy("1").state == State.FILLED


def test_the_daily_loss_counts_what_is_not_realised_yet(tape):
    trader = Trader.with_position(
        tape, config={"stopLoss": {"enabled": False}, "protections": {"dailyLoss": {"sol": 0.4}}}
    )
    trader.price("0.0006")
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.001")

    assert code_of(trader) == "PROTECTION_ACTIVE"


def test_the_daily_loss_counts_a_part_that_was_sold_of_an_open_position(tape):
    trader = Trader.with_position(
        tape, config={"stopLoss": {"enabled": False}, "protections": {"dailyLoss": {"sol": 0.2}}}
    )
    trader.price("0.0005")
    trading.position_close(position_id=trader.position.id, principal="t", percent=Decimal(50))
    trader.settle()
    trader.price("0.001")
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.001")

    assert code_of(trader) == "PROTECTION_ACTIVE"


def test_a_sell_signal_closes_only_for_agents_that_follow(tape):
    for follows, reason in ((False, None), (True, "signal")):
        trader = Trader(tape, config={"signals": {"followSell": follows}})
        trader.price("0.001")
        trader.buy("1")
        signal = trader.signal(side="sell")

        assert (trader.position.close_reason or None) == reason
        assert (Verdict.objects.get(signal=signal).order_id is not None) is follows
        assert len(trader.orders(side=Side.BUY)) == 1


def test_a_sell_signal_without_a_position_is_skipped_with_its_reason(tape):
    trader = Trader(tape, config={"signals": {"followSell": True}})
    trader.price("0.001")

    assert reasons(trader.signal(side="sell")) == ["position_not_found"]
    assert trader.orders() == []


def test_a_dry_run_leaves_a_verdict_and_no_order(tape):
    trader = Trader(tape)
    trader.price("0.001")

    assert reasons(trader.signal(dryRun=True)) == ["dry_run"]
    assert trader.orders() == []


def test_levels_with_nothing_sellable_are_consumed_and_the_bag_set_aside(tape):
    levels = [{"targetPercent": 50, "sellPercent": 50}, {"targetPercent": 100, "sellPercent": 25}]
    bag = {"enabled": True, "triggerPercent": 100, "retainPercent": 25}
    ladder = {"takeProfit": {"enabled": True, "mode": "custom", "levels": levels, "moonBag": bag}}
    trader = Trader(tape, config=ladder | {"stopLoss": {"enabled": False}})
    trader.price("0.001")
    trader.buy("1")
    trading.position_close(position_id=trader.position.id, principal="t", percent=Decimal(75))
    trader.settle()
    trader.wait(1)
    trader.price("0.002")

    assert trader.position.levels_hit == 2
    assert trader.position.remaining_units == 250 * 10**9
    assert trader.position.moon_bag_units == 250 * 10**9
    assert trader.orders(purpose=Purpose.TAKE_PROFIT) == []


def test_the_stamps_of_an_order_never_go_back(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    trader.wait(1)
    trader.price("0.0006")
    entry, exit_order = trader.orders()

    names = ["received", "verdict", "order_committed", "quoted", "submitted", "filled"]
    assert [name for name in names if name not in entry.stages] == []
    stamps = [entry.stages[name] for name in names]
    assert stamps == sorted(stamps)
    stamps = [exit_order.stages[name] for name in names[2:]]
    assert stamps == sorted(stamps)


def test_an_order_keeps_rule_configuration_and_extremes(tape):
    trader = Trader.with_position(tape)
    trader.price("0.0015")
    trader.wait(1)
    trader.price("0.0013")

    order = trader.orders(side=Side.SELL)[0]
    trader.agent.refresh_from_db()
    assert (order.purpose, order.plan["reason"]) == (Purpose.STOP_LOSS, "stop_reached")
    assert (order.price, order.price_source, order.price_at) == (Decimal("0.0013"), "test", clock.now())
    assert (order.peak, order.stop_percent) == (Decimal("0.0015"), 40)
    assert order.config_id == trader.agent.config_id


def test_published_is_stamped_after_the_fill_of_entry_and_exit(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.signal()
    trader.wait(1)
    trader.price("0.0006")
    end = time.monotonic() + 10
    while any("published" not in order.stages for order in trader.orders()) and time.monotonic() < end:
        time.sleep(0.05)

    assert [order.stages["published"] >= order.stages["filled"] for order in trader.orders()] == [True, True]
