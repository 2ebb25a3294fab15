"""One signal followed by 100 agents: until all trades are committed with orders, fills, ledger entries, positions and
events, and how many a second over many signals; in this process and in real entries workers.
"""

import os
import threading
import time
from pathlib import Path

from django.db import connection, transaction

from nexgent import clock
from nexgent.events import bell
from signals import fanout, services
from tests.bench import fleet
from tests.bench.figures import Report, clocked
from tests.bench.installation import running, wait_until
from trading import books
from trading.engine import interpreter

AGENTS = 100
SINGLE, MANY = 40, 60
WARM_UP = 5


def run(report: Report, scale: float) -> None:
    single, many = max(5, int(SINGLE * scale)), max(5, int(MANY * scale))
    interpreter.tune("entries")
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
    report.distribution("100 agents, one signal", one, p50="<= 100", p95="<= 100", max="<= 100")
    report.tell("number of the slowest one", 1 + one.index(max(one)))
    report.tell("trades a second within one signal", AGENTS * single / (sum(one) / 1000), "/s", ">= 1000")
    report.tell("processor time per trade, without PostgreSQL's", cost, "ms")
    report.note_load()

    rest = mints[WARM_UP + single :]
    _accept(who, rest[:many])
    used, used_there = time.process_time(), _postgres_seconds()
    report.tell("sustained, in process", _in_process(many), "/s", ">= 3000")
    trades = AGENTS * many
    report.tell("processor time per trade, Python", (time.process_time() - used) * 1000 / trades, "ms")
    report.tell("processor time per trade, PostgreSQL", (_postgres_seconds() - used_there) * 1000 / trades, "ms")
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


def _postgres_seconds() -> float:
    """Processor time of the scratch server so far, its background processes included: the load of others is not in it,
    which wall time cannot say.
    """
    postmaster = int(Path(os.environ["NEXGENT_DATA_DIR"], "postgres/data/postmaster.pid").read_text().split()[0])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        own = int(path.parent.name) == postmaster
        if own or int(words[1]) == postmaster:
            ticks += sum(map(int, words[11 : 15 if own else 13]))  # the postmaster's with those of ended children
    return ticks / os.sysconf("SC_CLK_TCK")


def _in_process(signals: int) -> float:
    """Trades a second of one process that drains many waiting signals."""
    begun = time.perf_counter()
    fanout.drain()
    return AGENTS * signals / (time.perf_counter() - begun)


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
        seconds = time.perf_counter() - begun
        return (_trades() - before) / seconds
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
    """Trades with everything that belongs to them: filled order, fill, position, ledger entry, and the event that told
    of the position. Without nested loops, which a planner chooses that knows the tables as nearly empty.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(
            "SELECT count(*) FROM trading_order o JOIN trading_fill f ON f.order_id = o.id"
            " JOIN trading_position p ON p.id = o.position_id JOIN wallets_entry e ON e.order_id = o.id"
            " JOIN events_event ev ON ev.stream_id = o.agent_id AND ev.type = 'position_update'"
            " AND ev.payload ->> 'eventType' = 'position_created' AND ev.payload ->> 'orderId' = o.id::text"
            " WHERE o.state = 3"
        )
        return int(cursor.fetchone()[0])
