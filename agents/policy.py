"""From the configuration a person wrote to the policy the rules obey: modes resolved, amounts in lamports."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from agents import templates
from agents.config import schema
from agents.config.checks import InvalidConfig, Problem, parse, read
from agents.config.merging import merge, with_defaults
from nexgent import money
from trading.rules import policy as rules
from trading.rules.policy import Policy

PINNABLE = ("stopLoss", "takeProfit")


def compile_policy(data: Mapping[str, Any]) -> Policy:
    """The policy of a stored configuration; what it lacks comes from the defaults. Raises InvalidConfig."""
    config = read(data)
    return Policy(
        stop=_stop(config.stop_loss),
        ladder=_ladder(config.take_profit),
        dca=_dca(config.dca),
        stale=rules.StalePolicy(
            enabled=config.stale_trade.enabled,
            min_hold_minutes=config.stale_trade.min_hold_time_minutes,
            min_profit_percent=config.stale_trade.min_profit_percent,
            max_profit_percent=config.stale_trade.max_profit_percent,
        ),
        sizing=_sizing(config.position_calculator),
        limits=_limits(config),
        signals=_signals(config.signals),
        token_gate=_token_gate(config.token_gate),
        protections=_protections(config.protections),
    )


def with_override(policy: Policy, override: Mapping[str, Any] | None) -> Policy:
    """The policy of one position whose stop or ladder a person pinned.

    `override` is {"stopLoss": {...}, "takeProfit": {...}} in wire names, each partial over the policy's own: of the
    stop `enabled`, `defaultPercentage`, `mode`, `trailingLevels`; of the ladder `enabled`, `mode`, `levels`, `moonBag`.
    """
    if not override:
        return policy
    pinned = read(_pinned(policy, override))
    if override.get("stopLoss"):
        policy = replace(policy, stop=_stop(pinned.stop_loss))
    if override.get("takeProfit"):
        policy = replace(policy, ladder=_ladder(pinned.take_profit))
    return policy


def check_override(policy: Policy, override: Mapping[str, Any]) -> None:
    """Refuse an override that a configuration would not accept either. Raises InvalidConfig."""
    parse(_pinned(policy, override))


def _stop(stop: schema.StopLoss) -> rules.StopPolicy:
    is_custom = stop.mode is rules.StopMode.CUSTOM
    levels = (rules.TrailingLevel(level.change, level.stop_loss) for level in stop.trailing_levels)
    return rules.StopPolicy(
        enabled=stop.enabled,
        mode=stop.mode,
        default_percent=stop.default_percentage,
        levels=tuple(levels) if is_custom else (),
    )


def _ladder(ladder: schema.TakeProfit) -> rules.LadderPolicy:
    bag = ladder.moon_bag
    preset = templates.LADDERS.get(ladder.mode)
    if preset is not None:
        moon_bag = rules.MoonBag(True, preset.bag_trigger_percent, preset.bag_retain_percent)
        return rules.LadderPolicy(ladder.enabled, preset.levels, moon_bag)
    levels = (rules.LadderLevel(level.target_percent, level.sell_percent) for level in ladder.levels)
    moon_bag = rules.MoonBag(bag.enabled, bag.trigger_percent, bag.retain_percent)
    return rules.LadderPolicy(ladder.enabled, tuple(levels), moon_bag)


def _dca(dca: schema.Dca) -> rules.DcaPolicy:
    levels = templates.DCA.get(dca.mode)
    if levels is None:
        stored = (rules.DcaLevel(level.drop_percent, level.buy_percent) for level in dca.levels)
        levels = tuple(sorted(stored, key=lambda level: -level.drop_percent))
    return rules.DcaPolicy(
        enabled=dca.enabled,
        levels=levels,
        max_count=int(dca.max_dca_count),
        cooldown_seconds=-money.floor(-dca.cooldown_seconds),  # a fraction of a second waits for the whole one
    )


def _sizing(sizing: schema.PositionCalculator) -> rules.SizingPolicy:
    thresholds, sizes = sizing.sol_balance_thresholds, sizing.position_sizes
    return rules.SizingPolicy(
        minimum_lamports=money.lamports(thresholds.minimum),
        medium_lamports=money.lamports(thresholds.medium),
        large_lamports=money.lamports(thresholds.large),
        small_size=_size(sizes.small),
        medium_size=_size(sizes.medium),
        large_size=_size(sizes.large),
        randomise=sizing.randomization.enabled,
    )


def _size(size: schema.SizeRange) -> rules.SizeRange:
    return rules.SizeRange(money.lamports(size.min), money.lamports(size.max))


def _limits(config: schema.TradingConfig) -> rules.Limits:
    purchase, limits = config.purchase_limits, config.limits
    return rules.Limits(
        minimum_balance_lamports=money.lamports(purchase.minimum_agent_balance),
        max_purchase_lamports=money.lamports(purchase.max_purchase_per_token),
        max_price_impact=purchase.max_price_impact,
        max_open_positions=int(limits.max_open_positions),
        max_exposure_lamports=_optional_lamports(limits.max_exposure_sol),
        max_exposure_per_token_lamports=_optional_lamports(limits.max_exposure_per_token_sol),
    )


def _signals(signals: schema.Signals) -> rules.SignalFilter:
    return rules.SignalFilter(
        min_score=int(signals.min_score),
        allowed_types=tuple(signals.allowed_signal_types),
        token_filter_mode=signals.token_filter_mode,
        token_list=tuple(signals.token_list),
        market_cap_min=signals.market_cap_min,
        market_cap_max=signals.market_cap_max,
        liquidity_min=signals.liquidity_min,
        liquidity_max=signals.liquidity_max,
        holder_count_min=_optional_int(signals.holder_count_min),
        holder_count_max=_optional_int(signals.holder_count_max),
        allowed_sources=tuple(signals.allowed_sources),
        follow_sell=signals.follow_sell,
    )


def _token_gate(gate: schema.TokenGate) -> rules.TokenGate:
    return rules.TokenGate(
        require_mint_authority_disabled=gate.require_mint_authority_disabled,
        require_freeze_authority_disabled=gate.require_freeze_authority_disabled,
        refuse_flagged=gate.refuse_flagged,
        max_age_seconds=_optional_int(gate.max_age_seconds),
    )


def _protections(wanted: schema.Protections) -> rules.Protections:
    cooldown, guard, drawdown = wanted.cooldown, wanted.stop_loss_guard, wanted.max_drawdown
    low_profit, daily_loss = wanted.low_profit_token, wanted.daily_loss
    return rules.Protections(
        cooldown=cooldown and rules.Cooldown(int(cooldown.minutes)),
        stop_loss_guard=guard
        and rules.StopLossGuard(
            int(guard.trades), int(guard.lookback_minutes), int(guard.pause_minutes), per_token=guard.per_token
        ),
        max_drawdown=drawdown
        and rules.MaxDrawdown(drawdown.percent, int(drawdown.lookback_minutes), int(drawdown.pause_minutes)),
        low_profit_token=low_profit
        and rules.LowProfitToken(
            low_profit.percent,
            int(low_profit.trades),
            int(low_profit.lookback_minutes),
            int(low_profit.pause_minutes),
        ),
        daily_loss=daily_loss and rules.DailyLoss(money.lamports(daily_loss.sol)),
    )


def _pinned(policy: Policy, override: Mapping[str, Any]) -> dict[str, Any]:
    """A complete configuration whose stop and ladder are the policy's own with the override over them."""
    problems = [Problem(name, "Unknown key") for name in override if name not in PINNABLE]
    problems += [Problem(name, "Must be an object") for name in PINNABLE if not _is_section(override.get(name))]
    if problems:
        raise InvalidConfig(problems)
    own = {"stopLoss": _wire_stop(policy.stop), "takeProfit": _wire_ladder(policy.ladder)}
    return with_defaults(merge(own, {name: section for name, section in override.items() if section}))


def _is_section(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


def _wire_stop(stop: rules.StopPolicy) -> dict[str, Any]:
    return {
        "enabled": stop.enabled,
        "defaultPercentage": stop.default_percent,
        "mode": stop.mode.value,
        "trailingLevels": [{"change": level.change_percent, "stopLoss": level.stop_percent} for level in stop.levels],
    }


def _wire_ladder(ladder: rules.LadderPolicy) -> dict[str, Any]:
    """In mode custom: a preset that the override names brings levels and bag of its own, all else is over these."""
    bag = ladder.moon_bag
    levels = [{"targetPercent": level.target_percent, "sellPercent": level.sell_percent} for level in ladder.levels]
    return {
        "enabled": ladder.enabled,
        "mode": templates.CUSTOM,
        "levels": levels,
        "moonBag": {
            "enabled": bag.enabled,
            "triggerPercent": bag.trigger_percent,
            "retainPercent": bag.retain_percent,
        },
    }


def _optional_int(value: Decimal | None) -> int | None:
    return None if value is None else int(value)


def _optional_lamports(sol: Decimal | None) -> int | None:
    return None if sol is None else money.lamports(sol)
