"""How long prices are kept: ticks 7 days, one-minute candles 90 days, one-hour candles for ever.

Work goes in bounded steps, each a transaction of its own, so that it may be stopped anywhere and run beside itself.
"""

from datetime import timedelta

from django.db import connection, transaction

from nexgent import clock

TICKS_KEPT = timedelta(days=7)
MINUTES_KEPT = timedelta(days=90)
TICKS_PER_STEP = 20_000
STEPS_MAX = 500

_DROP_TICKS = """
DELETE FROM prices_tick WHERE id IN (
    SELECT id FROM prices_tick WHERE at < %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
)
"""
# The oldest hour that lies wholly before the limit is rolled up and dropped in one statement: the deleted rows are the
# rows that were summed, also when a second run meets this one.
_ROLL_HOUR = """
WITH hour AS (
    SELECT date_trunc('hour', min(start)) AS start FROM prices_candle WHERE seconds = 60 AND start < %(before)s
), gone AS (
    DELETE FROM prices_candle USING hour
    WHERE seconds = 60 AND prices_candle.start >= hour.start AND prices_candle.start < hour.start + interval '1 hour'
      AND hour.start + interval '1 hour' <= %(before)s
    RETURNING prices_candle.*
)
INSERT INTO prices_candle (mint, seconds, start, open, high, low, close, ticks)
SELECT mint, 3600, date_trunc('hour', start), (array_agg(open ORDER BY start))[1], max(high), min(low),
       (array_agg(close ORDER BY start DESC))[1], sum(ticks)
FROM gone GROUP BY mint, date_trunc('hour', start) ORDER BY mint
ON CONFLICT (mint, seconds, start) DO UPDATE SET high = greatest(prices_candle.high, excluded.high),
    low = least(prices_candle.low, excluded.low), close = excluded.close, ticks = prices_candle.ticks + excluded.ticks
"""


def retain() -> tuple[int, int]:
    """Drop old ticks and roll old minutes into hours; returns (ticks dropped, hour candles written)."""
    now = clock.now()
    dropped = _repeat(_DROP_TICKS, (now - TICKS_KEPT, TICKS_PER_STEP), least=TICKS_PER_STEP)
    rolled = _repeat(_ROLL_HOUR, {"before": now - MINUTES_KEPT}, least=1)
    return dropped, rolled


def _repeat(statement: str, arguments: object, *, least: int) -> int:
    """Run `statement` until it touches fewer than `least` rows; returns the rows touched."""
    total = 0
    for _ in range(STEPS_MAX):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, arguments)  # type: ignore[arg-type]
            rows = cursor.rowcount
        total += rows
        if rows < least:
            break
    return total
