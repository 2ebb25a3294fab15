"""Counters of all processes together, kept in Valkey: what no table knows and a scrape of one process would miss.

A process adds to its own numbers, and the thread that tells of its presence adds the difference to one hash every few
seconds. So a counter only rises whichever process answers the scrape, and a process that ended takes nothing away.
Without Valkey the differences wait; a kill loses the last seconds of one process.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import redis

KEY = "nexgent:counters"
Name = tuple[str, ...]
"""A counter and the values of its labels. Labels come from small closed sets: no ids, no addresses."""
Source = Callable[[], Mapping[Name, int]]
"""Totals since the process started, asked for at every write."""

_lock = threading.Lock()
_waiting: Counter[Name] = Counter()
_sources: list[Source] = []
_seen: dict[Name, int] = {}


def add(name: Name, amount: int = 1) -> None:
    """Count in this process."""
    with _lock:
        _waiting[name] += amount


def add_all(amounts: Mapping[Name, int]) -> None:
    """Count several at once."""
    with _lock:
        _waiting.update(amounts)


def follow(source: Source) -> None:
    """Count what `source` counts by itself."""
    _sources.append(source)


def write(valkey: redis.Redis) -> None:
    """Add what was counted here since the last time. Raises `redis.RedisError`; nothing is lost then."""
    amounts = _take()
    if not amounts:
        return
    try:
        with valkey.pipeline(transaction=True) as pipe:
            for name, amount in amounts.items():
                pipe.hincrby(KEY, json.dumps(name), amount)
            pipe.execute()
    except redis.RedisError:
        add_all(amounts)
        raise


def read(valkey: redis.Redis) -> Iterator[tuple[Name, int]]:
    """Every counter and its total over all processes, those that ended included. Raises `redis.RedisError`."""
    stored: dict[bytes, bytes] = valkey.hgetall(KEY)  # type: ignore[assignment]
    yield from sorted((tuple(json.loads(name)), int(total)) for name, total in stored.items())


def _take() -> Counter[Name]:
    totals = {name: total for source in _sources for name, total in source().items()}
    with _lock:
        for name, total in totals.items():
            _waiting[name] += total - _seen.get(name, 0)
        _seen.update(totals)
        amounts = Counter({name: amount for name, amount in _waiting.items() if amount})
        _waiting.clear()
    return amounts
