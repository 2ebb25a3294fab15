"""Which agents a signal concerns: the pure filter, with every reason against it."""

from dataclasses import dataclass
from decimal import Decimal

from trading.rules.policy import SignalFilter

SELL = "sell"


@dataclass(frozen=True, slots=True)
class SignalFacts:
    """What a signal says. `side` decides; a type "SELL" without a side is refused at intake."""

    token: str
    type: str
    strength: int
    side: str = "buy"
    source: str = ""


@dataclass(frozen=True, slots=True)
class TokenMetrics:
    """Market metrics of a token; None is unknown."""

    market_cap_usd: Decimal | None = None
    liquidity_usd: Decimal | None = None
    holder_count: int | None = None


def evaluate(
    signal: SignalFacts,
    signal_filter: SignalFilter,
    metrics: TokenMetrics | None,
    *,
    has_owner: bool = True,
    entries_on: bool = True,
) -> tuple[str, ...]:
    """All reasons (lower_snake) against acting on the signal, in check order; empty when the agent is eligible.

    Without an owner, or with entries switched off, nothing else is looked at (a followed sell is an exit, which the
    entries switch does not stop). Text is compared exactly. Of the metrics, the first that fails is named.
    """
    if not has_owner:
        return ("signal_has_no_owner",)
    is_sell = signal.side == SELL
    if not entries_on and not is_sell:
        return ("automated_trading_paused",)
    reasons: list[str] = []
    if is_sell and not signal_filter.follow_sell:
        reasons.append("sell_signal")
    if signal.strength < signal_filter.min_score:
        reasons.append("strength_below_minimum")
    if signal_filter.allowed_types and signal.type not in signal_filter.allowed_types:
        reasons.append("signal_type_not_allowed")
    if signal_filter.allowed_sources and signal.source not in signal_filter.allowed_sources:
        reasons.append("signal_source_not_allowed")
    if signal_filter.token_filter_mode == "blacklist" and signal.token in signal_filter.token_list:  # noqa: S105
        reasons.append("token_blacklisted")
    if signal_filter.token_filter_mode == "whitelist" and signal.token not in signal_filter.token_list:  # noqa: S105
        reasons.append("token_not_whitelisted")
    failing = failing_metric(signal_filter, metrics)
    if failing is not None:
        reasons.append(failing)
    return tuple(reasons)


def needs_metrics(signal_filter: SignalFilter) -> bool:
    """Whether any metric bound is set (a minimum of 0 is one)."""
    return any(low is not None or high is not None for _, low, high in _bounds(signal_filter))


def failing_metric(signal_filter: SignalFilter, metrics: TokenMetrics | None) -> str | None:
    """The first metric outside its bounds (inclusive), or unknown; None when all pass or no bound is set."""
    if not needs_metrics(signal_filter):
        return None
    if metrics is None:
        return "token_metrics_unavailable"
    values = (metrics.market_cap_usd, metrics.liquidity_usd, metrics.holder_count)
    for value, (name, low, high) in zip(values, _bounds(signal_filter), strict=True):
        if low is None and high is None:
            continue
        if value is None:
            return f"{name}_unknown"
        if low is not None and value < low:
            return f"{name}_below_min"
        if high is not None and value > high:
            return f"{name}_above_max"
    return None


def _bounds(signal_filter: SignalFilter) -> tuple[tuple[str, Decimal | int | None, Decimal | int | None], ...]:
    return (
        ("market_cap", signal_filter.market_cap_min, signal_filter.market_cap_max),
        ("liquidity", signal_filter.liquidity_min, signal_filter.liquidity_max),
        ("holder_count", signal_filter.holder_count_min, signal_filter.holder_count_max),
    )
