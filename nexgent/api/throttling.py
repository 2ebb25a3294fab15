"""Request limits: a fixed window of 60 s from a principal's first request, counted in Valkey for all processes.

Strict classes ask Valkey for each request; generous ones take a portion for the process and ask again when it is used
up, so that a read costs no round trip. A portion never exceeds what the window has left: all processes together never
let more through than the limit. Without Valkey each process counts for itself, and whoever registered with `on_outage`
is told, so that an alarm can be raised by a layer that knows alarms. Exits carry no throttle: a close is never refused
by a limiter.
"""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.throttling import BaseThrottle

from nexgent.api.addresses import client_address, counted_address

WINDOW_MS = 60_000
TIMEOUT_SECONDS = 0.3
RETRY_AFTER_OUTAGE_SECONDS = 2.0
LOCAL_KEYS_MAX = 10_000

_COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}
"""

_listeners: list[Callable[[bool], None]] = []


def on_outage(listener: Callable[[bool], None]) -> None:
    """Call `listener(True)` when the shared counter is lost and `listener(False)` when it is back."""
    _listeners.append(listener)


class Counter:
    """Counts hits per key and window; shared through Valkey, else per process."""

    def __init__(self) -> None:
        self._valkey: redis.Redis | None = None
        self._script: Any = None
        self._down_until = 0.0
        self._is_down = False
        self._local: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def hit(self, key: str, by: int = 1) -> tuple[int, int]:
        """Count `by` hits; returns (hits in this window, milliseconds until it ends)."""
        if time.monotonic() < self._down_until:
            return self._hit_local(key, by)
        try:
            count, left = self._hit_shared(key, by)
        except (redis.RedisError, OSError):
            self._down_until = time.monotonic() + RETRY_AFTER_OUTAGE_SECONDS
            self._tell(is_down=True)
            return self._hit_local(key, by)
        self._tell(is_down=False)
        return count, left

    def _hit_shared(self, key: str, by: int) -> tuple[int, int]:
        if self._valkey is None:
            self._valkey = redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            self._script = self._valkey.register_script(_COUNT)
        count, left = self._script(keys=[f"nexgent:limit:{key}"], args=[WINDOW_MS, by])
        return int(count), int(left)

    def _hit_local(self, key: str, by: int) -> tuple[int, int]:
        now = time.monotonic()
        with self._lock:
            if len(self._local) >= LOCAL_KEYS_MAX:
                self._local = {name: entry for name, entry in self._local.items() if entry[1] > now}
            count, ends = self._local.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + WINDOW_MS / 1000
            self._local[key] = (count + by, ends)
        return count + by, max(1, round((ends - now) * 1000))

    def _tell(self, *, is_down: bool) -> None:
        with self._lock:
            if is_down == self._is_down:
                return
            self._is_down = is_down
        for listener in _listeners:
            listener(is_down)


counter = Counter()


@dataclass(slots=True)
class _Portion:
    """What a process may still let through in this window without asking, and how full the window was then."""

    ends: float
    left: int
    used: int


class Portions:
    """The portions of this process by key."""

    def __init__(self) -> None:
        self._held: dict[str, _Portion] = {}
        self._lock = threading.Lock()

    def take(self, key: str, most: int, size: int) -> tuple[bool, int, int]:
        """Use one of the key's portion, or get the next; returns (allowed, left in the window, milliseconds left)."""
        now = time.monotonic()
        with self._lock:
            held = self._held.get(key)
            if held is not None and held.left > 0 and held.ends > now:
                held.left -= 1
                return True, most - held.used + held.left, round((held.ends - now) * 1000)
        count, left_ms = counter.hit(key, size)
        granted = min(size, most - (count - size))
        if granted <= 0:
            return False, 0, left_ms
        with self._lock:
            if len(self._held) >= LOCAL_KEYS_MAX:
                self._held = {name: one for name, one in self._held.items() if one.ends > now}
            held = self._held.get(key)
            beside = held.left if held is not None and held.ends > now else 0  # another thread asked meanwhile
            self._held[key] = _Portion(now + left_ms / 1000, beside + granted - 1, min(count, most))
        return True, max(0, most - count) + beside + granted - 1, left_ms


portions = Portions()


class Limit(BaseThrottle):
    """At most `per_minute` requests of one name per principal (of one address for strangers)."""

    name = ""
    per_minute = 0
    portion = 1
    by_address = False
    by_path = False

    def allow_request(self, request: Any, view: Any) -> bool:
        key = f"{self.name}:{self.subject(request)}"
        if self.portion > 1:
            is_allowed, remaining, self._left = portions.take(key, self.per_minute, self.portion)
        else:
            count, self._left = counter.hit(key)
            is_allowed, remaining = count <= self.per_minute, max(0, self.per_minute - count)
        told = getattr(request._request, "rate_limit", None)
        if told is None or remaining < told[1]:
            request._request.rate_limit = (self.per_minute, remaining, self.wait())
        return is_allowed

    def subject(self, request: Any) -> str:
        principal = None if self.by_address else getattr(request, "principal", None)
        name = f"address:{counted_address(client_address(request))}" if principal is None else str(principal.name)
        return f"{name}:{request.path_info}" if self.by_path else name

    def wait(self) -> int:
        """Whole seconds until the window ends, at least 1."""
        return max(1, -(-self._left // 1000))


@functools.cache
def limit(
    name: str, per_minute: int, *, portion: int = 1, by_address: bool = False, by_path: bool = False
) -> type[Limit]:
    """A throttle class for `throttle_classes` or `throttles`. A `portion` above 1 is for generous limits."""
    named = {
        "name": name,
        "per_minute": per_minute,
        "portion": portion,
        "by_address": by_address,
        "by_path": by_path,
    }
    return type(f"Limit_{name}", (Limit,), named)


READS = limit("reads", 30_000, portion=100)
WRITES = limit("writes", 3_000, portion=10)
ORDERS = limit("orders", 60)
"""Buys; what closes a position has no limit."""
EXPORTS = limit("exports", 10)
WALLETS = limit("wallets", 5, by_path=True)
"""Assign, reset, unassign, look for deposits: per caller and wallet."""
STATUS = limit("status", 30, by_address=True)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def classes_of(view: Any, method: str) -> tuple[type[Limit], ...]:
    """The limits of an endpoint's method: its own, else the generous one of reads or writes; none where it has none."""
    if getattr(view, "is_unlimited", False):
        return ()
    own = (*view.throttle_classes, *getattr(view, "throttles", {}).get(method, ()))
    return own or ((READS if method in _SAFE else WRITES),)


def add_headers(request: Any, response: Any) -> None:
    """`RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) of the limit that is nearest to its end."""
    told = getattr(request, "rate_limit", None)
    if told is not None:
        response["RateLimit-Limit"], response["RateLimit-Remaining"], response["RateLimit-Reset"] = map(str, told)
