"""From the tick that triggers a stop to the durable order: the running engine with 10,000 positions, its threads, a
stream of prices, the check of each second and the saving of peaks beside it. No worker runs, so the orders stay
planned.
"""

import queue
import threading
import time
from decimal import Decimal

from prices import services as prices
from tests.bench import fleet, held
from tests.bench.figures import Report
from tests.bench.installation import wait_until
from trading.engine import interpreter
from trading.engine.watch import Engine
from trading.models import Order, Purpose, State

TRIGGERS = 200
BATCH_SECONDS = 0.5


class Timed(Engine):
    """Tells when a round that planned orders was over."""

    def __init__(self) -> None:
        super().__init__()
        self.done: queue.Queue[float] = queue.Queue()

    def step(self) -> int:
        acted = super().step()
        if acted:
            self.done.put(time.perf_counter())
        return acted


def run(report: Report, scale: float) -> None:
    triggers = max(20, int(TRIGGERS * scale))
    positions = held.populate(1.0 if scale >= 0.2 else scale, alone=triggers)
    shared, alone = positions.mints[:-triggers], positions.mints[-triggers:]
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
    finally:
        stop.set()
        engine.stop()
    planned = Order.objects.filter(purpose=Purpose.STOP_LOSS, state=State.PLANNED, token_id__in=alone).count()
    report.tell("stops without an order", triggers - planned, "", "<= 0")


def _trigger(engine: Timed, mint: str) -> float:
    time.sleep(0.037)  # not in step with the stream of prices
    while not engine.done.empty():
        engine.done.get()
    tick = fleet.tick(mint, fleet.PRICE * Decimal("0.5"))
    begun = time.perf_counter()
    prices.publish([tick])
    return (engine.done.get(timeout=10) - begun) * 1000


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
