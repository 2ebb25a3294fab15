"""What a person asks for: buys, part and full closes, pinned stops, write-offs."""

from decimal import Decimal

import pytest

from nexgent import clock, money
from nexgent.errors import NotFound, Refusal
from nexgent.events.models import Event
from prices.records import EXIT_MAX_AGE
from tests.trader import Trader
from tests.venues import BUSY, FEES, LOST, outside, with_fees
from trading import services as trading
from trading.models import Order, Position, Purpose, Side, State
from wallets import selectors as wallets
from wallets.models import Entry, EntryKind

SOL = 10**9


@pytest.fixture
def holder(tape):
    """A trader with 1000 tokens at 0.001 SOL."""
    trader = Trader.with_position(tape)
    return trader


def close(trader, **how) -> Order:
    order_id = trading.position_close(position_id=trader.position.id, principal="test", **how)
    trader.settle()
    return Order.objects.get(id=order_id)


def code_of(function, **arguments) -> str:
    with pytest.raises(Refusal) as refused:
        function(**arguments)
    return refused.value.code


def untradable(trader) -> None:
    Position.objects.filter(id=trader.position.id).update(untradable_at=clock.now())


def test_a_part_close_sells_the_share_and_books_its_cost(holder):
    order = close(holder, percent=Decimal("33.3"))

    assert order.fill.amount_in == 333 * 10**9
    assert holder.position.remaining_units == 667 * 10**9
    assert holder.position.cost_lamports == SOL - 333_000_000
    assert holder.position.realised_lamports == 0


@pytest.mark.parametrize(("units", "sold"), [(10 * 10**9, 10 * 10**9), (9_999_999_999, None)])
def test_a_part_close_is_worth_a_hundredth_of_a_sol_at_least(holder, units, sold):
    if sold is None:
        assert code_of(trading.position_close, position_id=holder.position.id, principal="t", units=units) == (
            "BELOW_MINIMUM_TRADE"
        )
        assert holder.orders(side=Side.SELL) == []
    else:
        assert close(holder, units=units).fill.amount_in == sold


@pytest.mark.parametrize(("left", "closes"), [(9_999_999, True), (10_000_000, False)])
def test_dust_goes_with_the_part_close(holder, left, closes):
    close(holder, units=1000 * 10**9 - left)

    assert (holder.position.closed_at is not None) is closes
    assert holder.position.remaining_units == (0 if closes else left)


@pytest.mark.parametrize(
    "how", [{"percent": Decimal(0)}, {"percent": Decimal("100.1")}, {"percent": Decimal("NaN")}, {"units": 10**13}]
)
def test_an_impossible_share_is_refused(holder, how):
    assert code_of(trading.position_close, position_id=holder.position.id, principal="t", **how) == (
        "INVALID_SELL_AMOUNT"
    )


def test_a_close_needs_no_fresh_price(holder):
    holder.price("0.0011")
    holder.wait(3600)
    order = close(holder)

    assert order.fill.price == Decimal("0.0011")
    assert clock.now() - order.price_at > EXIT_MAX_AGE
    assert holder.position.close_reason == "manual"


def test_a_close_while_exits_are_off_is_done(holder):
    holder.switch(exits_simulation=False)
    close(holder)

    assert holder.position.close_reason == "manual"


def test_the_same_key_is_the_same_order_even_after_it_closed(holder):
    first = close(holder, idempotency_key="k")
    again = close(holder, idempotency_key="k")

    assert again.id == first.id
    assert len(holder.orders(side=Side.SELL)) == 1


def test_the_same_key_of_a_buy_is_the_same_order(tape):
    trader = Trader(tape)
    trader.price("0.001")
    arguments = {"agent_id": trader.agent.id, "mint": trader.mint, "principal": "p", "lamports": SOL}

    first = trading.manual_buy(**arguments, idempotency_key="k")
    again = trading.manual_buy(**arguments, idempotency_key="k")

    assert first == again
    assert code_of(trading.manual_buy, **arguments) == "POSITION_EXISTS"


def test_a_close_beside_a_sale_under_way_is_refused(holder):
    trading.position_close(position_id=holder.position.id, principal="t", percent=Decimal(50))

    assert code_of(trading.position_close, position_id=holder.position.id, principal="t") == "SALE_IN_PROGRESS"

    holder.settle()
    assert holder.position.remaining_units == 500 * 10**9


