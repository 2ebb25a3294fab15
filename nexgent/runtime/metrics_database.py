"""Metrics that tables know: orders, stages, signals, positions, prices, alarms, the books, the server itself."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.db import connection
from django.db.models import Count, Max, Min, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nexgent import clock
from nexgent.events.models import Alarm
from nexgent.runtime import stages
from nexgent.runtime.models import BooksCheck
from nexgent.runtime.processes import COMMANDS
from prices import selectors as prices
from prices.models import LatestPrice
from prices.records import EXIT_MAX_AGE
from signals.models import Signal
from trading.engine import recovery
from trading.models import OPEN_STATES, Order, Side, State

RECENT_MAX = 20_000
_RECENT = """
SELECT side, state, count(*)
FROM (SELECT side, state FROM trading_order WHERE id >= %s ORDER BY id DESC LIMIT %s) newest GROUP BY side, state
"""
_POSITIONS = """
SELECT count(*), count(*) FILTER (WHERE l.observed_at IS NULL OR l.observed_at < %s),
       count(*) FILTER (WHERE p.untradable_at IS NOT NULL)
FROM trading_position p LEFT JOIN prices_latestprice l ON l.mint = p.mint WHERE p.closed_at IS NULL
"""
_SERVER = """
SELECT deadlocks, xact_commit, xact_rollback, pg_database_size(datid),
       (SELECT coalesce(jsonb_object_agg(name, number), '{}') FROM (
            SELECT application_name AS name, count(*) AS number FROM pg_stat_activity
            WHERE datname = current_database() GROUP BY application_name) applications)
