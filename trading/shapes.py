"""What positions, orders, transactions and closed trades look like in answers (`nexgent.api.shapes`)."""

from typing import Literal

from pydantic import Field

from nexgent.api.shapes import DecimalText, Mint, Number, Object, Shape, Stamp, Uuid

SideName = Literal["buy", "sell"]
PurposeName = Literal["entry", "dca", "stop_loss", "take_profit", "stale_trade", "manual", "signal", "tape_end"]
StateName = Literal["planned", "quoted", "submitted", "filled", "failed", "cancelled"]


class PurchaseTransactionShape(Shape):
    id: Uuid | None
    hash: str | None
    time: Stamp


class PurchaseShape(Shape):
    price_native: Number
    price_usd: Number
    amount: Number
    transaction: PurchaseTransactionShape


class CurrentShape(Shape):
    price_native: Number
    price_usd: Number
    value_native: Number
    value_usd: Number


class ProfitLossShape(Shape):
    native: Number
    usd: Number
    percent: Number
    price_change_percent: Number
    realized: Number


class StopShape(Shape):
    percentage: Number | None
    peak_price: Number | None


class LadderShape(Shape):
    levels_hit: int
    total_levels: int
    tp_batch_start_level: int
    remaining_amount: Number
    original_amount: Number
    sold_percent: Number
    moon_bag_activated: bool
    moon_bag_amount: Number | None
    last_take_profit_time: Stamp | None
    transaction_ids: list[Uuid]


class DcaShape(Shape):
    count: int
    total_invested_sol: Number
    last_dca_time: Stamp | None
    transaction_ids: list[Uuid]


class PositionShape(Shape):
    """An open position at its latest price; unpriced ones carry the purchase price and no profit."""

    id: Uuid
    agent_id: Uuid
    wallet_address: str
    token_address: Mint
    token_symbol: str
    signal_id: int | None
    purchase_transaction_id: Uuid | None
    purchase: PurchaseShape
    current: CurrentShape
    profit_loss: ProfitLossShape
    stop_loss: StopShape
    take_profit: LadderShape
    dca: DcaShape
    price_state: Literal["fresh", "stale", "unpriced"]
    price_time: Stamp | None
    untradable_since: Stamp | None
    created_at: Stamp
    updated_at: Stamp


class LadderRowShape(Shape):
    id: Uuid
    token_symbol: str
    levels_hit: int
    remaining_percent: Number
    moon_bag_activated: bool
    last_take_profit_time: Stamp | None


class LadderSummaryShape(Shape):
    total_positions: int
    positions_with_take_profit_hit: int
    active_moon_bags: int
    total_levels_hit: int
    positions: list[LadderRowShape] = []


class PendingOrderShape(Shape):
    """Not final yet; ask `GET /orders/{id}`."""

    order_id: Uuid
    state: StateName


class BoughtShape(Shape):
    success: Literal[True]
    transaction_id: Uuid
    position_id: Uuid
    input_amount: Number
    output_amount: Number
    purchase_price: Number
    transaction_hash: str | None
    stop_loss_initialized: bool
    order_id: Uuid
    state: StateName
    stop_loss_percentage: Number = Field(default=None, validate_default=False)
    signal_id: int = Field(default=0)


class SoldShape(Shape):
    success: Literal[True]
    transaction_id: Uuid
    historical_swap_id: Uuid | None = Field(description="The closed trade, when nothing is left.")
    position_id: Uuid
    input_amount: Number
    output_amount: Number
    sale_price: Number
    profit_loss_sol: Number
    profit_loss_usd: Number
    change_percent: Number
    transaction_hash: str | None
    order_id: Uuid
    state: StateName
    position_closed: bool
    remaining_amount: Number


class WrittenOffShape(Shape):
    success: Literal[True]
    position_id: Uuid
    historical_swap_id: Uuid
    profit_loss_sol: Number


class OrderErrorShape(Shape):
    code: str
    detail: Object | None


class FillShape(Shape):
    input_amount: DecimalText
    output_amount: DecimalText
    price: DecimalText
    price_impact: DecimalText | None
    protocol_fee_sol: DecimalText
    network_fee_sol: DecimalText
    rent_sol: DecimalText
    realized_profit_sol: DecimalText
    sol_usd: DecimalText | None
    time: Stamp


class OrderShape(Shape):
    """An intent with its decision and what came of it; amounts are SOL of a buy, tokens of a sale."""

    id: Uuid
    agent_id: Uuid
    wallet_address: str
    token_address: Mint
    position_id: Uuid | None
    signal_id: int | None
    side: SideName
    purpose: PurposeName
    reason: str | None
    state: StateName
    amount: DecimalText
    price: DecimalText | None
    price_time: Stamp | None
    price_source: str | None
    config_version: int
    error: OrderErrorShape | None
    fill: FillShape | None
    transaction_id: Uuid | None
    stages: dict[str, str]
    created_at: Stamp
    final_at: Stamp | None


class TransactionShape(Shape):
    """A ledger entry: a trade, a movement from or to the outside, a correction, a write-off."""

    id: Uuid
    agent_id: Uuid
    wallet_address: str
    transaction_type: Literal["DEPOSIT", "SWAP", "BURN", "WITHDRAWAL", "ADJUSTMENT"]
    transaction_value_usd: DecimalText
    transaction_time: Stamp
    destination_address: str | None
    signal_id: int | None
    fees: DecimalText
    routes: None
    input_mint: str | None
    input_symbol: str | None
    input_amount: DecimalText | None
    input_price: DecimalText | None
    output_mint: str | None
    output_symbol: str | None
    output_amount: DecimalText | None
    output_price: DecimalText | None
    slippage: None
    price_impact: DecimalText | None
    is_dca: bool
    is_take_profit: bool
    transaction_hash: str | None
    protocol_fee_sol: DecimalText | None
    network_fee_sol: DecimalText | None
    created_at: Stamp
    updated_at: Stamp
    order_id: Uuid | None
    position_id: Uuid | None
    reason: str | None
    author: str | None


class ClosedTradeShape(Shape):
    """One closed position, over its whole life."""

    id: Uuid
    agent_id: Uuid
    wallet_address: str
    token_address: Mint
    token_symbol: str
    amount: DecimalText
    purchase_price: DecimalText
    sale_price: DecimalText
    change_percent: DecimalText
    profit_loss_usd: DecimalText
    profit_loss_sol: DecimalText
    purchase_time: Stamp
    sale_time: Stamp
    purchase_transaction_id: Uuid
    sale_transaction_id: Uuid | None
    signal_id: str | None
    close_reason: str
    created_at: Stamp


class PerformanceShape(Shape):
    portfolio_balance_sol: Number
    total_profit_loss_sol: Number
    realized_profit_loss_sol: Number
    unrealized_profit_loss_sol: Number
    average_return: Number
    win_rate: Number
    total_closed_trades: int
    total_open_positions: int
    unpriced_positions: int


class SnapshotShape(Shape):
    timestamp: Stamp
    portfolio_balance_sol: DecimalText
    sol_balance: DecimalText
    positions_value_sol: DecimalText
    unrealized_pnl_sol: DecimalText = Field(alias="unrealizedPnLSol")


class BalanceHistoryShape(Shape):
    agent_id: Uuid
    timeframe: Literal["24h", "all"]
    snapshots: list[SnapshotShape]
