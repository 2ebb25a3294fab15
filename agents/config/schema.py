"""The one schema of an agent's trading configuration, in wire names.

Types, enums and bounds stand on the fields; `rules()` of a section yields what its fields must satisfy together. The
rules of a section run whenever all its types are right, even if a value is out of bounds (`checks.validate`). Modes and
their meaning come from `trading.rules.policy` and `agents.templates`.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from agents.config.defaults import DEFAULTS
from agents.config.fields import (
    Flag,
    MintAddress,
    Number,
    Text,
    Whole,
    above,
    above_to,
    at_least,
    between,
    entries,
    from_to_below,
    length,
)
from agents.config.merging import RETIRED
from agents.templates import CUSTOM
from trading.rules.policy import StopMode

LEVELS_MAX = 10
LIST_MAX = 10_000
YEAR_MINUTES = "525600"

Problems = Iterator[tuple[str, str]]
PresetMode = Literal["aggressive", "moderate", "conservative", "custom"]
Percent = Annotated[Number, above_to("0", "100")]
Sol = Annotated[Number, above("0")]
Minutes = Annotated[Whole, between("1", YEAR_MINUTES)]
Trades = Annotated[Whole, between("1", "1000")]

# Absent means no bound; null is refused here, because in an update it removes the key (`merging`).
UsdBound = Annotated[Number, above("0"), Field(default=None)]
CountBound = Annotated[Whole, at_least("0"), Field(default=None)]


class Section(BaseModel):
    """A part of the configuration: wire names in camel case, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=AliasGenerator(alias=to_camel))

    def rules(self) -> Problems:
        """What the fields must satisfy together: (path inside the section, message)."""
        yield from ()


class PurchaseLimits(Section):
    minimum_agent_balance: Annotated[Number, at_least("0.1")]
    max_purchase_per_token: Sol
    max_price_impact: Annotated[Number, above_to("0", "1")] | None = None


class Signals(Section):
    min_score: Annotated[Whole, between("1", "5")]
    allowed_signal_types: Annotated[list[Annotated[Text, length(1, 50)]], entries(LIST_MAX)]
    token_filter_mode: Literal["none", "blacklist", "whitelist"]
    token_list: Annotated[list[MintAddress], entries(LIST_MAX)]
    market_cap_min: UsdBound
    market_cap_max: UsdBound
    liquidity_min: UsdBound
    liquidity_max: UsdBound
    holder_count_min: CountBound
    holder_count_max: CountBound
    allowed_sources: Annotated[list[Annotated[Text, length(1, 100)]], entries(LIST_MAX)] = []
    follow_sell: Flag = False

    def rules(self) -> Problems:
        pairs = (
            ("marketCapMax", self.market_cap_min, self.market_cap_max),
            ("liquidityMax", self.liquidity_min, self.liquidity_max),
            ("holderCountMax", self.holder_count_min, self.holder_count_max),
        )
        for path, low, high in pairs:
            if low is not None and high is not None and low > high:
                yield path, "Must not be below its minimum"


class TrailingLevel(Section):
    change: Sol
    stop_loss: Annotated[Number, above_to("0", "1000")]


