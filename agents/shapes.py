"""What agents, their configuration and what their wallets hold look like in answers (`nexgent.api.shapes`)."""

from typing import Literal

from nexgent.api.shapes import DecimalText, Mint, Object, Shape, Stamp, Uuid

TradingMode = Literal["simulation", "live"]


class AgentShape(Shape):
    id: Uuid
    user_id: Uuid
    name: str
    trading_mode: TradingMode
    automated_trading_simulation: bool
    automated_trading_live: bool
    exits_enabled_simulation: bool
    exits_enabled_live: bool
    profile: Literal["ideal", "realistic"]
    created_at: Stamp
    updated_at: Stamp


class ConfigVersionShape(Shape):
    """One version; `config` is the whole trading configuration."""

    agent_id: Uuid
    version: int
    author: str
    created_at: Stamp
    config: Object


class ConfigShape(ConfigVersionShape):
    """The version in force, and what it probably does not mean."""

    warnings: list[str]
    applied_to_positions: int = 0


class BalanceShape(Shape):
    id: Uuid
    agent_id: Uuid
    wallet_address: str
    token_address: Mint
    token_symbol: str
    balance: DecimalText
    held: DecimalText
    last_updated: Stamp


class PricedBalanceShape(BalanceShape):
    price_sol: DecimalText | None


class AgentWalletShape(Shape):
    wallet_address: str
    wallet_type: TradingMode
    is_available: bool
    created_at: Stamp
    updated_at: Stamp


class AvailableWalletShape(Shape):
    wallet_address: str
    is_assigned: bool


class AgentWalletsShape(Shape):
    agent_wallets: list[AgentWalletShape]
    available_wallets: list[AvailableWalletShape]