FROM pg_stat_database WHERE datname = current_database()
"""


def gauge(name: str, text: str, value: float | None) -> Iterator[Metric]:
    """One figure without labels; nothing when it is not known."""
    if value is not None:
        yield GaugeMetricFamily(name, text, value=value)


def age(at: datetime | None) -> float | None:
    """Seconds since then; None for never."""
    return None if at is None else max(0.0, (clock.now() - at).total_seconds())


def orders() -> Iterator[Metric]:
    """Orders that are open, the oldest of each side, and what became of the newest."""
    waiting = GaugeMetricFamily("nexgent_orders_open", "Orders that are not final.", labels=["side", "state"])
    oldest = GaugeMetricFamily("nexgent_order_oldest_seconds", "Age of the oldest order not final.", labels=["side"])
    rows = Order.objects.filter(state__lt=State.FILLED).values_list("side", "state")
    found = {(side, state): (n, first) for side, state, n, first in rows.annotate(Count("id"), Min("created_at"))}
    for side in Side:
        for state in OPEN_STATES:
            waiting.add_metric([side.label, state.label], found.get((side, state), (0, None))[0])
        firsts = [first for (of, _), (_, first) in found.items() if of == side]
        oldest.add_metric([side.label], (age(min(firsts)) if firsts else None) or 0)
    yield from (waiting, oldest)
    recent = GaugeMetricFamily(
        "nexgent_orders_recent", "Orders of the last five minutes, at most 20,000.", labels=["side", "state"]
    )
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, [stages.oldest_id(), RECENT_MAX])
        made = {(side, state): number for side, state, number in cursor.fetchall()}
    for side in Side:
        for state in State:
            recent.add_metric([side.label, state.label], made.get((side, state), 0))
    yield recent


def latencies() -> Iterator[Metric]:
    """Stage latencies of the newest filled orders."""
    family = GaugeMetricFamily(
        "nexgent_stage_seconds",
        "Seconds from the stage before, filled orders of the last five minutes, at most 1,000.",
        labels=["side", "stage", "quantile"],
    )
    sample = GaugeMetricFamily("nexgent_stage_sample", "Orders behind the latencies.", labels=["side", "stage"])
    for (side, stage), values in sorted(stages.recent().items()):
        sample.add_metric([side, stage], len(values))
        for fraction in stages.QUANTILES:
            family.add_metric([side, stage, f"{fraction:g}"], stages.quantile(values, fraction))
    yield from (family, sample)


def signals() -> Iterator[Metric]:
    """Signals without their verdicts."""
    rows = Signal.objects.filter(drained_at=None, hidden_at=None)
    waiting = rows.aggregate(number=Count("id"), at=Min("received_at"))
    yield from gauge("nexgent_signals_waiting", "Signals that wait for verdicts.", waiting["number"])
    yield from gauge("nexgent_signal_oldest_seconds", "Age of the oldest of them.", age(waiting["at"]) or 0)


def positions() -> Iterator[Metric]:
    """What is held, and whether an engine watches it on fresh prices."""
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS, [clock.now() - EXIT_MAX_AGE])
        held, stale, untradable = cursor.fetchone()
    engine = recovery.report()
    yield from gauge("nexgent_positions_open", "Open positions.", held)
    yield from gauge("nexgent_positions_watched", "Positions in the active engine's book.", engine["watched"])
    yield from gauge("nexgent_positions_stale", "Open positions whose price is older than 30 s.", stale)
    yield from gauge("nexgent_positions_untradable", "Open positions that no feed prices any more.", untradable)
    yield from gauge("nexgent_engine_watching", "Whether an engine is alive and watches.", int(engine["isWatching"]))
    seen = datetime.fromisoformat(engine["at"]) if "at" in engine else None
    yield from gauge("nexgent_engine_beat_age_seconds", "Seconds since the engine's last sign of life.", age(seen))


def feeds() -> Iterator[Metric]:
    """Feeds by their own word, and the age of what each source said last."""
    newest = GaugeMetricFamily("nexgent_price_age_seconds", "Age of the newest price of a source.", labels=["source"])
    for source, at in LatestPrice.objects.values_list("source").annotate(Max("observed_at")).order_by("source"):
        newest.add_metric([source], age(at) or 0)
    yield newest
    report = prices.feeds(now=clock.now())
    success = GaugeMetricFamily("nexgent_feed_age_seconds", "Seconds since a feed answered last.", labels=["feed"])
    failing = GaugeMetricFamily("nexgent_feed_failures_in_a_row", "Failures since then.", labels=["feed"])
    is_up = GaugeMetricFamily("nexgent_feed_up", "Whether a feed's last answer was one.", labels=["feed"])
    for feed in report["feeds"]:
        is_up.add_metric([feed["name"]], int(feed["state"] == "ok"))
        failing.add_metric([feed["name"]], feed.get("failuresInARow", 0))
        if feed.get("lastSuccessAt"):
            success.add_metric([feed["name"]], age(datetime.fromisoformat(feed["lastSuccessAt"])) or 0)
    yield from (success, failing, is_up)
    yield from gauge("nexgent_prices_known", "Mints with a latest price.", report["prices"]["known"])
    yield from gauge("nexgent_prices_fresh", "Mints whose price is at most 30 s old.", report["prices"]["fresh"])
    sol = report["solUsd"]
    yield from gauge("nexgent_sol_usd_age_seconds", "Age of SOL/USD; absent when unknown.", sol and sol["ageSeconds"])


def alarms() -> Iterator[Metric]:
    """Open alarms; a code that was ever raised stays, at 0."""
    family = GaugeMetricFamily("nexgent_alarms_open", "Alarms that are not cleared.", labels=["code"])
    rows = Alarm.objects.values_list("code").annotate(number=Count("id", filter=Q(cleared_at=None))).order_by("code")
    for code, number in rows:
        family.add_metric([code], number)
    yield family


def ledger() -> Iterator[Metric]:
    """The last periodic check of the books, and all orders as it counted them."""
    last = BooksCheck.objects.first()
    if last is None:
        return
    yield from gauge("nexgent_ledger_balanced", "Whether the last check found every invariant.", int(last.is_balanced))
    yield from gauge("nexgent_ledger_problems", "What it found broken, at most 20.", len(last.problems))
    yield from gauge("nexgent_ledger_check_age_seconds", "Seconds since the last check.", age(last.at))
    yield from gauge("nexgent_ledger_check_seconds", "How long it took.", last.took_ms / 1000)
    yield from gauge("nexgent_ledger_entries", "Entries of the ledger then.", last.figures.get("entries"))
    family = GaugeMetricFamily("nexgent_orders", "All orders as counted then.", labels=["side", "state"])
    for side, state, number in last.orders:
        family.add_metric([Side(side).label, State(state).label], number)
    yield family


def server() -> Iterator[Metric]:
    """PostgreSQL: connections by process, deadlocks, size."""
    with connection.cursor() as cursor:
        cursor.execute(_SERVER)
        deadlocks, commits, rollbacks, size, applications = cursor.fetchone()
    family = GaugeMetricFamily("nexgent_database_connections", "Connections by process.", labels=["process"])
    counted: dict[str, int] = {}
    for name, number in json.loads(applications).items():
        process = name.removeprefix("nexgent ")
        counted[process if process in COMMANDS else "other"] = number + counted.get(process, 0)
    for process, number in sorted(counted.items()):
        family.add_metric([process], number)
    yield family
    yield CounterMetricFamily("nexgent_database_deadlocks", "Deadlocks that PostgreSQL ended.", value=deadlocks)
    ended = CounterMetricFamily("nexgent_database_transactions", "Transactions by how they ended.", labels=["outcome"])
    ended.add_metric(["committed"], commits)
    ended.add_metric(["rolled_back"], rollbacks)
    yield ended
    yield from gauge("nexgent_database_bytes", "Size of the database.", size)


PARTS: dict[str, Callable[[], Iterable[Metric]]] = {
    "orders": orders,
    "latencies": latencies,
    "signals": signals,
    "positions": positions,
    "feeds": feeds,
    "alarms": alarms,
    "ledger": ledger,
    "database": server,
}
