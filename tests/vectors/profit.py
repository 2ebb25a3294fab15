"""Vector families of money after the trade: fees and pnl."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from nexgent.errors import Refusal
from nexgent.money import value_lamports
from tests.vectors.figures import FINE_DECIMALS, TOKEN_DECIMALS, amount, exact_number, optional, whole
from trading.rules import fees, performance, pnl

NOW = datetime(2024, 1, 1, tzinfo=UTC)
REFERENCE_DEFAULT_SOL_USD = 100
"""In an input this stands for "no price of SOL"."""


def extract_swap_fees(given: dict[str, Any]) -> dict[str, Any]:
    found = fees.extract(given["swap_payload_jupiter_wire_format"])
    return {
        "protocol_fee_sol": None if found.protocol_lamports is None else amount(found.protocol_lamports),
        "network_fee_sol": None if found.network_lamports is None else amount(found.network_lamports),
        "rent_deposit_sol": amount(found.rent_lamports),
    }


def _sol_usd(given: dict[str, Any]) -> Decimal | None:
    price = given["sol_price_usd"]
    return None if price == REFERENCE_DEFAULT_SOL_USD else optional(price)


def full_sale_pnl(given: dict[str, Any]) -> dict[str, Any]:
    def sale_in(decimals: int) -> pnl.SalePnl:
        return pnl.full_sale(
            invested_lamports=whole(given["total_invested_sol"], decimals),
            received_lamports=whole(given["total_sol_received"], decimals),
            basis_lamports=Decimal(whole(given["original_cost_basis_sol"], decimals)),
            sol_usd=_sol_usd(given),
        )

    sale = sale_in(TOKEN_DECIMALS)
    return {
        "profit_loss_sol": amount(sale.profit_lamports),
        "change_percent": sale_in(FINE_DECIMALS).change_percent,
        "profit_loss_usd": sale.usd,
    }


def partial_sale_pnl(given: dict[str, Any]) -> dict[str, Any]:
    try:
        sale = pnl.partial_sale(
            cost_lamports=whole(given["total_invested_sol"]),
            remaining_units=whole(given["total_tokens"]),
            sold_units=whole(given["sold_tokens"]),
            net_lamports=whole(given["net_sale_sol"]),
            average=exact_number(given["average_price_sol"]),
            sale_price=exact_number(given["sale_price_sol"]),
            sol_usd=_sol_usd(given),
        )
    except Refusal as refusal:
        return {"error": refusal.code.lower()}
    return {
        "cost_basis_sol": amount(sale.cost_lamports),
        "profit_loss_sol": amount(sale.profit_lamports),
        "change_percent": sale.change_percent,
        "profit_loss_usd": sale.usd,
    }


def _open(given: dict[str, Any]) -> performance.OpenTrade:
    """Remaining cost as the sales leave it: invested - received net + realised."""
    bought = whole(given["total_tokens"])
    units = bought if given["remaining_tokens"] is None else whole(given["remaining_tokens"])
    invested, realised = exact_number(given["total_invested_sol"]), whole(given["realized_profit_sol"])
    received = sum(
        (
            exact_number(sale["output_sol"])
            - exact_number(sale["protocol_fee_sol"] or 0)
            - exact_number(sale["network_fee_sol"] or 0)
            for sale in given["take_profit_sales"]
        ),
        Decimal(0),
    )
    cost = whole(invested - received + exact_number(given["realized_profit_sol"]))
    if not given["take_profit_sales"]:
        cost = whole(invested * units / bought)
    if invested == 0:
        cost = value_lamports(units, exact_number(given["average_price_sol"]), TOKEN_DECIMALS)
    price = given["current_price_sol"]
    value = None if price is None else units * exact_number(price)  # 9 decimals: SOL per token = lamports per unit
    return performance.OpenTrade(value, cost, realised)


def performance_summary(given: dict[str, Any]) -> dict[str, Any]:
    closed = [
        performance.ClosedTrade(
            profit_lamports=whole(trade["profit_loss_sol"]),
            cost_lamports=0,
            change_percent=exact_number(trade["change_percent"]),
            opened_at=NOW - timedelta(hours=trade["closed_hours_ago"]),
            closed_at=NOW - timedelta(hours=trade["closed_hours_ago"]),
        )
        for trade in given["closed"]
    ]
    summary = performance.summary(
        whole(given["sol_balance"]),
        closed,
        [_open(trade) for trade in given["open"]],
        since=NOW - timedelta(hours=24) if given["timeframe"] == "24h" else None,
    )
    return {
        "portfolio_balance_sol": amount(summary.portfolio_lamports),
        "total_profit_loss_sol": amount(summary.total_lamports),
        "realized_profit_loss_sol": amount(summary.realised_lamports),
        "unrealized_profit_loss_sol": amount(summary.unrealised_lamports),
        "average_return_percent": summary.average_return_percent,
        "win_rate_percent": summary.win_rate_percent,
        "total_closed_trades": summary.closed_trades,
        "total_open_positions": summary.open_positions,
        "unpriced_positions": summary.unpriced_positions,
    }


_FUNCTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    function.__name__: function
    for function in (extract_swap_fees, full_sale_pnl, partial_sale_pnl, performance_summary)
}


def run(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    return _FUNCTIONS[given["function"]](given)


FAMILIES = {"fees": run, "pnl": run}