def test_a_person_goes_before_a_stop_that_waits_to_be_tried_again(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.append(BUSY)
    trader.price("0.0006")
    close(trader)

    codes = [(order.purpose, order.state, order.error_code) for order in trader.orders(side=Side.SELL)]
    assert codes == [
        (Purpose.STOP_LOSS, State.FAILED, "VENUE_UNAVAILABLE"),
        (Purpose.STOP_LOSS, State.CANCELLED, "SUPERSEDED"),
        (Purpose.MANUAL, State.FILLED, ""),
    ]
    assert trader.position.close_reason == "manual"


def test_a_stop_goes_on_after_a_persons_close_failed(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.extend([BUSY, BUSY])
    trader.price("0.0006")
    close(trader)
    trader.wait(5)
    trader.price("0.0006")

    assert trader.position.close_reason == "stop_loss"


def test_a_closed_position_is_not_found(holder):
    close(holder)
    with pytest.raises(NotFound):
        trading.position_close(position_id=holder.position.id, principal="t")
    assert len(holder.orders(side=Side.SELL)) == 1


def test_close_all_answers_for_every_position(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    mine, trader.mint = trader.mint, Trader(tape).mint
    trader.price("0.002")
    trader.buy("1")
    busy = Position.objects.get(agent=trader.agent, token_id=mine)
    trading.position_close(position_id=busy.id, principal="t", percent=Decimal(50))

    answers = trading.close_all(agent_ids=[trader.agent.id], principal="t")
    trader.settle()

    assert answers.pop(busy.id).code == "SALE_IN_PROGRESS"
    assert [Order.objects.get(id=order_id).state for order_id in answers.values()] == [State.FILLED]


def test_a_pinned_ladder_is_obeyed_and_taken_off_again(holder):
    levels = [{"targetPercent": 10, "sellPercent": 50}]
    pinned = {"takeProfit": {"enabled": True, "mode": "custom", "levels": levels, "moonBag": {"enabled": False}}}
    trading.position_override(position_id=holder.position.id, override=pinned)
    holder.settle()
    holder.price("0.0011")
    assert holder.position.remaining_units == 500 * 10**9
    trading.position_override(position_id=holder.position.id, override=None)

    assert holder.position.override is None


def test_an_override_that_no_configuration_would_accept_is_refused(holder):
    pinned = {"stopLoss": {"defaultPercentage": 0}}

    assert code_of(trading.position_override, position_id=holder.position.id, override=pinned) == "INVALID_CONFIG"
    assert holder.position.override is None


def test_a_pinned_stop_holds_and_a_late_save_changes_nothing(holder):
    holder.price("0.0011")
    trading.position_override(position_id=holder.position.id, override=None, stop_percent=Decimal(-5))
    assert holder.position.watermark.stop_percent == -5
    assert holder.position.generation == 2
    holder.engine.book.save_watermarks(at=clock.now())  # the book has not read the pin yet

    assert holder.position.watermark.stop_percent == -5
    assert holder.position.watermark.generation == 2
    holder.wait(1)
    holder.settle()
    holder.price("0.00096")
    assert holder.position.closed_at is None
    holder.price("0.00095")
    assert holder.position.close_reason == "stop_loss"


def test_d11_only_an_untradable_position_is_written_off_and_with_a_reason(holder):
    arguments = {"position_id": holder.position.id, "author": "me"}
    assert code_of(trading.write_off, **arguments, reason="gone") == "NOT_UNTRADABLE"
    untradable(holder)
    assert code_of(trading.write_off, **arguments, reason=" ") == "REASON_REQUIRED"
    trading.position_close(position_id=holder.position.id, principal="t", percent=Decimal(50))
    assert code_of(trading.write_off, **arguments, reason="gone") == "SALE_IN_PROGRESS"
    holder.settle()

    assert holder.position.remaining_units == 500 * 10**9
    assert not Entry.objects.filter(kind=EntryKind.BURN).exists()


def test_d11_a_write_off_burns_the_rest_and_shows_as_a_loss(tape):
    trader = Trader.with_position(tape, profile=with_fees())
    close(trader, percent=Decimal(50))
    before = trader.position
    untradable(trader)

    trading.write_off(position_id=before.id, reason="rug", author="me")

    position = trader.position
    assert (position.close_reason, position.remaining_units, position.cost_lamports) == ("write_off", 0, 0)
    assert position.realised_lamports == before.realised_lamports - before.cost_lamports
    entry = Entry.objects.get(kind=EntryKind.BURN)
    assert (entry.reason, entry.author) == ("rug", "me")
    assert wallets.balances(trader.wallet.id).get(trader.mint) is None
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].units == 10 * SOL + position.realised_lamports
    assert FEES.rent_lamports > 0
    assert Event.objects.order_by("-seq").first().payload["closeReason"] == "write_off"
    trader.price("0.001")
    assert trader.buy("0.5").state == State.FILLED


def test_d11_a_stop_that_can_never_be_sold_does_not_keep_from_writing_off(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.extend([BUSY] * 2)
    trader.price("0.0001")
    untradable(trader)

    trading.write_off(position_id=trader.position.id, reason="no pool", author="me")
    trader.wait(60)

    assert trader.settle() == 0
    assert trader.position.close_reason == "write_off"
    assert trader.orders(side=Side.SELL)[-1].error_code == "SUPERSEDED"


def test_d11_a_silent_feed_never_closes_and_never_writes_off(holder):
    holder.wait(7 * 24 * 3600)
    holder.engine.check()
    holder.engine.step()

    assert holder.settle() == 0
    assert holder.position.closed_at is None
    assert holder.position.untradable_at is None


def test_a_manual_close_that_is_lost_leaves_the_position_and_its_state(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.losses.append(LOST)
    order = close(trader)

    assert (order.state, order.error_code) == (State.FAILED, "TRANSACTION_EXPIRED")
    assert trader.position.remaining_units == 1000 * 10**9
    assert close(trader).state == State.FILLED


def test_a_pinned_stop_stands_still_below_the_trail(tape):
    trader = Trader.with_position(tape)
    trader.price("0.0015")
    position = trading.position_override(position_id=trader.position.id, override=None, stop_percent=Decimal(10))
    trader.settle()
    trader.wait(1)
    trader.price("0.0013")
    assert trader.position.closed_at is None
    assert position.generation == 2
    trader.wait(1)
    trader.price("0.002")
    trader.wait(1)
    trader.price("0.0011")
    assert trader.position.close_reason == "stop_loss"


@pytest.mark.parametrize(
    ("pinned", "holds_at", "sells_at"), [("-20", "0.00081", "0.0008"), ("-50", "0.00069", "0.00068")]
)
def test_a_stop_that_is_no_longer_pinned_only_rises(holder, pinned, holds_at, sells_at):
    for stop in (Decimal(pinned), None):
        trading.position_override(position_id=holder.position.id, override=None, stop_percent=stop)
    assert holder.position.watermark.stop_percent == Decimal(pinned)
    holder.engine.check()
    holder.price(holds_at)
    assert holder.position.closed_at is None

    holder.price(sells_at)
    assert holder.position.close_reason == "stop_loss"
