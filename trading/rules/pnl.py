"""The one set of P/L formulas: lamports in, lamports out, change in percent, USD when a price of SOL is known.

Realised = SOL received net of fees - cost of what was sold; purchase fees are in the cost, rent is a deposit and in
neither. Unrealised = floor(units x price) - remaining cost.
"""

from dataclasses import dataclass
from decimal import Decimal

from nexgent.errors import Refusal
from nexgent.money import EXACT, LAMPORTS_PER_SOL, exact, quantise, sol, tokens, value_lamports
from trading.rules.apply import cost_of
from trading.rules.gain import HUNDRED, ZERO, gain_percent


@dataclass(frozen=True, slots=True)
class SalePnl:
    """Profit of a sale. `usd` is None without a price of SOL."""

    cost_lamports: int
    profit_lamports: int
    change_percent: Decimal
    usd: Decimal | None


def usd_of(lamports: int, sol_usd: Decimal | None) -> Decimal | None:
    """USD of an amount in lamports; None without a price of SOL (there is no default price)."""
    return None if sol_usd is None else EXACT.multiply(sol(lamports), sol_usd)


@exact
def full_sale(
    *, invested_lamports: int, received_lamports: int, basis_lamports: Decimal, sol_usd: Decimal | None
) -> SalePnl:
    """P/L of a closed position. `basis_lamports` (see `basis`) is what the change is relative to."""
    profit = received_lamports - invested_lamports
    change = profit * HUNDRED / basis_lamports if basis_lamports > 0 else ZERO
    return SalePnl(invested_lamports, profit, change, usd_of(profit, sol_usd))


@exact
def partial_sale(
    *,
    cost_lamports: int,
    remaining_units: int,
    sold_units: int,
    net_lamports: int,
    average: Decimal,
    sale_price: Decimal,
    sol_usd: Decimal | None,
) -> SalePnl:
    """P/L of a part: net - floor(remaining cost x sold / remaining); the change is the price's alone.

    Raises Refusal OVERSOLD when more is sold than remains.
    """
    if sold_units > remaining_units:
        raise Refusal("OVERSOLD", "More was sold than the position holds.")
    cost = cost_of(cost_lamports, sold_units, remaining_units)
    profit = net_lamports - cost
    return SalePnl(cost, profit, gain_percent(average, sale_price), usd_of(profit, sol_usd))


@exact
def basis(bought_units: int, average: Decimal, decimals: int) -> Decimal:
    """Tokens bought x average price in lamports, not rounded: what the change of a closed position is relative to."""
    return tokens(bought_units, decimals) * average * Decimal(LAMPORTS_PER_SOL)


@exact
def unrealised(remaining_units: int, price: Decimal, decimals: int, cost_lamports: int) -> int:
    """floor(units x price) - remaining cost, in lamports."""
    return value_lamports(remaining_units, price, decimals) - cost_lamports


@exact
def average_sale_price(received_lamports: int, bought_units: int, decimals: int) -> Decimal:
    """Everything received / tokens bought, SOL per token, at stored precision. Raises Refusal ZERO_TOKENS."""
    if bought_units <= 0:
        raise Refusal("ZERO_TOKENS", "There is no average of nothing.")
    return quantise(sol(received_lamports) / tokens(bought_units, decimals))


@exact
def average_price(invested_lamports: int, bought_units: int, decimals: int) -> Decimal:
    """Everything invested / tokens bought, SOL per token, at stored precision. Raises Refusal ZERO_TOKENS."""
    return average_sale_price(invested_lamports, bought_units, decimals)
