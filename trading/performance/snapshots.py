"""Hourly snapshots of what each wallet of each agent is worth."""

from datetime import datetime
from uuid import UUID

from agents.models import Assignment
from nexgent import clock, money
from nexgent.rows import insert
from prices import selectors as prices
from trading.models import PortfolioSnapshot, Position
from wallets import selectors as wallets

_COLUMNS = (
    "agent",
    "wallet",
    "at",
    "equity_lamports",
    "sol_lamports",
    "positions_lamports",
    "unrealised_lamports",
    "unpriced_positions",
)
_UPSERT = (
    "ON CONFLICT (agent_id, wallet_id, at) DO UPDATE SET equity_lamports = excluded.equity_lamports, "
    "sol_lamports = excluded.sol_lamports, positions_lamports = excluded.positions_lamports, "
    "unrealised_lamports = excluded.unrealised_lamports, unpriced_positions = excluded.unpriced_positions"
)


def capture(*, now: datetime | None = None) -> int:
    """Write this hour's snapshot of every assigned wallet (again: replace it); returns how many."""
    at = (now or clock.now()).replace(minute=0, second=0, microsecond=0)
    pairs = list(Assignment.objects.filter(ended_at=None).values_list("agent_id", "wallet_id"))
    balances = wallets.sol_balances([wallet_id for _, wallet_id in pairs])
    values = _position_values()
    rows = []
    for agent_id, wallet_id in pairs:
        worth, cost, rent, unpriced = values.get(wallet_id, (0, 0, 0, 0))
        sol = balances[wallet_id].units
        rows.append((agent_id, wallet_id, at, sol + rent + worth, sol, worth, worth - cost, unpriced))
    insert(PortfolioSnapshot, _COLUMNS, rows, conflict=_UPSERT)
    return len(rows)


def _position_values() -> dict[UUID, tuple[int, int, int, int]]:
    """Per wallet: value and cost of the priced open positions, all rent deposits, number of unpriced positions."""
    held = list(
        Position.objects.filter(closed_at=None).values_list(
            "wallet_id", "token_id", "remaining_units", "decimals", "cost_lamports", "rent_lamports"
        )
    )
    latest = prices.latest(list({row[1] for row in held}))
    values: dict[UUID, tuple[int, int, int, int]] = {}
    for wallet_id, mint, units, decimals, cost, rent in held:
        worth, basis, deposits, unpriced = values.get(wallet_id, (0, 0, 0, 0))
        tick = latest.get(mint)
        if tick is None:
            values[wallet_id] = (worth, basis, deposits + rent, unpriced + 1)
            continue
        value = money.value_lamports(units, tick.price_sol, decimals)
        values[wallet_id] = (worth + value, basis + cost, deposits + rent, unpriced)
    return values
