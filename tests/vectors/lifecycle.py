"""Vector family lifecycle: entry, then a list of price ticks, through the whole engine: service, order, ledger,
position.
"""

from decimal import Decimal
from typing import Any

from django.db import transaction

from agents import selectors as agents
from nexgent import money
from nexgent.clock import TapeClock
from tests.trader import Trader, tape_clock
from tests.vectors.config import to_wire
from tests.vectors.figures import amount, exact_number
from trading.models import Order, Position, Side, State
from trading.rules import pnl
from trading.rules.market import FeeSchedule
from trading.venues import registry
from trading.venues.simulated import Simulated
from wallets import selectors

SOL_USD = Decimal(150)
_KINDS = {"entry": "entry_buy", "dca": "dca_buy", "take_profit": "take_profit_sale"}


class _RolledBack(Exception):
    """Undoes what a vector wrote."""


def position_lifecycle(vector: dict[str, Any]) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    with tape_clock() as tape:
        try:
            with transaction.atomic():
                results.append(_life(tape, vector["input"]))
                raise _RolledBack
        except _RolledBack:
            return results[0]


def _life(tape: TapeClock, given: dict[str, Any]) -> dict[str, Any]:
    registry.register("vector", Simulated(fees=_schedule(given.get("fees") or {})))
    trader = Trader(
        tape,
        config=to_wire(given["config_overrides"]),
        sol=given["start_sol"],
        profile="vector",
        decimals=given["token_decimals"],
    )
    pause_from = given.get("pause_from_tick")
    trader.price(exact_number(given["entry_price_sol"]))
    tick_of: dict[Any, int] = {trader.buy(str(exact_number(given["position_size_sol"]))).id: 0}
    for number, (seconds, price) in enumerate(given["ticks_seconds_and_price"], 1):
        trader.wait(seconds)
        if pause_from is not None and number == pause_from:
            trader.switch(automatedTradingSimulation=False)
        trader.price(exact_number(price))
        for order in trader.orders(state=State.FILLED):
            tick_of.setdefault(order.id, number)
    return _story(trader, tick_of)


def _schedule(fees: dict[str, Any]) -> FeeSchedule:
    return FeeSchedule(
        protocol_bps=fees.get("protocol_fee_bps", 0),
        signature_lamports=fees.get("signature_fee_lamports", 0),
        priority_lamports=fees.get("priority_fee_lamports", 0),
        rent_lamports=fees.get("rent_fee_lamports_on_buys", 0),
    )


def _story(trader: Trader, tick_of: dict[Any, int]) -> dict[str, Any]:
    position = trader.position
    is_closed = position.closed_at is not None
    balances = selectors.balances(trader.wallet.id)
    held = balances.get(trader.mint)
    return {
        "trades": [_trade(order, tick_of[order.id], position.decimals) for order in trader.orders(state=State.FILLED)],
        "position_created": True,
        "closed": is_closed,
        "history": [_history(position)] if is_closed else [],
        "final_position": None if is_closed else _final(position, trader),
        "final_balances": {
            "sol": money.text(money.sol(balances[money.SOL_MINT].units)),
            "token": money.text(amount(held.units, position.decimals)) if held else None,
        },
    }


def _trade(order: Order, tick: int, decimals: int) -> dict[str, Any]:
    fill = order.fill
    is_buy = order.side == Side.BUY
    sol, tokens = (fill.amount_in, fill.amount_out) if is_buy else (fill.amount_out, fill.amount_in)
    amounts = [money.sol(sol), amount(tokens, decimals)]
    return {
        "tick": tick,
        "kind": _KINDS.get(order.get_purpose_display(), "full_sale"),
        "input_amount": amounts[0] if is_buy else amounts[1],
        "output_amount": amounts[1] if is_buy else amounts[0],
        "protocol_fee_sol": money.sol(fill.protocol_fee_lamports),
        "network_fee_sol": money.sol(fill.network_fee_lamports),
    }


def _history(position: Position) -> dict[str, Any]:
    sale = pnl.full_sale(
        invested_lamports=position.invested_lamports,
        received_lamports=position.received_lamports,
        basis_lamports=pnl.basis(position.bought_units, position.average, position.decimals),
        sol_usd=SOL_USD,
    )
    return {
        "close_reason": position.close_reason,
        "tokens": amount(position.bought_units, position.decimals),
        "purchase_price_sol": position.average,
        "average_sale_price_sol": pnl.average_sale_price(
            position.received_lamports, position.bought_units, position.decimals
        ),
        "change_percent": round(sale.change_percent, 4),
        "profit_loss_sol": money.sol(sale.profit_lamports),
        "profit_loss_usd": sale.usd,
    }


def _final(position: Position, trader: Trader) -> dict[str, Any]:
    row = trader.engine.book.states()[position.id]
    has_stop = agents.policy(position.config_id).stop.enabled
    has_sold = bool(trader.orders(side=Side.SELL, state=State.FILLED))
    return {
        "average_price_sol": position.average,
        "total_tokens": amount(position.bought_units, position.decimals),
        "total_invested_sol": money.sol(position.invested_lamports),
        "remaining_tokens": amount(position.remaining_units, position.decimals) if has_sold else None,
        "stored_stop_loss_percentage": row.stop_percent if has_stop else None,
        "peak_price_sol": row.peak if has_stop else None,
        "lowest_price_sol": row.low,
        "dca_count": position.dca_count,
        "take_profit_levels_hit": position.levels_hit,
        "batch_start_level": position.batch_start,
        "stored_total_levels": position.total_levels if position.dca_count else None,
        "moon_bag_activated": position.moon_bag_active,
        "moon_bag_tokens": amount(position.moon_bag_units, position.decimals) if position.moon_bag_units else None,
        "realized_profit_sol": money.sol(position.realised_lamports),
    }


FAMILIES = {"lifecycle": position_lifecycle}
