"""One signal followed by 100 agents: until all trades are committed with orders, fills, ledger entries, positions and
events, and how many a second over many signals; in this process and in real entries workers.
"""

import threading
import time

from django.db import connection

from nexgent import clock
from nexgent.events import bell
from signals import fanout, services
from tests.bench import fleet
from tests.bench.figures import Report, clocked
from tests.bench.installation import running, wait_until
from trading import books

AGENTS = 100
SINGLE, MANY = 40, 60
WARM_UP = 5


def run(report: Report, scale: float) -> None:
    single, many = max(5, int(SINGLE * scale)), max(5, int(MANY * scale))
    who = fleet.owner()
    fleet.agents(who, AGENTS)
    mints = fleet.tokens(WARM_UP + single + 4 * many)
    _accept(who, mints[:WARM_UP])
    fanout.drain()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    one: list[float] = []
    used = time.process_time()
    for mint in mints[WARM_UP : WARM_UP + single]:
        _accept(who, [mint])
        with clocked(one):
            fanout.drain()
    cost = (time.process_time() - used) * 1000 / (AGENTS * single)
    report.distribution("100 agents, one signal", one, p50="<= 100", p95="<= 100")
    report.tell("trades a second within one signal", AGENTS * single / (sum(one) / 1000), "/s", ">= 1000")
    report.tell("processor time per trade, without PostgreSQL's", cost, "ms")
    report.note_load()

    rest = mints[WARM_UP + single :]
    report.tell("sustained, in process", _in_process(who, rest[:many]), "/s", ">= 3000")
    for workers, start in ((1, 1), (2, 2)):
        batch = rest[start * many : (start + 1) * many]
        report.tell(f"sustained, {workers} entries worker(s)", _in_workers(who, batch, workers), "/s", ">= 3000")
        report.note_load()
    expected = AGENTS * (WARM_UP + single + 3 * many)
    report.tell("trades lost", expected - _trades(), "", "<= 0")
    checked = books.check()
    report.tell("problems in the books", len(checked.problems), "", "<= 0")


def _accept(who: fleet.Owner, mints: list[str]) -> None:
    fleet.publish(mints)
    for mint in mints:
        services.accept(
            workspace_id=who.workspace.id,
            user_id=who.user.id,
            received_at=clock.now(),
            data={"tokenAddress": mint, "signalType": "Bench", "signalStrength": 5},
        )


def _in_process(who: fleet.Owner, mints: list[str]) -> float:
    """Trades a second of one process that drains many waiting signals."""
    _accept(who, mints)
    begun = time.perf_counter()
    fanout.drain()
    return AGENTS * len(mints) / (time.perf_counter() - begun)


def _in_workers(who: fleet.Owner, mints: list[str], workers: int) -> float:
    """Trades a second of real workers, from the ring until the last signal is answered."""
    if workers == 0:
        return _timed(who, mints)
    with running("entries"):
        return _in_workers(who, mints, workers - 1)


def _timed(who: fleet.Owner, mints: list[str]) -> float:
    _accept(who, mints[:2])
    wait_until(_nothing_waits, "the workers answer", seconds=60)
    stop = threading.Event()
    threading.Thread(target=_ring, args=(stop,), daemon=True).start()
    try:
        before = _trades()
        begun = time.perf_counter()
        _accept(who, mints[2:])
        wait_until(_nothing_waits, "all signals are answered", seconds=120, every=0.005)
        return (_trades() - before) / (time.perf_counter() - begun)
    finally:
        stop.set()


def _ring(stop: threading.Event) -> None:
    """As beat does, for two workers at once."""
    while not stop.wait(0.2):
        for _ in range(2):
            bell.task(services.DRAIN, queue="entries")


def _nothing_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT NOT EXISTS (SELECT FROM signals_signal WHERE drained_at IS NULL)")
        return bool(cursor.fetchone()[0])


def _trades() -> int:
    """Trades with everything that belongs to them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM trading_order o JOIN trading_fill f ON f.order_id = o.id"
            " JOIN trading_position p ON p.id = o.position_id JOIN wallets_entry e ON e.order_id = o.id"
            " WHERE o.state = 3"
        )
        return int(cursor.fetchone()[0])
