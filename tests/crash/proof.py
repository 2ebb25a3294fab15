"""What must be true after every kill, read from the database, from the venue's own record and from readiness."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection

from tests.crash.system import Process, System
from tests.crash.world import World, query
from trading import books
from trading.engine import recovery

SETTLE_SECONDS = 30.0
DIED_MARGIN_SECONDS = 0.1
"""Between a process's death and the moment the harness hears of it."""

_NON_TERMINAL = """
SELECT 'order ' || id || ' ' || purpose || ' state ' || state FROM trading_order
WHERE state < 3 AND coalesce(not_before, created_at) < now() - make_interval(secs => %(age)s)
  AND coalesce(lands_at, created_at) < now() - make_interval(secs => %(age)s)
UNION ALL SELECT 'signal ' || id FROM signals_signal
WHERE drained_at IS NULL AND created_at < now() - make_interval(secs => %(age)s)
"""
_WAITING = """
SELECT (SELECT count(*) FROM trading_order WHERE state < 3 AND coalesce(not_before, lands_at, created_at) < now()
          AND (lands_at IS NULL OR lands_at < now())),
       (SELECT count(*) FROM signals_signal WHERE drained_at IS NULL),
       (SELECT count(*) FROM trading_position p WHERE closed_at IS NULL AND mint = ANY(%(ended)s) AND NOT EXISTS (
          SELECT 1 FROM trading_order o WHERE o.position_id = p.id AND o.state < 3
          AND (o.not_before > now() OR o.lands_at > now())))
"""
_UNSOLD = """
SELECT p.id, p.profile FROM trading_position p WHERE closed_at IS NULL AND mint = ANY(%(ended)s) AND NOT EXISTS (
  SELECT 1 FROM trading_order o WHERE o.position_id = p.id AND o.state < 3
  AND (o.not_before > now() OR o.lands_at > now()))
"""
_LOST = """
SELECT 'no verdict: signal ' || s.id || ' agent ' || a.id FROM signals_signal s
JOIN agents_agent a ON a.workspace_id = s.workspace_id
LEFT JOIN signals_verdict v ON v.signal_id = s.id AND v.agent_id = a.id
WHERE s.drained_at IS NOT NULL AND v.agent_id IS NULL
UNION ALL SELECT 'eligible without order: signal ' || signal_id || ' agent ' || agent_id FROM signals_verdict
WHERE order_id IS NULL AND reasons = '[]'
UNION ALL SELECT 'filled without fill: ' || o.id FROM trading_order o
LEFT JOIN trading_fill f ON f.order_id = o.id WHERE o.state = 3 AND f.order_id IS NULL
UNION ALL SELECT 'filled entry without position: ' || o.id FROM trading_order o
LEFT JOIN trading_position p ON p.opened_by_id = o.id WHERE o.state = 3 AND o.purpose = 0 AND p.id IS NULL
UNION ALL SELECT 'fill without ledger entry: ' || f.order_id FROM trading_fill f
LEFT JOIN wallets_entry e ON e.order_id = f.order_id WHERE e.id IS NULL
UNION ALL SELECT 'hold of a final order: ' || h.order_id FROM wallets_hold h
JOIN trading_order o ON o.id = h.order_id WHERE o.state >= 3
"""
_DOUBLED = """
SELECT 'signal accepted twice: ' || signal_type FROM signals_signal GROUP BY signal_type HAVING count(*) > 1
UNION ALL SELECT 'two orders of one signal: ' || signal_id || ' ' || agent_id FROM trading_order
WHERE purpose = 0 AND signal_id IS NOT NULL GROUP BY signal_id, agent_id HAVING count(*) > 1
UNION ALL SELECT 'two positions of one order: ' || opened_by_id FROM trading_position
GROUP BY opened_by_id HAVING count(*) > 1
UNION ALL SELECT 'fill of an order that is not filled: ' || o.id FROM trading_order o
JOIN trading_fill f ON f.order_id = o.id WHERE o.state <> 3
UNION ALL SELECT 'two ledger entries of one fill: ' || order_id FROM wallets_entry
WHERE order_id IS NOT NULL GROUP BY order_id HAVING count(*) > 1
UNION ALL SELECT 'key used twice: ' || key FROM trading_order GROUP BY key HAVING count(*) > 1
UNION ALL SELECT 'sold other than bought: position ' || p.id FROM trading_position p
JOIN trading_order o ON o.position_id = p.id JOIN trading_fill f ON f.order_id = o.id
GROUP BY p.id, p.remaining_units
HAVING sum(CASE o.side WHEN 0 THEN f.amount_out ELSE -f.amount_in END) <> p.remaining_units
UNION ALL SELECT 'DCA count: position ' || p.id FROM trading_position p
LEFT JOIN trading_order o ON o.position_id = p.id AND o.purpose = 1 AND o.state = 3
GROUP BY p.id, p.dca_count HAVING count(o.id) <> p.dca_count
"""


