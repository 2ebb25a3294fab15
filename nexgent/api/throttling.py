"""Request limits: a fixed window of 60 s from a principal's first request, counted in Valkey for all processes.

Without Valkey each process counts for itself, and whoever registered with `on_outage` is told, so that an alarm can be
raised by a layer that knows alarms. Exits carry no throttle: a close is never refused by a limiter.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.throttling import BaseThrottle

from nexgent.api.addresses import client_address

WINDOW_MS = 60_000
TIMEOUT_SECONDS = 0.3
RETRY_AFTER_OUTAGE_SECONDS = 2.0
LOCAL_KEYS_MAX = 10_000

_COUNT = """
local count = redis.call('INCR', KEYS[1])
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

    def hit(self, key: str) -> tuple[int, int]:
        """Count one hit; returns (hits in this window, milliseconds until it ends)."""
        if time.monotonic() < self._down_until:
            return self._hit_local(key)
        try:
            count, left = self._hit_shared(key)
        except (redis.RedisError, OSError):
            self._down_until = time.monotonic() + RETRY_AFTER_OUTAGE_SECONDS
            self._tell(is_down=True)
            return self._hit_local(key)
        self._tell(is_down=False)
        return count, left

    def _hit_shared(self, key: str) -> tuple[int, int]:
        if self._valkey is None:
            self._valkey = redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            self._script = self._valkey.register_script(_COUNT)
        count, left = self._script(keys=[f"nexgent:limit:{key}"], args=[WINDOW_MS])
        return int(count), int(left)

    def _hit_local(self, key: str) -> tuple[int, int]:
        now = time.monotonic()
        with self._lock:
            if len(self._local) >= LOCAL_KEYS_MAX:
                self._local = {name: entry for name, entry in self._local.items() if entry[1] > now}
            count, ends = self._local.get(key, (0, 0.0))
            if ends <= now:
                count, ends = 0, now + WINDOW_MS / 1000
            self._local[key] = (count + 1, ends)
        return count + 1, max(1, round((ends - now) * 1000))

    def _tell(self, *, is_down: bool) -> None:
        with self._lock:
            if is_down == self._is_down:
                return
            self._is_down = is_down
        for listener in _listeners:
            listener(is_down)


counter = Counter()


class Limit(BaseThrottle):
    """At most `per_minute` requests of one name per principal (of one address for strangers)."""

    name = ""
    per_minute = 0
    by_address = False

    def allow_request(self, request: Any, view: Any) -> bool:
        count, left = counter.hit(f"{self.name}:{self.subject(request)}")
        self._left = left
        return count <= self.per_minute

    def subject(self, request: Any) -> str:
        principal = None if self.by_address else getattr(request, "principal", None)
        return f"address:{client_address(request)}" if principal is None else str(principal.name)

    def wait(self) -> int:
        """Whole seconds until the window ends, at least 1."""
        return max(1, -(-self._left // 1000))


def limit(name: str, per_minute: int, *, by_address: bool = False) -> type[Limit]:
    """A throttle class for `throttle_classes`."""
    return type(f"Limit_{name}", (Limit,), {"name": name, "per_minute": per_minute, "by_address": by_address})
