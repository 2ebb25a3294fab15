"""What must be true after every kill, read from the database, from the venue's own record and from readiness."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection

from tests.crash.system import System
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
GROUP BY p.id HAVING sum(CASE o.side WHEN 0 THEN f.amount_out ELSE -f.amount_in END) <> p.remaining_units
UNION ALL SELECT 'DCA count: position ' || p.id FROM trading_position p
LEFT JOIN trading_order o ON o.position_id = p.id AND o.purpose = 1 AND o.state = 3
GROUP BY p.id HAVING count(o.id) <> p.dca_count
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
                self.non_terminal |= {row[0] for row in query(lambda: _rows(_NON_TERMINAL, age=SETTLE_SECONDS))}
                self.lost |= {f"stop not sold: {text}" for text in query(lambda: _unsold(world))}
                return
            time.sleep(0.2)

    def check(self, world: World, system: System) -> None:
        """Everything that must hold once nothing is on its way."""
        self.lost |= {row[0] for row in query(lambda: _rows(_LOST))}
        self.doubled |= {row[0] for row in query(lambda: _rows(_DOUBLED))}
        known = {row[0] for row in query(lambda: _rows("SELECT id FROM signals_signal"))}
        self.lost |= {f"accepted and gone: signal {i}" for i in set(world.accepted.values()) - known}
        report = query(books.check)
        self.lost |= {f"books: {p.invariant} {p.subject} {p.detail}" for p in report.problems}
        self._check_venue(system)

    def _check_venue(self, system: System) -> None:
        """The venue's record against the fills: every swap is booked once, every fill was swapped."""
        rows = query(
            lambda: _rows(
                "SELECT o.id::text, f.order_id IS NOT NULL, o.state FROM trading_order o"
                " LEFT JOIN trading_fill f ON f.order_id = o.id WHERE o.profile = 'wire'"
            )
        )
        swapped = dict(system.venue.executed)
        booked = {order for order, is_booked, _ in rows if is_booked}
        is_open = {order for order, _, state in rows if state < 3}
        self.doubled |= {f"swapped {n} times: {order}" for order, n in swapped.items() if n > 1}
        self.lost |= {f"swapped {n} times and booked once: {order}" for order, n in swapped.items() if n > 1}
        self.lost |= {f"swapped and not booked: {order}" for order in swapped.keys() - booked - is_open}
        self.lost |= {f"booked and never swapped: {order}" for order in booked - swapped.keys()}


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall())


def _unsold(world: World) -> list[str]:
    """Positions in fallen tokens that nobody sold, unless their order waits for its time."""
    rows = _rows(_UNSOLD, ended=list(world.ended))
    return [f"{position_id} ({profile})" for position_id, profile in rows]


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
        if not is_green:
            return
        self.greens += 1
        name, life = self._process_of.get(owner, ("", 0))
        process = self.system.processes.get(name)
        if process is not None and self._is_dead(process, life, at):
            self.proof.unwatched.add(f"ready while {name} (life {life}), which watched, was dead")
        if watched < is_open:
            self.proof.unwatched.add(f"ready with {watched} of {is_open} positions watched")

    @staticmethod
    def _is_dead(process: Any, life: int, at: float) -> bool:
        if process.lives > life:
            return at > process.started_at + DIED_MARGIN_SECONDS
        return 0 < process.died_at < at - DIED_MARGIN_SECONDS and process.died_at > process.started_at
