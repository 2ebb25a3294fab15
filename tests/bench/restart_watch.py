"""A restart with 10,000 open positions: until the engine watches all of them; in this process, and from the start of a
real prices process.
"""

import time

from django.db import connection

from nexgent import clock
from tests.bench import held
from tests.bench.figures import Report, clocked
from tests.bench.installation import running, wait_until
from trading.engine.watch import Engine

ROUNDS = 5


def run(report: Report, scale: float) -> None:
    positions = held.populate(1.0 if scale >= 0.2 else scale)
    report.tell("positions", positions.count)
    report.note_load()
    loads: list[float] = []
    for _ in range(max(2, int(ROUNDS * scale))):
        engine = Engine()
        with clocked(loads):
            engine.step()
        if len(engine.book) != positions.count:
            raise RuntimeError(f"{len(engine.book)} of {positions.count} positions watched")
    report.distribution("engine starts to all watched", loads, max="<= 3000")

    follows: list[float] = []
    for _ in range(20):
        with clocked(follows):
            engine.book.differing()
    report.distribution("check against the database", follows)

    whole: list[float] = []
    for _ in range(2):
        _forget()
        begun = time.perf_counter()
        with running("prices", PRICES_WRITER="thread"):
            wait_until(lambda: _watched() == positions.count, "the prices process watches all", every=0.02)
            whole.append((time.perf_counter() - begun) * 1000)
    report.distribution("process starts to all watched", whole, max="<= 3000")
    report.tell("age of the newest sign of life", (clock.now().timestamp() - _beat_at()) * 1000, "ms")


def _forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM trading_enginestate")


def _watched() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(watched), 0) FROM trading_enginestate")
        return int(cursor.fetchone()[0])


def _beat_at() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM beat_at) FROM trading_enginestate")
        return float(cursor.fetchone()[0])
