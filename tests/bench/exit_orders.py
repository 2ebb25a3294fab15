"""From the tick that triggers a stop to the durable order, and from a tick with a new peak to the row that keeps it:
the running engine with 10,000 positions, its threads, a stream of prices, the check of each second and the saving of
peaks beside it. No worker runs, so the orders stay planned.
"""

import queue
import threading
import time
from collections import deque
from decimal import Decimal

from prices import services as prices
from tests.bench import fleet, held
from tests.bench.figures import Report
from tests.bench.installation import wait_until
from trading.engine import interpreter
from trading.engine.watch import Engine
from trading.models import Order, Purpose, State, Watermark

TRIGGERS = 200
PEAKS = 1_500
PEAK_SECONDS, ASK_SECONDS, LAST_SECONDS = 0.02, 0.005, 10.0
BATCH_SECONDS = 0.5


class Timed(Engine):
    """Tells when a round was over that planned an order of the token awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = ""
        self.done: queue.Queue[tuple[str, float]] = queue.Queue()

    def step(self) -> int:
        acted, at, mint = super().step(), time.perf_counter(), self.awaited
        if acted and any(self.book._slots.rows[index].has_sell for index in self.book._market.members.get(mint, ())):
            self.done.put((mint, at))
        return acted


def run(report: Report, scale: float) -> None:
    triggers, peaks = max(20, int(TRIGGERS * scale)), max(100, int(PEAKS * scale))
    positions = held.populate(1.0 if scale >= 0.2 else scale, alone=triggers + 1)
    shared, (rising, *alone) = positions.mints[: -triggers - 1], positions.mints[-triggers - 1 :]
    report.tell("positions", positions.count)
    prices.write_prices("thread")
    interpreter.tune("prices")
    engine, stop = Timed(), threading.Event()
    engine.start()
    try:
        wait_until(lambda: len(engine.book) == positions.count, "the book is loaded")
        for work in (_beat, _stream):
            threading.Thread(target=work, args=(engine, stop, shared), daemon=True).start()
        time.sleep(3)
        report.note_load()
        report.distribution("tick to durable exit order", [_trigger(engine, mint) for mint in alone], p99="<= 10")
        report.distribution("tick to saved peak or stop", _saves(rising, peaks), max="<= 1000")
    finally:
        stop.set()
        engine.stop()
    planned = Order.objects.filter(purpose=Purpose.STOP_LOSS, state=State.PLANNED, token_id__in=alone).count()
    report.tell("stops without an order", triggers - planned, "", "<= 0")


def _trigger(engine: Timed, mint: str) -> float:
    time.sleep(0.037)  # not in step with the stream of prices
    engine.awaited = mint
    tick = fleet.tick(mint, fleet.PRICE * Decimal("0.5"))
    begun = time.perf_counter()
    prices.publish([tick])
    while (told := engine.done.get(timeout=10))[0] != mint:
        pass  # of a round of the stream, in which the order before was still the one awaited
    return (told[1] - begun) * 1000


def _saves(mint: str, count: int) -> list[float]:
    """How long each of so many rising peaks, one every 20 ms, took to be seen in the row by another connection.

    Prices begin a quarter above the entry, where the stop trails, so that the row keeps a new stop each time too.
    """
    samples: list[float] = []
    waiting: deque[tuple[Decimal, float]] = deque()
    for nth in range(count):
        price = (fleet.PRICE * (125_000 + nth) / 100_000).quantize(Decimal("1e-15"))
        waiting.append((price, time.perf_counter()))
        prices.publish([fleet.tick(mint, price)])
        samples += _seen(mint, waiting, seconds=PEAK_SECONDS)
    samples += _seen(mint, waiting, seconds=LAST_SECONDS)
    if waiting:
        raise RuntimeError(f"{len(waiting)} of {count} peaks were never saved")
    return samples


def _seen(mint: str, waiting: deque[tuple[Decimal, float]], *, seconds: float) -> list[float]:
    """Ask for the saved peak for so long or until none is waited for; the milliseconds of those that it covers."""
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while waiting and (now := time.perf_counter()) < end:
        peak = Watermark.objects.values_list("peak", flat=True).get(position__token_id=mint)
        while waiting and waiting[0][0] <= peak:
            samples.append((time.perf_counter() - waiting.popleft()[1]) * 1000)
        time.sleep(min(ASK_SECONDS, max(0.0, end - now)))
    return samples


def _beat(engine: Engine, stop: threading.Event, _: list[str]) -> None:
    while not stop.wait(1.0):
        engine.check()


def _stream(engine: Engine, stop: threading.Event, mints: list[str]) -> None:
    """A tenth of all prices moves every 50 ms, so that each token has one twice a second."""
    parts = [held.Market(mints[start::10], seed=start) for start in range(10)]
    number = 0
    while not stop.wait(BATCH_SECONDS / 10):
        prices.publish(parts[number % 10].batch())
        number += 1
