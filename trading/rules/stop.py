"""The stop loss: where it stands for a peak gain (four modes), and that it only rises (the ratchet).

A stop is a percentage of the average price. The target follows the peak gain h (percent); what holds is the larger of
the target and the stop reached before, until a DCA fill or a person sets it anew. A target of 0 or less is the default.

* fixed: h - 10 from h = 20 on
* zones: from h = 20 on, h x 0.5 (to 25), 0.6 (to 50), 0.7 (to 100), 0.8 (to 200), 0.85 (above)
* exponential: from h = 20 on, with x = h - 20, h x k where k = 1 - e^(-0.032 x) - 0.12 e^(-((x - 55) / 8)^2 / 2),
  between 0 and 0.9; above x = 65 it gains 0.3 (1 - e^(-(x - 65) / 80)), up to 0.9
* custom: the stop of the highest level reached
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from nexgent.money import EXACT, PRICE_PLACES, exact
from trading.rules.gain import HUNDRED, ZERO, gain_percent
from trading.rules.policy import StopMode, StopPolicy, TrailingLevel

ARM_GAIN = Decimal(20)
"""Peak gain in percent from which the modes fixed, exponential and zones trail."""
SMALLEST_AVERAGE = Decimal("1e-15")
"""Below this average price (SOL per token) a percentage means nothing; the stop rests."""

_FIXED_GAP = Decimal(10)
_ZONES = (
    (Decimal(25), Decimal("0.5")),
    (Decimal(50), Decimal("0.6")),
    (Decimal(100), Decimal("0.7")),
    (Decimal(200), Decimal("0.8")),
)
_LAST_ZONE = Decimal("0.85")
_SMOOTH = Context(prec=40)
"""Correctly rounded by libmpdec: the same digits on every machine, and far more than are kept."""
_QUANTUM = Decimal(1).scaleb(-PRICE_PLACES)


@dataclass(frozen=True, slots=True)
class StopResult:
    """Where the stop stands at this price, and whether the price has reached it."""

    is_triggered: bool
    stop_percent: Decimal
    stop_price: Decimal
    peak: Decimal


@lru_cache(maxsize=1024)  # a peak is asked about at every tick below it; those of the past only fill memory
def _exponential(peak_gain: Decimal) -> Decimal:
    context = _SMOOTH
    x = context.subtract(peak_gain, ARM_GAIN)
    width = context.divide(context.subtract(x, Decimal(55)), Decimal(8))
    bump = context.multiply(width, width)
    share = context.subtract(
        context.subtract(Decimal(1), context.exp(context.multiply(Decimal("-0.032"), x))),
        context.multiply(Decimal("0.12"), context.exp(context.divide(-bump, Decimal(2)))),
    )
    share = min(Decimal("0.9"), max(ZERO, share))
    if x > 65:
        rise = context.exp(context.divide(context.subtract(Decimal(65), x), Decimal(80)))
        share = min(
            Decimal("0.9"),
            context.add(share, context.multiply(Decimal("0.3"), context.subtract(Decimal(1), rise))),
        )
    return context.multiply(peak_gain, share)


def _zones(peak_gain: Decimal) -> Decimal:
    for upper, share in _ZONES:
        if peak_gain <= upper:
            return peak_gain * share
    return peak_gain * _LAST_ZONE


def _custom(levels: tuple[TrailingLevel, ...], peak_gain: Decimal) -> Decimal:
    reached = [level for level in levels if level.change_percent <= peak_gain]
    return max(reached, key=lambda level: level.change_percent).stop_percent if reached else ZERO


def target(policy: StopPolicy, peak_gain: Decimal) -> Decimal:
    """`target_percent` for callers that already hold the exact context."""
    if policy.mode is StopMode.CUSTOM:
        value = _custom(policy.levels, peak_gain)
    elif peak_gain < ARM_GAIN:
        return policy.default_percent
    elif policy.mode is StopMode.FIXED:
        value = peak_gain - _FIXED_GAP
    elif policy.mode is StopMode.ZONES:
        value = _zones(peak_gain)
    else:
        value = _exponential(peak_gain)
    return value.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN, context=EXACT) if value > 0 else policy.default_percent


@exact
def target_percent(policy: StopPolicy, peak_gain_percent: Decimal) -> Decimal:
    """The stop, in percent of the average price, that a peak gain (percent) asks for, before the ratchet.

    24 decimal places, the precision that is stored.
    """
    return target(policy, peak_gain_percent)


def is_reached(average: Decimal, stop_percent: Decimal, price: Decimal) -> bool:
    """Whether `price` is at or below the stop, decided without division."""
    return price * HUNDRED <= average * (HUNDRED + stop_percent)


@exact
def evaluate(
    policy: StopPolicy, *, average: Decimal, peak: Decimal, stop_percent: Decimal, price: Decimal
) -> StopResult | None:
    """The stop at this price; None when the stop is off or the average price is too small to divide by."""
    if not policy.enabled or average < SMALLEST_AVERAGE:
        return None
    peak = max(peak, price)
    stop_percent = max(target(policy, gain_percent(average, peak)), stop_percent)
    return StopResult(
        is_triggered=is_reached(average, stop_percent, price),
        stop_percent=stop_percent,
        stop_price=average * (HUNDRED + stop_percent) / HUNDRED,
        peak=peak,
    )
