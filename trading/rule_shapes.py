"""What overrides, protections and statistics look like in answers."""

from nexgent.api.shapes import DecimalText, Mint, Object, Shape, Stamp, Uuid


class OverrideShape(Shape):
    """Null: the configuration's own."""

    position_id: Uuid
    agent_id: Uuid
    stop_loss: Object | None
    take_profit: Object | None
    stop_percent: DecimalText | None
    current_stop_percent: DecimalText | None
    config_version: int


class LockShape(Shape):
    """A pause of entries that a protection called; `tokenAddress` null: for every token."""

    id: Uuid
    agent_id: Uuid
    protection: str
    token_address: Mint | None
    reason: str
    starts_at: Stamp
    ends_at: Stamp
    is_active: bool
    lifted_at: Stamp | None
    lifted_by: str | None


class DrawdownShape(Shape):
    sol: DecimalText
    percent: DecimalText
    peak_at: Stamp | None
    trough_at: Stamp | None


class StatisticsShape(Shape):
    """Null: not defined for these facts (no loss, no closed trade, too few points)."""

    trades: int
    wins: int
    losses: int
    win_rate_percent: DecimalText | None
    gross_profit_sol: DecimalText
    gross_loss_sol: DecimalText
    profit_factor: DecimalText | None
    expectancy_sol: DecimalText | None
    average_win_sol: DecimalText | None
    average_loss_sol: DecimalText | None
    best_trade_sol: DecimalText | None
    worst_trade_sol: DecimalText | None
    average_return_percent: DecimalText | None
    holding_seconds_average: DecimalText | None
    holding_seconds_median: DecimalText | None
    longest_win_streak: int
    longest_loss_streak: int
    max_drawdown: DrawdownShape
    sharpe: DecimalText | None
    sortino: DecimalText | None
    calmar: DecimalText | None
    equity_points: int
