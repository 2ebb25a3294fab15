"""A batch of prices of 1,000 tokens over 10,000 open positions: until every verdict is there, the exact decisions of
what was proposed included; alone, beside a busy thread, and beside the thread that saves peaks and stops. What is due
gets its mark as if its order was planned, so that no later batch decides it again.
"""

import threading
import time

from nexgent import clock
from tests.bench import held
from tests.bench.figures import Report, clocked
from trading.engine import exits, interpreter, watch
from trading.engine.book import Book
from trading.engine.orders import Intent
from trading.rules.decision import Sell

BATCHES = 400
WARM_UP = 20


def run(report: Report, scale: float) -> None:
    batches = max(40, int(BATCHES * scale))
    positions = held.populate(1.0 if scale >= 0.2 else scale)
    report.tell("positions", positions.count)
    interpreter.tune("prices")
    book, market = Book(), held.Market(positions.mints)
    with interpreter.loading():
        book.reload(book.differing())
    _passes(book, market, WARM_UP)
    book.save_watermarks(at=clock.now())
    report.note_load()
    busy: list[float] = []
    report.distribution("batch to all verdicts", _passes(book, market, batches, busy=busy), p99="<= 10")
    report.distribution("processor time of it", busy)

    saved, moved = [], []
    for _ in range(10):
        _passes(book, market, 1)
        with clocked(saved):
            moved.append(book.save_watermarks(at=clock.now()))
    report.tell("peaks and lows that moved in one batch", sum(moved) / len(moved))
    report.distribution("saving them", saved, max="<= 1000")

    report.distribution("batch to all verdicts while saving", _beside(book, market, batches, _saver), p99="<= 10")
    report.distribution("batch to all verdicts beside a busy thread", _beside(book, market, batches // 4, _busy))


def _passes(
    book: Book, market: held.Market, count: int, *, pause_seconds: float = 0.0, busy: list[float] | None = None
) -> list[float]:
    samples: list[float] = []
    for batch in market.batches(count):
        time.sleep(pause_seconds)
        with clocked(samples, busy):
            now = clock.now()
            book.precedence.take()
            moved = book.take_prices(batch)
            for row in book.propose(set(moved), now=now):
                intent = exits._intent(book, row, now)
                if isinstance(intent, Intent):
                    book.mark_ordered(intent.position.id, is_sell=isinstance(intent.command, Sell))
            book.precedence.give_back()
    return samples


def _beside(book: Book, market: held.Market, count: int, work) -> list[float]:  # type: ignore[no-untyped-def]
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(book, stop), daemon=True)
    thread.start()
    try:
        return _passes(book, market, count, pause_seconds=0.02)
    finally:
        stop.set()
        thread.join()


def _saver(book: Book, stop: threading.Event) -> None:
    while not stop.wait(watch.SAVE_SECONDS):
        book.save_watermarks(at=clock.now())


def _busy(book: Book, stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(1000))
