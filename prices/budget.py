"""One token bucket per provider, shared by all processes through Valkey, with lanes.

A lane may only spend what lies above its reserve: entries leave a share for held tokens, background work leaves more.
Calls of lane `exits` are counted and never refused. Without Valkey each process has a bucket of its own.
"""

import math
import threading
import time
from dataclasses import dataclass

from prices import cache
from prices.records import Lane

RESERVE_TENTHS = {Lane.EXITS: 0, Lane.LIVE: 1, Lane.POSITIONS: 1, Lane.SIGNALS: 3, Lane.BACKGROUND: 6}
_BURST_SHARE = 4
WINDOW_SECONDS = 60

# KEYS: bucket. ARGV: capacity, refill per second, cost, floor, 1 = never refuse. Milli-tokens, integer arithmetic.
_TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local state = redis.call('HMGET', KEYS[1], 'level', 'at')
local capacity, refill, cost, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local level = tonumber(state[1]) or capacity
local at = tonumber(state[2]) or ms
level = math.min(capacity, level + math.max(0, ms - at) * refill / 1000)
local granted = 0
if ARGV[5] == '1' or level - cost >= floor then
  level = math.max(-capacity, level - cost)
  granted = 1
end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', ms)
redis.call('PEXPIRE', KEYS[1], 120000)
return {granted, math.floor(level)}
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether a call may be made; if not, in how many seconds it may. `left` is what the bucket holds, in calls."""

    is_granted: bool
    wait_seconds: float
    left: int


class Budget:
    """The calls one provider allows per minute: never more than `per_minute` in any 60 s, bursts of a quarter."""

    def __init__(self, provider: str, per_minute: int) -> None:
        self.provider = provider
        self.capacity = max(1, per_minute // _BURST_SHARE)
        self.refill_per_second = max(1, per_minute - self.capacity) / WINDOW_SECONDS
        self._lock = threading.Lock()
        self._level = float(self.capacity)
        self._at = time.monotonic()

    def take(self, lane: Lane, *, cost: int = 1) -> Grant:
        """Spend `cost` calls in `lane`, or learn how long to wait."""
        floor = self.floor(lane)
        arguments = [self.capacity * 1000, round(self.refill_per_second * 1000), cost * 1000, floor * 1000]
        answer = cache.valkey().call(
            lambda client: client.eval(
                _TAKE, 1, f"nexgent:budget:{self.provider}", *arguments, int(lane is Lane.EXITS)
            ),
            otherwise=None,
        )
        if answer is None:
            granted, level = self._take_alone(cost, floor, lane)
        else:
            granted, level = bool(answer[0]), answer[1] / 1000
        wait = 0.0 if granted else max(0.0, (floor + cost - level) / self.refill_per_second)
        return Grant(granted, wait, math.floor(level))

    def floor(self, lane: Lane) -> int:
        """Calls that `lane` must leave in the bucket; a bucket of one call has no reserve to keep."""
        return min(self.capacity - 1, self.capacity * RESERVE_TENTHS[lane] // 10)

    def _take_alone(self, cost: int, floor: int, lane: Lane) -> tuple[bool, float]:
        with self._lock:
            now = time.monotonic()
            self._level = min(self.capacity, self._level + (now - self._at) * self.refill_per_second)
            self._at = now
            granted = lane is Lane.EXITS or self._level - cost >= floor
            if granted:
                self._level = max(-float(self.capacity), self._level - cost)
            return granted, self._level
