"""The engine thread: prices in, proposals over the book, exact decisions, planned orders out.

It never waits for an execution and never for the network. Prices arrive in an inbox that keeps the newest of each
mint; one pass goes over the positions of the changed mints; only where the pass proposes something does the exact
rule decide. Peaks and stops are saved within a second of their tick by a thread of their own.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from uuid import UUID

from django.db import DatabaseError, connection

from nexgent import clock
from nexgent.events.listener import listen
from nexgent.ids import uuid7
from prices import services as prices
from prices.records import PriceTick
from trading.engine import booking, exits, interpreter, recovery
from trading.engine.book import Book
from trading.engine.points import reach
from trading.engine.threads import turn

log = logging.getLogger(__name__)
SAVE_SECONDS = 0.5
"""From one saving of peaks to the next; a peak of the moment after the first is in its row when the second ends."""
SAVE_PAUSE_SECONDS_MIN = 0.1
RETRY_SECONDS = 1.0
CHECK_SILENCE_SECONDS = 1.5
LOAD_FROM = 1_000
"""So many positions read at once are a load, after which most of them stay."""


class Engine:
    """The active engine of this process: book, inbox, and the threads around them."""

    def __init__(self) -> None:
        self.book = Book()
        self.owner = uuid7()
        self._inbox: dict[str, PriceTick] = {}
        self._changed: set[UUID] = set()
        self._check_wanted = True
        self._sweep_wanted = False
        self._is_running = False
        self._swept = threading.Event()
        self._wake = threading.Condition()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("engine", self._run),
                ("book-checker", self._check_loop),
                ("watermarks", self._save_watermarks),
                ("book-follower", self._follow),
            )
        ]

    def start(self) -> None:
        prices.register_sink(self.offer)
        prices.register_held(self.book.mints)
        prices.register_held(self.book.live_mints, lane="live")
        self._is_running = True
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        prices.unregister_sink(self.offer)
        prices.unregister_held(self.book.mints)
        prices.unregister_held(self.book.live_mints)
        self._stop.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(3)

    def offer(self, batch: Sequence[PriceTick]) -> None:
        """The sink of the price feeds: keep the newest tick of each mint and wake the engine."""
        with self._wake:
            for tick in batch:
                known = self._inbox.get(tick.mint)
                if known is None or tick.observed_at >= known.observed_at:
                    self._inbox[tick.mint] = tick
            if self._is_running:
                self.book.precedence.take()
            self._wake.notify_all()

    def changed(self, position_ids: Sequence[UUID]) -> None:
        """Positions to read again: a commit changed them."""
        with self._wake:
            self._changed.update(position_ids)
            self._wake.notify_all()

    def check(self) -> None:
        """Ask for the check of all positions against the database, and a pass over all rows."""
        with self._wake:
            self._check_wanted = True
            self._wake.notify_all()

    def step(self) -> int:
        """One round of the engine thread, before all others that work on the book; returns what it did.

        An engine that was not started (a replay, a test) makes the wanted check itself, before its round.
        """
        if not self._is_running and self._check_wanted:
            self._check_wanted = False
            self._check_once()
        self.book.precedence.take()
        try:
            return self._round()
        finally:
            self.book.precedence.give_back()

    def _round(self) -> int:
        """Read again what changed, then pass over it."""
        with self._wake:
            ticks, self._inbox = self._inbox, {}
            changed, self._changed = self._changed, set()
            is_sweep, self._sweep_wanted = self._sweep_wanted, False
        now = clock.now()
        try:
            with interpreter.loading() if len(changed) >= LOAD_FROM else nullcontext():
                self.book.reload(changed)
        except Exception:
            self.offer(list(ticks.values()))  # not seen yet: a price that fell for a moment only counts too
            raise
        if is_sweep:
            reach("book_loaded")
            self._swept.set()
        moved = self.book.take_prices(ticks.values())
        candidates = self.book.propose(None if is_sweep else {*moved, *self.book.mints_of(changed)}, now=now)
        done = exits.act(self.book, candidates, now=now) if candidates else 0
        if is_sweep and not self._is_running:
            recovery.beat(self.owner, watched=len(self.book))
        return done

    def _check_once(self) -> None:
        """Find what differs from the database and have the next round read it and pass over all rows."""
        different = self.book.differing()
        with self._wake:
            self._changed.update(different)
            self._sweep_wanted = True
            self._swept.clear()
            self._wake.notify_all()

    def _check_loop(self) -> None:
        """Check when asked, and when nobody asked for a while (beat or the broker is away); then say that we watch.

        A thread of its own, so that no tick waits for the comparison; the sign of life follows the round that read it.
        """
        while not self._stop.is_set():
            with self._wake:
                self._wake.wait_for(lambda: self._check_wanted or self._stop.is_set(), CHECK_SILENCE_SECONDS)
                self._check_wanted = False
            if self._stop.is_set():
                return
            with turn("check of the book failed"):
                self._check_once()
                if self._swept.wait(CHECK_SILENCE_SECONDS):
                    recovery.beat(self.owner, watched=len(self.book))

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._wake:
                self._wake.wait_for(
                    lambda: bool(self._inbox or self._changed or self._sweep_wanted or self._stop.is_set())
                )
            if self._stop.is_set():
                return
            try:
                self.step()
            except DatabaseError as problem:
                log.warning("engine step failed: %s", problem)
                connection.close()
                self._retry_soon()
            except Exception:
                log.exception("engine step failed")
                self._retry_soon()

    def _retry_soon(self) -> None:
        """After a failed step everything is looked at again; a broken database is asked once a second."""
        self._stop.wait(RETRY_SECONDS)
        self.check()

    def _save_watermarks(self) -> None:
        pause = SAVE_SECONDS
        while not self._stop.wait(pause):
            begun = time.monotonic()
            self._save_once()
            pause = max(SAVE_SECONDS - (time.monotonic() - begun), SAVE_PAUSE_SECONDS_MIN)
        self._save_once()

    def _save_once(self) -> None:
        with turn("watermarks not saved"):
            self.book.save_watermarks(at=clock.now())

    def _follow(self) -> None:
        """Hear which positions changed; what is missed here is found by the check each second."""
        listen(
            booking.POSITIONS_CHANGED,
            lambda message: self.changed(booking.changed_ids(message)),
            stop=self._stop,
        )
