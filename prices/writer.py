"""What happens to prices after the engine has had them: Valkey, the web hub's channel, PostgreSQL.

A writer coalesces: `publish` only appends to a bounded queue, one thread per process takes all that has gathered, at
most ten times a second, and writes it set-wise. PostgreSQL away: the newest prices stay queued and are tried again;
what does not fit in the bound is dropped, oldest first, and counted. Tests write in the caller, replays not at all.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection

from prices import cache, storage
from prices.alarms import Detail, Notes
from prices.records import PriceTick, newest

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.1
RETRY_SECONDS = 1.0
QUEUE_MAX = 50_000
REMEMBERED_MAX = 20_000
SAME_PRICE_KEPT_EVERY = timedelta(seconds=15)
SAME_PRICE_ANNOUNCED_EVERY = timedelta(seconds=5)


class Mode(StrEnum):
    """THREAD: coalesced in the background. INLINE: in the caller, before `publish` returns. OFF: nothing is written."""

    THREAD = "thread"
    INLINE = "inline"
    OFF = "off"


class _Thinned:
    """Lets a price through when it changed, or when the last one let through is old enough."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self._last: dict[str, PriceTick] = {}

    def pick(self, ticks: Sequence[PriceTick]) -> list[PriceTick]:
        """What of `ticks` is let through; nothing is remembered before `remember`."""
        picked: list[PriceTick] = []
        before = {tick.mint: self._last[tick.mint] for tick in ticks if tick.mint in self._last}
        for tick in ticks:
            last = before.get(tick.mint)
            same = last is not None and last.price_sol == tick.price_sol and last.price_usd == tick.price_usd
            if last is not None and same and last.observed_at <= tick.observed_at < last.observed_at + self._every:
                continue
            before[tick.mint] = tick
            picked.append(tick)
        return picked

    def remember(self, picked: Sequence[PriceTick]) -> None:
        """What was let through has arrived."""
        if len(self._last) > REMEMBERED_MAX:
            self._last.clear()
        self._last.update((tick.mint, tick) for tick in picked)


class Writer:
    """The queue and the thread of one process."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.notes = Notes()
        self.dropped = 0
        self._queue: deque[PriceTick] = deque()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept = _Thinned(SAME_PRICE_KEPT_EVERY)
        self._announced = _Thinned(SAME_PRICE_ANNOUNCED_EVERY)

    def add(self, batch: Sequence[PriceTick]) -> None:
        """Take a batch over; returns at once (in mode INLINE after it is written)."""
        if self.mode is Mode.OFF:
            return
        with self._lock:
            self._queue.extend(batch)
            while len(self._queue) > QUEUE_MAX:
                self._queue.popleft()
                self.dropped += 1
        self._go()

    def note(self, code: str, subject: str, detail: Detail) -> None:
        """Note an alarm (detail None: it is over) and have it written down."""
        if self.notes.note(code, subject, detail) and self.mode is not Mode.OFF:
            self._go()

    def flush(self) -> None:
        """Write what is queued, in the calling thread. Raises DatabaseError when PostgreSQL refuses."""
        with self._writing:
            self._write(self._taken())
            self.notes.tell()

    def _go(self) -> None:
        if self.mode is Mode.INLINE:
            self.flush()
            return
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _write(self, batch: list[PriceTick]) -> None:
        if batch:
            latest = sorted(newest(batch).values(), key=lambda tick: tick.mint)
            cache.store(latest)
            changed = self._announced.pick(latest)
            if changed and cache.announce(changed):
                self._announced.remember(changed)
            kept = self._kept.pick(batch)
            try:
                storage.write(seen=batch, kept=kept)
            except (OperationalError, InterfaceError):
                self._put_back(batch)
                raise
            self._kept.remember(kept)

    def _taken(self) -> list[PriceTick]:
        with self._lock:
            batch = list(self._queue)
            self._queue.clear()
        return batch

    def _put_back(self, batch: list[PriceTick]) -> None:
        with self._lock:
            room = max(0, QUEUE_MAX - len(self._queue))
            self.dropped += max(0, len(batch) - room)
            self._queue.extendleft(reversed(batch[-room:] if room else []))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="prices-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            pause = INTERVAL_SECONDS
            try:
                self.flush()
            except (OperationalError, InterfaceError) as problem:
                log.warning("prices wait for PostgreSQL: %s", problem)
                connection.close()
                pause = RETRY_SECONDS
                self._wake.set()
            except DatabaseError:
                log.exception("PostgreSQL refused a batch of prices; the batch is dropped")
            finally:
                close_old_connections()
            time.sleep(pause)