class StopLoss(Section):
    enabled: Flag
    default_percentage: Annotated[Number, from_to_below("-100", "0")]
    mode: StopMode = StopMode.FIXED
    trailing_levels: list[TrailingLevel]

    @model_validator(mode="before")
    @classmethod
    def _without_retired_key(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and RETIRED in data:
            return {name: value for name, value in data.items() if name != RETIRED}
        return data

    def rules(self) -> Problems:
        if len(self.trailing_levels) > LEVELS_MAX:
            yield "trailingLevels", f"Must have at most {LEVELS_MAX} levels"
        if self.mode is not StopMode.CUSTOM:
            return
        if self.enabled and not self.trailing_levels:
            yield "trailingLevels", "Custom mode needs at least one level"
        for index, level in enumerate(self.trailing_levels):
            if level.stop_loss > level.change:
                yield f"trailingLevels.{index}.stopLoss", "Must not be above the gain that arms it"
        for index, (before, level) in enumerate(pairwise(self.trailing_levels), 1):
            if level.change >= before.change:
                yield f"trailingLevels.{index}", "Gains must fall from level to level"


class Thresholds(Section):
    minimum: Sol
    medium: Sol
    large: Sol

    def rules(self) -> Problems:
        if not self.minimum < self.medium < self.large:
            yield "", "Must rise from minimum over medium to large"


class SizeRange(Section):
    min: Sol
    max: Sol

    def rules(self) -> Problems:
        if self.min > self.max:
            yield "", "The minimum must not be above the maximum"


class PositionSizes(Section):
    small: SizeRange
    medium: SizeRange
    large: SizeRange


class Randomization(Section):
    enabled: Flag


class PositionCalculator(Section):
    sol_balance_thresholds: Thresholds
    position_sizes: PositionSizes
    randomization: Randomization


class StaleTrade(Section):
    enabled: Flag
    min_hold_time_minutes: Annotated[Number, at_least("1")]
    min_profit_percent: Number
    max_profit_percent: Number

    def rules(self) -> Problems:
        if self.min_profit_percent > self.max_profit_percent:
            yield "maxProfitPercent", "Must not be below its minimum"


class DcaLevel(Section):
    drop_percent: Annotated[Number, between("-99", "-1")]
    buy_percent: Annotated[Number, between("1", "500")]


class Dca(Section):
    enabled: Flag
    mode: PresetMode = "moderate"
    levels: list[DcaLevel]
    max_dca_count: Annotated[Whole, between("1", "10")] = Field(alias="maxDCACount")
    cooldown_seconds: Annotated[Number, between("10", "3600")]

    def rules(self) -> Problems:
        if len(self.levels) > LEVELS_MAX:
            yield "levels", f"Must have at most {LEVELS_MAX} levels"
        if self.mode != CUSTOM:
            return
        if self.enabled and not self.levels:
            yield "levels", "Custom mode needs at least one level"
        for index, (before, level) in enumerate(pairwise(self.levels), 1):
            if level.drop_percent > before.drop_percent:
                yield f"levels.{index}", "Drops must not become smaller from level to level"


class LadderLevel(Section):
    target_percent: Annotated[Number, between("1", "10000")]
    sell_percent: Annotated[Number, between("1", "100")]


class MoonBag(Section):
    enabled: Flag
    trigger_percent: Annotated[Number, between("1", "10000")]
    retain_percent: Annotated[Number, between("1", "50")]


class TakeProfit(Section):
    enabled: Flag
    mode: PresetMode
    levels: list[LadderLevel]
    moon_bag: MoonBag

    def rules(self) -> Problems:
        if len(self.levels) > LEVELS_MAX:
            yield "levels", f"Must have at most {LEVELS_MAX} levels"
        if self.mode != CUSTOM:
            return
        if not self.levels:
            if self.enabled:
                yield "levels", "Custom mode needs at least one level"
            return
        retained = self.moon_bag.retain_percent if self.moon_bag.enabled else Decimal(0)
        if sum((level.sell_percent for level in self.levels), retained) > 100:
            yield "levels", "Levels and moon bag must not exceed 100 % together"
        for index, (before, level) in enumerate(pairwise(self.levels), 1):
            if level.target_percent <= before.target_percent:
                yield f"levels.{index}", "Targets must rise from level to level"
        if self.moon_bag.enabled and self.moon_bag.trigger_percent > self.levels[-1].target_percent:
            yield "moonBag.triggerPercent", "Must not be above the last target"


class Limits(Section):
    max_open_positions: Annotated[Whole, between("1", "1000")] = Decimal(25)
    max_exposure_sol: Sol | None = None
    max_exposure_per_token_sol: Sol | None = None


class Cooldown(Section):
    minutes: Minutes


class StopLossGuard(Section):
    trades: Trades
    lookback_minutes: Minutes
    pause_minutes: Minutes
    per_token: Flag = False


class MaxDrawdown(Section):
    percent: Percent
    lookback_minutes: Minutes
    pause_minutes: Minutes


class LowProfitToken(Section):
    percent: Number
    trades: Trades
    lookback_minutes: Minutes
    pause_minutes: Minutes


class DailyLoss(Section):
    sol: Sol


class Protections(Section):
    cooldown: Cooldown | None = None
    stop_loss_guard: StopLossGuard | None = None
    max_drawdown: MaxDrawdown | None = None
    low_profit_token: LowProfitToken | None = None
    daily_loss: DailyLoss | None = None


class TokenGate(Section):
    require_mint_authority_disabled: Flag = False
    require_freeze_authority_disabled: Flag = False
    refuse_flagged: Flag = False
    max_age_seconds: Annotated[Whole, at_least("1")] | None = None


class TradingConfig(Section):
    """A complete configuration. The sections that existing clients know are required; ours may be absent."""

    purchase_limits: PurchaseLimits
    signals: Signals
    stop_loss: StopLoss
    position_calculator: PositionCalculator
    stale_trade: StaleTrade
    dca: Dca
    take_profit: TakeProfit
    limits: Limits = Limits()
    protections: Protections = Protections()
    token_gate: TokenGate = TokenGate()

    @model_validator(mode="before")
    @classmethod
    def _null_section_is_default(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: DEFAULTS[name] if value is None and name in DEFAULTS else value for name, value in data.items()}
