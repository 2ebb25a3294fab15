"""How long the stages of a trade take, from the stamps on the newest filled orders.

Read when somebody asks, so that trading does no work for it: stamps of all processes are together in the table, and the
ids of orders are in order of time, which makes the newest ones a short scan of the primary key.
"""

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from trading.models import Order, Purpose, Side, State

STAGES = ("received", "verdict", "order_committed", "quoted", "submitted", "filled", "published")
QUANTILES = (0.5, 0.95, 0.99, 1.0)
WINDOW_SECONDS = 300
SAMPLE_MAX = 1_000
DECIDED, WHOLE = "decided", "whole"
"""From the tick that a rule decided on to its durable order; from the first stamp to the fill."""
_BY_A_RULE = (Purpose.DCA, Purpose.STOP_LOSS, Purpose.TAKE_PROFIT)
Durations = dict[tuple[str, str], list[float]]
"""Seconds, sorted, per side and stage."""


def recent() -> Durations:
    """Durations of the newest filled orders of the last five minutes, at most a thousand."""
    rows = (
        Order.objects.filter(id__gte=oldest_id(), state=State.FILLED)
        .order_by("-id")
        .values_list("side", "purpose", "price_at", "stages")[:SAMPLE_MAX]
    )
    return durations(rows)


def durations(rows: Iterable[tuple[int, int, datetime | None, Mapping[str, Any]]]) -> Durations:
    """Seconds from each stamp to the one before it, of orders as (side, purpose, time of the tick, stamps)."""
    found: Durations = defaultdict(list)
    for side, purpose, price_at, stamps in rows:
        label = Side(side).label
        times = {stage: datetime.fromisoformat(stamps[stage]) for stage in STAGES if stamps.get(stage)}
        known = list(times)
        for before, stage in itertools.pairwise(known):
            found[label, stage].append(_seconds(times[before], times[stage]))
        if known and "filled" in times:
            found[label, WHOLE].append(_seconds(times[known[0]], times["filled"]))
        if price_at is not None and purpose in _BY_A_RULE and "order_committed" in times:
            found[label, DECIDED].append(_seconds(price_at, times["order_committed"]))
    for values in found.values():
        values.sort()
    return dict(found)


def quantile(values: list[float], fraction: float) -> float:
    """The smallest of the sorted values that at least this fraction does not exceed (nearest rank)."""
    return values[max(0, math.ceil(round(fraction * len(values), 6)) - 1)]


def oldest_id() -> UUID:
    """The smallest id that an order made within the window can have."""
    milliseconds = int((time.time() - WINDOW_SECONDS) * 1000)
    return UUID(int=milliseconds << 80)


def _seconds(earlier: datetime, later: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())
