"""Drains: claim what waits in the order table and hand each order to a thread of its own.

One drain per side and process. A bell asks for a drain; beat asks each second; and when nobody asked for a while
(broker gone), the process's own timer does. A hanging venue call holds one thread, never another order.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import DatabaseError, connection

from nexgent import clock
from nexgent.events import alarms
from trading.engine import leases
from trading.engine.executor import execute, market_of
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.models import Side

log = logging.getLogger(__name__)
THREADS = 160
SILENCE_SECONDS = 1.2


class Drain:
    """Claims and executes the orders of one side in this process."""

    def __init__(self, side: Side, *, threads: int = THREADS, owner: UUID = leases.OWNER) -> None:
        self.side = side
        self.owner = owner
        self.in_hand: set[UUID] = set()
        self.failures: Counter[str] = Counter()
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"{side.label}-order")
        self._lock = threading.Lock()
        self._heartbeat = leases.Heartbeat(self.in_hand, owner=owner)
        self._stopping = threading.Event()
        self._rung_at = time.monotonic()
        self._timer = threading.Thread(target=self._tick, name=f"{side.label}-timer", daemon=True)

    def start(self) -> None:
        self._heartbeat.start()
        self._timer.start()

    def stop(self) -> None:
        """Claim no more; what is in hand ends, or its lease expires and another process goes on."""
        self._stopping.set()
        self._heartbeat.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def drain(self) -> int:
        """Claim and start what fits into the free threads; returns how many. Safe to call from any thread at once."""
        self._rung_at = time.monotonic()
        started = 0
        with self._lock:
            while not self._stopping.is_set() and (free := self._threads - len(self.in_hand)) > 0:
                claimed = leases.claim(self.side, most=free, at=clock.now(), owner=self.owner)
                if claimed:
                    reach("order_claimed")
                known = self._markets(claimed)
                self.in_hand.update(claimed)
                for order_id in claimed:
                    self._pool.submit(self._run, order_id, known.get(order_id))
                started += len(claimed)
                if len(claimed) < free:
                    break
        return started

    @staticmethod
    def _markets(order_ids: Sequence[UUID]) -> dict[UUID, MarketFacts]:
        """The markets of all claimed orders at once; when they cannot be read, each order asks for itself."""
        try:
            return market_of(order_ids) if order_ids else {}
        except DatabaseError as problem:
            log.warning("markets not read: %s", problem)
            return {}

    def _run(self, order_id: UUID, market: MarketFacts | None) -> None:
        try:
            execute(order_id, self.owner, market)
        except Exception as problem:
            # The order stays as it is: its lease expires and it is tried again. The alarm makes it visible.
            self.failures[type(problem).__name__] += 1
            log.exception("order not executed", extra={"order_id": str(order_id)})
            self._raise_alarm(order_id, problem)
        finally:
            self.in_hand.discard(order_id)
            connection.close()

    def _raise_alarm(self, order_id: UUID, problem: Exception) -> None:
        try:
            alarms.raise_alarm(
                "ORDER_STUCK", subject=str(order_id), detail={"problem": type(problem).__name__}, at=clock.now()
            )
        except DatabaseError as down:
            log.warning("alarm not written: %s", down)

    def _tick(self) -> None:
        """Drain by itself when no bell rang for a while: the broker may be away."""
        while not self._stopping.wait(0.3):
            if time.monotonic() - self._rung_at < SILENCE_SECONDS:
                continue
            try:
                self.drain()
            except DatabaseError as problem:
                log.warning("drain failed: %s", problem)
            finally:
                connection.close()


_drains: dict[Side, Drain] = {}
_create = threading.Lock()


def drain_of(side: Side) -> Drain:
    """The process's drain of a side, started on first use."""
    with _create:
        if side not in _drains:
            _drains[side] = Drain(side)
            _drains[side].start()
        return _drains[side]


def stop_all() -> None:
    """End the process's drains (worker shutdown)."""
    with _create:
        for drain in _drains.values():
            drain.stop()
        _drains.clear()
