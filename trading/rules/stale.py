"""The stale close: a position that has been held long enough and still earns little is sold."""

from datetime import datetime, timedelta
from decimal import Decimal

from nexgent.money import exact
from trading.rules.gain import gain_percent
from trading.rules.policy import StalePolicy

_MICROSECONDS_PER_MINUTE = 60_000_000
_MICROSECOND = timedelta(microseconds=1)


def is_due(policy: StalePolicy, opened_at: datetime, now: datetime, gain: Decimal) -> bool:
    """Whether a position of this age and gain (percent) is stale; all bounds count as inside."""
    if not policy.enabled or not policy.min_profit_percent <= gain <= policy.max_profit_percent:
        return False
    return (now - opened_at) // _MICROSECOND >= policy.min_hold_minutes * _MICROSECONDS_PER_MINUTE


@exact
def evaluate(policy: StalePolicy, *, opened_at: datetime, average: Decimal, price: Decimal, now: datetime) -> bool:
    """Whether the position is to be closed as stale. A DCA fill does not make it younger."""
    return is_due(policy, opened_at, now, gain_percent(average, price))