@dataclass
class Proof:
    """Findings of a run, as sentences; each counts as one."""

    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    non_terminal: set[str] = field(default_factory=set)
    unwatched: set[str] = field(default_factory=set)
    slowest_settle: float = 0.0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.non_terminal or self.unwatched)

    def settle(self, world: World, *, since: float) -> None:
        """Wait until everything is final; what is not within 30 s of `since` (monotonic) is a finding.

        Then every token that traded falls once more, and what is still held must be sold within another 30 s.
        """
        is_fallen = False
        while True:
            orders, signals, held = query(lambda: _rows(_WAITING, ended=list(world.ended)))[0]
            waited = time.monotonic() - since
            if not (orders or signals or held):
                self.slowest_settle = max(self.slowest_settle, waited)
                return
            if not (orders or signals) and not is_fallen:
                self.slowest_settle = max(self.slowest_settle, waited)
                world.fall()  # what was bought late, at the bottom, is due by this
                is_fallen, since = True, time.monotonic()
            elif waited > SETTLE_SECONDS:
                self.non_terminal |= query(unfinished)
                self.lost |= query(lambda: unsold(list(world.ended)))
                return
            time.sleep(0.2)

    def check(self, world: World, system: System) -> None:
        """Everything that must hold once nothing is on its way."""
        self.lost |= query(losses) | query(lambda: gone(world.accepted.values()))
        self.doubled |= query(doubles)
        report = query(books.check)
        self.lost |= {f"books: {p.invariant} {p.subject} {p.detail}" for p in report.problems}
        self._check_venue(system)

    def _check_venue(self, system: System) -> None:
        """The venue's record against the fills."""
        rows = query(
            lambda: _rows(
                "SELECT o.id::text, f.order_id IS NOT NULL, o.state FROM trading_order o"
                " LEFT JOIN trading_fill f ON f.order_id = o.id WHERE o.profile = 'wire'"
            )
        )
        lost, doubled = judge_venue(dict(system.venue.executed), rows)
        self.lost |= lost
        self.doubled |= doubled


def judge_venue(swapped: Mapping[str, int], orders: Sequence[tuple[str, bool, int]]) -> tuple[set[str], set[str]]:
    """Every swap is booked once, every fill was swapped: what was lost and what was doubled, no order in both.

    `swapped` counts by order; an order is its id, whether it is booked, and its state.
    """
    booked = {order for order, is_booked, _ in orders if is_booked}
    is_open = {order for order, _, state in orders if state < 3}
    doubled = {f"swapped {n} times: {order}" for order, n in swapped.items() if n > 1}
    once = {order for order, n in swapped.items() if n == 1}
    lost = {f"swapped and not booked: {order}" for order in once - booked - is_open}
    return lost | {f"booked and never swapped: {order}" for order in booked - swapped.keys()}, doubled


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall())


def unfinished() -> set[str]:
    """Orders and signals that should have ended long ago."""
    return {row[0] for row in _rows(_NON_TERMINAL, age=SETTLE_SECONDS)}


def losses() -> set[str]:
    """What the rows miss that must follow from other rows."""
    return {row[0] for row in _rows(_LOST)}


def doubles() -> set[str]:
    """What there is more often than once."""
    return {row[0] for row in _rows(_DOUBLED)}


def gone(accepted: Iterable[int]) -> set[str]:
    """Signals that were answered 201 and are no row."""
    known = {row[0] for row in _rows("SELECT id FROM signals_signal")}
    return {f"accepted and gone: signal {number}" for number in set(accepted) - known}


def unsold(ended: Sequence[str]) -> set[str]:
    """Positions in fallen tokens that nobody sold, unless their order waits for its time."""
    return {f"stop not sold: {one} ({profile})" for one, profile in _rows(_UNSOLD, ended=list(ended))}


class Watchman:
    """Looks at readiness 20 times a second: it may never be green while the engine that it speaks of is dead, nor
    before that engine watches every position that was open then.
    """

    def __init__(self, system: System, proof: Proof) -> None:
        self.system, self.proof = system, proof
        self.samples = self.greens = 0
        self._process_of: dict[str, tuple[str, int]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchman", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.wait(0.05):
            try:
                self._look()
            except DatabaseError:
                connection.close()
        connection.close()

    def _look(self) -> None:
        at = time.monotonic()
        is_green = recovery.is_recovered()
        rows = _rows(
            "SELECT s.owner::text, s.watched, (SELECT count(*) FROM trading_position WHERE closed_at IS NULL"
            " AND opened_at < s.beat_at - interval '2 seconds') FROM trading_enginestate s"
        )
        self.samples += 1
        if not rows:
            return
        owner, watched, is_open = rows[0]
        if owner not in self._process_of and self.system.active is not None:
            self._process_of[owner] = self.system.active
        self.greens += is_green
        name, life = self._process_of.get(owner, ("", 0))
        process = self.system.processes.get(name)
        is_engine_dead = process is not None and is_dead(process, life, at)
        self.proof.unwatched |= judge_readiness(
            is_green=is_green,
            engine=f"{name} (life {life})",
            is_engine_dead=is_engine_dead,
            watched=watched,
            is_open=is_open,
        )


def judge_readiness(*, is_green: bool, engine: str, is_engine_dead: bool, watched: int, is_open: int) -> set[str]:
    """What is wrong with one look at readiness; red is never wrong here."""
    if not is_green:
        return set()
    found = {f"ready while {engine}, which watched, was dead"} if is_engine_dead else set()
    return found | ({f"ready with {watched} of {is_open} positions watched"} if watched < is_open else set())


def is_dead(process: Process, life: int, at: float) -> bool:
    """Whether that life of a process had ended at that time (monotonic), beyond doubt."""
    if process.lives > life:
        return at > process.started_at + DIED_MARGIN_SECONDS
    return 0 < process.died_at < at - DIED_MARGIN_SECONDS and process.died_at > process.started_at
