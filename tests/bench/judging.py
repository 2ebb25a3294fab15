"""What a soak is judged by: pure functions of its looks, so that a test can make up looks with one defect each.

Memory, leaks and standstill show over minutes only: they are judged in runs of ten minutes and more, from minute 5 on.
There levels are compared, the median of three looks at each end, so that one look that dips or jumps hides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

LOOK_SECONDS = 60
QUEUE_MAX = 200
OLDEST_ORDER_SECONDS_MAX = 100.0
OLDEST_SIGNAL_SECONDS_MAX = 30.0
CONNECTIONS_MAX = 45
"""All pools together (38), the locks of sessions and the soak itself: a pool that grows within its size is no leak."""
CONNECTIONS_GROWTH_MAX = 5
CLIENTS_GROWTH_MAX = 5
"""Connections to Valkey come and go by threads, too."""
FLAT_AFTER_SECONDS, FLAT_PERCENT = 300, 5.0
LEVEL_LOOKS = 3
SERVERS = ("postgres", "valkey")
DAMAGE_SHORT = frozenset({"books", "queues"})
DAMAGE_LONG = DAMAGE_SHORT | {"connections", "subscriptions", "memory"}
"""What the control damages, and a run of its length has to find."""


@dataclass(frozen=True, slots=True)
class Look:
    """The system at one moment."""

    at_seconds: float
    is_balanced: bool
    problems: tuple[str, ...]
    open_orders: int
    oldest_order_seconds: float
    oldest_signal_seconds: float
    open_positions: int
    fills: int
    failed: int
    connections: int
    clients: int
    """Connections to Valkey."""
    queued: int
    subscriptions: int
    memory_mb: dict[str, float]


def missed(looks: Sequence[Look], *, seconds: int, refused: int) -> list[str]:
    """What was not kept in a run of `seconds`, of which `refused` signals were not taken; empty when all was."""
    wrong = {
        "books": not all(look.is_balanced for look in looks) or len(looks) < seconds // LOOK_SECONDS,
        "queues": any(_is_behind(look) for look in looks),
        "connections": any(look.connections > CONNECTIONS_MAX for look in looks),
        "trades": not looks or looks[-1].fills == 0 or refused > 0,
    }
    if is_long(seconds):
        late = from_minute_five(looks)
        by = {name: _risen([float(getattr(look, name)) for look in late]) for name in _LEAKS}
        wrong["connections"] |= by["connections"] > CONNECTIONS_GROWTH_MAX or by["clients"] > CLIENTS_GROWTH_MAX
        wrong["subscriptions"] = by["subscriptions"] > 0
        wrong["memory"] = max(growth(looks).values(), default=FLAT_PERCENT) >= FLAT_PERCENT
        # The last look is taken after the load has ended.
        wrong["trades"] |= any(after.fills <= before.fills for before, after in pairwise(looks[:-1]))
    return [name for name, is_wrong in wrong.items() if is_wrong]


def overlooked(found: Sequence[str], *, seconds: int) -> list[str]:
    """What the control damaged and the judgement did not find."""
    return sorted((DAMAGE_LONG if is_long(seconds) else DAMAGE_SHORT) - set(found))


def growth(looks: Sequence[Look]) -> dict[str, float]:
    """By how many per cent the private memory of each process rose after minute 5: from the first look to the last or
    from level to level, whichever is more. Empty when there are no two looks.

    The servers are left out: PostgreSQL fills its cache with a growing database. A process that is gone from a look has
    grown beyond measure.
    """
    late = from_minute_five(looks)
    if len(late) < 2:
        return {}
    rose = {}
    for name in late[0].memory_mb.keys() - set(SERVERS):
        sizes = [look.memory_mb.get(name, 0.0) for look in late]
        levels = _levels(sizes)
        is_whole = all(sizes)
        rose[name] = 100 * (max(sizes[-1] / sizes[0], levels[1] / levels[0]) - 1) if is_whole else float("inf")
    return dict(sorted(rose.items()))


def is_long(seconds: int) -> bool:
    """Whether a run has as much time after minute 5 as before, so that growth can be told."""
    return seconds >= 2 * FLAT_AFTER_SECONDS


def from_minute_five(looks: Sequence[Look]) -> list[Look]:
    return [look for look in looks if look.at_seconds >= FLAT_AFTER_SECONDS]


_LEAKS = ("connections", "clients", "subscriptions")


def _is_behind(look: Look) -> bool:
    return (
        look.queued > QUEUE_MAX
        or look.oldest_order_seconds > OLDEST_ORDER_SECONDS_MAX
        or look.oldest_signal_seconds > OLDEST_SIGNAL_SECONDS_MAX
    )


def _risen(values: Sequence[float]) -> float:
    """From the level at the beginning to that at the end; of less than two values nothing can be said."""
    if len(values) < 2:
        return float("inf")
    first, last = _levels(values)
    return last - first


def _levels(values: Sequence[float]) -> tuple[float, float]:
    """The median of the first looks and that of the last ones; the two never share a look."""
    of = min(LEVEL_LOOKS, len(values) // 2)
    return median(values[:of]), median(values[-of:])
