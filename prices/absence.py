"""Which sources answer without a mint, and since when: the proof that a token has no price any more.

Only answers count: a source that is silent, refuses, or sends nonsense says nothing about a token. What is known lives
in Valkey and may vanish; then nothing is proven, and the time begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nexgent import clock
from prices import cache

KEY = "nexgent:absent:"
GAP = timedelta(seconds=120)
"""A source that said nothing for so long begins anew."""

# ARGV: now and longest gap in milliseconds, then mints. A value is "since last".
_NOTE = """
local now, gap = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #ARGV do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  local since = now
  if known then
    local s, l = string.match(known, '^(%d+) (%d+)$')
    if s and now - tonumber(l) <= gap then since = tonumber(s) end
  end
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f %.0f', since, now))
end
"""


@dataclass(frozen=True, slots=True)
class Absence:
    """One source's answers without a mint: unbroken from `since` to `last`."""

    source: str
    since: datetime
    last: datetime


def note(source: str, *, asked: Sequence[str], priced: Sequence[str]) -> None:
    """Keep what one answer of `source` said: which of the mints it was asked about it had no price for."""
    has = set(priced)
    absent = [mint for mint in asked if mint not in has]

    def write(client: Any) -> None:
        pipeline = client.pipeline(transaction=False)
        if has:
            pipeline.hdel(KEY + source, *has)
        if absent:
            pipeline.eval(_NOTE, 1, KEY + source, clock.to_ms(clock.now()), GAP // timedelta(milliseconds=1), *absent)
        pipeline.execute()

    if has or absent:
        cache.valkey().call(write, otherwise=None)


def absences(mints: Sequence[str], *, sources: Sequence[str], now: datetime) -> dict[str, list[Absence]]:
    """Per mint the sources that have answered without it, lately and without a break; nothing when Valkey is away."""
    nothing: list[list[bytes | None]] = []

    def read(client: Any) -> list[list[bytes | None]]:
        pipeline = client.pipeline(transaction=False)
        for source in sources:
            pipeline.hmget(KEY + source, mints)
        return list(pipeline.execute())

    found: dict[str, list[Absence]] = {}
    answers = cache.valkey().call(read, otherwise=nothing) if mints and sources else nothing
    for source, values in zip(sources, answers, strict=False):
        for mint, value in zip(mints, values, strict=True):
            if value is None:
                continue
            since, last = (clock.from_ms(int(part)) for part in value.split())
            if now - last <= GAP:
                found.setdefault(mint, []).append(Absence(source, since, last))
    return found


def forget(sources: Sequence[str]) -> None:
    """Drop what is known of these sources; the time begins anew."""
    if sources:
        cache.valkey().call(lambda client: client.delete(*(KEY + source for source in sources)), otherwise=0)
