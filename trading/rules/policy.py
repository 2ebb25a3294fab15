"""What an agent wants, compiled for the rules: modes resolved, amounts in lamports, percentages exact."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class StopMode(StrEnum):
    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    ZONES = "zones"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class TrailingLevel:
    change_percent: Decimal
    stop_percent: Decimal


@dataclass(frozen=True, slots=True)
class StopPolicy:
    enabled: bool
    mode: StopMode
    default_percent: Decimal
    levels: tuple[TrailingLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class LadderLevel:
    target_percent: Decimal
    sell_percent: Decimal


@dataclass(frozen=True, slots=True)
class MoonBag:
    enabled: bool
    trigger_percent: Decimal
    retain_percent: Decimal


@dataclass(frozen=True, slots=True)
class LadderPolicy:
    enabled: bool
    levels: tuple[LadderLevel, ...]
    moon_bag: MoonBag


@dataclass(frozen=True, slots=True)
class DcaLevel:
    drop_percent: Decimal
    buy_percent: Decimal


@dataclass(frozen=True, slots=True)
class DcaPolicy:
    enabled: bool
    levels: tuple[DcaLevel, ...]
    max_count: int
    cooldown_seconds: int


@dataclass(frozen=True, slots=True)
class StalePolicy:
    enabled: bool
    min_hold_minutes: Decimal
    min_profit_percent: Decimal
    max_profit_percent: Decimal


@dataclass(frozen=True, slots=True)
class SizeRange:
    min_lamports: int
    max_lamports: int


@dataclass(frozen=True, slots=True)
class SizingPolicy:
    minimum_lamports: int
    medium_lamports: int
    large_lamports: int
    small_size: SizeRange
    medium_size: SizeRange
    large_size: SizeRange
    randomise: bool


@dataclass(frozen=True, slots=True)
class Limits:
    minimum_balance_lamports: int
    max_purchase_lamports: int
    max_price_impact: Decimal | None = None
    max_open_positions: int = 25
    max_exposure_lamports: int | None = None
    max_exposure_per_token_lamports: int | None = None


@dataclass(frozen=True, slots=True)
class SignalFilter:
    min_score: int = 1
    allowed_types: tuple[str, ...] = ()
    token_filter_mode: str = "none"  # noqa: S105  (a mode, not a secret)
    token_list: tuple[str, ...] = ()
    market_cap_min: Decimal | None = None
    market_cap_max: Decimal | None = None
    liquidity_min: Decimal | None = None
    liquidity_max: Decimal | None = None
    holder_count_min: int | None = None
    holder_count_max: int | None = None
    allowed_sources: tuple[str, ...] = ()
    follow_sell: bool = False


@dataclass(frozen=True, slots=True)
class TokenGate:
    require_mint_authority_disabled: bool = False
    require_freeze_authority_disabled: bool = False
    refuse_flagged: bool = False
    max_age_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Cooldown:
    minutes: int


@dataclass(frozen=True, slots=True)
class StopLossGuard:
    trades: int
    lookback_minutes: int
    pause_minutes: int
    per_token: bool = False


@dataclass(frozen=True, slots=True)
class MaxDrawdown:
    percent: Decimal
    lookback_minutes: int
    pause_minutes: int


@dataclass(frozen=True, slots=True)
class LowProfitToken:
    percent: Decimal
    trades: int
    lookback_minutes: int
    pause_minutes: int


@dataclass(frozen=True, slots=True)
class DailyLoss:
    lamports: int


@dataclass(frozen=True, slots=True)
class Protections:
    cooldown: Cooldown | None = None
    stop_loss_guard: StopLossGuard | None = None
    max_drawdown: MaxDrawdown | None = None
    low_profit_token: LowProfitToken | None = None
    daily_loss: DailyLoss | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One configuration version, compiled once."""

    stop: StopPolicy
    ladder: LadderPolicy
    dca: DcaPolicy
    stale: StalePolicy
    sizing: SizingPolicy
    limits: Limits
    signals: SignalFilter = SignalFilter()
    token_gate: TokenGate = TokenGate()
    protections: Protections = Protections()
