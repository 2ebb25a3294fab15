"""Which processes are alive, told through Valkey: each writes a key that lapses when it stops writing.

Health and metrics read them; nothing that trades does. Without Valkey there is nothing to read, and health says so.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from django.conf import settings

from nexgent.runtime import counters

logger = logging.getLogger(__name__)

PREFIX = "nexgent:process:"
INTERVAL_SECONDS = 3.0
LAPSE_SECONDS = 12
_STATM = Path("/proc/self/statm")


def client(url: str = "", *, timeout: float = 1.0) -> redis.Redis:
    """A Valkey client with a short time-out, for questions that must not wait."""
    return redis.Redis.from_url(url or settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout)


def announce(facts: Callable[[], dict[str, Any]] = dict) -> None:
    """Start telling others about this process, from a thread of its own; `facts` adds what they may want to know."""
    threading.Thread(target=_tell, args=(facts,), name="presence", daemon=True).start()


def alive(valkey: redis.Redis) -> dict[str, list[dict[str, Any]]]:
    """The processes that wrote within the last seconds, by kind. Raises `redis.RedisError`."""
    keys = list(valkey.scan_iter(match=f"{PREFIX}*", count=1000))
    found: dict[str, list[dict[str, Any]]] = {}
    for text in filter(None, valkey.mget(keys) if keys else []):
        facts = json.loads(text)
        found.setdefault(facts["kind"], []).append(facts)
    return found


def resident_bytes() -> int:
    """Memory of this process that lies in RAM; 0 where the system does not tell (only Linux does)."""
    if not _STATM.exists():
        return 0
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _tell(facts: Callable[[], dict[str, Any]]) -> None:
    key = f"{PREFIX}{settings.PROCESS}:{socket.gethostname()}:{os.getpid()}"
    valkey = client()
    is_silent = False
    started = time.time()
    while True:
        record = {
            "kind": settings.PROCESS,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": started,
            "memory": resident_bytes(),
            **facts(),
        }
        try:
            valkey.set(key, json.dumps(record), ex=LAPSE_SECONDS)
            counters.write(valkey)
            is_silent = False
        except redis.RedisError as problem:
            if not is_silent:
                logger.warning("presence cannot be written: %s", problem)
            is_silent = True
        time.sleep(INTERVAL_SECONDS)
