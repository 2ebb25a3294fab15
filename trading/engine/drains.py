"""Drains: claim what waits in the order table and hand it to what executes it.

One drain per side and process. A bell asks for a drain; beat asks each second; and when nobody asked for a while
(broker gone), the process's own timer does. A hanging venue call holds one thread, never another order; a venue that
hangs as a whole holds its own places, never another venue's.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from django.db import DatabaseError

from nexgent import clock
from trading.engine import leases
from trading.engine.calls import THREADS
from trading.engine.hands import Hands
from trading.engine.leases import Claimed
from trading.engine.market import MarketFacts, read
from trading.engine.points import reach
from trading.engine.threads import turn
from trading.models import Side

log = logging.getLogger(__name__)
SILENCE_SECONDS = 1.2
SET_MAX = {Side.SELL: 25, Side.BUY: 5}
"""Orders of one transaction. A buy holds its agent and asks more of the database, so its sets are small."""
WAITING_MAX = 2_000
"""Submitted orders of this process that wait to land; beyond it nothing new is claimed."""


class Drain:
    """Claims and executes the orders of one side in this process."""

    def __init__(self, side: Side, *, threads: int = THREADS, owner: UUID = leases.OWNER) -> None:
        self.side = side
        self.owner = owner
        self._hands = Hands(side.label, owner, threads=threads, set_max=SET_MAX[side], on_room=self._on_room)
        self._claiming = threading.Lock()
        self._next = threading.Lock()
        self._heartbeat = leases.Heartbeat(self._hands.ids, owner=owner)
        self._stopping = threading.Event()
        self._is_full = False
        """The last claim left orders for want of room: what ends makes some, and nobody rings for them again."""
        self._is_told = False
        """That markets could not be read for an unexpected reason: told once, until they can."""
        self._wake = threading.Event()
        self._rung_at = time.monotonic()
        self._timer = threading.Thread(target=self._tick, name=f"{side.label}-timer", daemon=True)

    @property
    def in_hand(self) -> set[UUID]:
        """Orders that are being executed here."""
        return self._hands.ids

    @property
    def failures(self) -> Counter[str]:
        """Orders that could not be executed, by the problem's name."""
        return self._hands.failures

    def start(self) -> None:
        """Begin its threads. Raises `RuntimeError` when the system has none to give."""
        self._hands.start()
        self._heartbeat.start()
        self._timer.start()

    def stop(self) -> None:
        """Claim no more; what is in hand ends, or its lease expires and another process goes on."""
        self._stopping.set()
        self._wake.set()
        self._heartbeat.stop()
        self._hands.stop()

    def drain(self) -> int:
        """Claim and start what fits; returns how many. Safe to call from any thread at once: beside a drain that works
        and one that waits its turn, another has nothing to add.
        """
        self._rung_at = time.monotonic()
        if not self._next.acquire(blocking=False):
            return 0
        with self._claiming:
            self._next.release()
            started = 0
            while not self._stopping.is_set() and (claimed := self._claim()):
                self._hands.take(claimed, self._markets(claimed))
                started += len(claimed)
            return started

    def _claim(self) -> list[Claimed]:
        self._is_full = True  # said before the look, so that what ends meanwhile is not missed
        most, full = self._hands.room()
        if most <= 0 or self._hands.waiting() >= WAITING_MAX:
            return []
        self._is_full = bool(full)
        claimed = leases.take(self.side, most=most, at=clock.now(), owner=self.owner, but=full)
        if claimed:
            reach("order_claimed")
        return claimed

    def _markets(self, claimed: Sequence[Claimed]) -> dict[str, MarketFacts]:
        """The markets of all claimed orders at once; when they cannot be read, each order asks for itself."""
        try:
            found = read(sorted({one.mint for one in claimed}), now=clock.now())
        except DatabaseError as problem:
            log.warning("markets not read: %s", problem)
            return {}
        except Exception:  # of one token, say: alone it fails its own orders only
            if not self._is_told:
                log.exception("markets not read; each order asks for itself")
            self._is_told = True
            return {}
        self._is_told = False
        return found

    def _on_room(self) -> None:
        if self._is_full:
            self._wake.set()

    def _tick(self) -> None:
        """Drain by itself when there is room again, and when no bell rang for a while: the broker may be away."""
        while not self._stopping.is_set():
            has_room = self._wake.wait(0.3)
            self._wake.clear()
            if self._stopping.is_set():
                return
            if not has_room and time.monotonic() - self._rung_at < SILENCE_SECONDS:
                continue
            with turn("drain failed"):
                self.drain()


_drains: dict[Side, Drain] = {}
_create = threading.Lock()


def drain_of(side: Side) -> Drain:
    """The process's drain of a side, started on first use."""
    with _create:
        if side not in _drains:
            drain = Drain(side)
            try:
                drain.start()
            except RuntimeError:  # without its heartbeat or a lane it must claim nothing
                drain.stop()
                raise
            _drains[side] = drain
        return _drains[side]


def stop_all() -> None:
    """End the process's drains (worker shutdown)."""
    with _create:
        for drain in _drains.values():
            drain.stop()
        _drains.clear()
