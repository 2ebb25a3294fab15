"""The engine role: one active engine, by a session advisory lock on a connection of its own; the others stand by.

A prices process tries each second. An exits process tries only when nobody has held the lock for three seconds: then
the prices processes are dead, and it feeds itself. Whoever gets the lock loads the book, starts the feeds and
consumes from the queue `prices`. There is no fencing token: peaks move by GREATEST within a generation, latest prices
by time, and exit orders are unique, so two engines for a moment waste requests, never money.
"""

import logging
import threading
import time
from collections.abc import Callable

import psycopg
from django.db import connection

from nexgent import clock
from prices import services as prices
from trading.engine import recovery
from trading.engine.book import Book
from trading.engine.threads import turn
from trading.engine.watch import Engine

log = logging.getLogger(__name__)
LOCK_KEY = 0x6E657867  # "nexg"
TRY_SECONDS = 0.5
PATIENCE_SECONDS = 2.0
"""How long an exits process waits for a prices process before it takes the role over."""


class Role:
    """Holds or waits for the engine role until stopped."""

    def __init__(self, *, is_standby: bool, on_active: Callable[[], None] | None = None) -> None:
        self._is_standby = is_standby
        self._on_active = on_active
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-role", daemon=True)
        self._free_since: float | None = None
        self.engine: Engine | None = None
        """The active engine, while this process holds the role."""
        self._left: Book | None = None
        """The book of the last engine here: what it had seen and could not save, the database being away, is saved
        before the next one loads."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            with turn("engine role"), own_connection() as own:
                self._wait_and_hold(own)
            self._stop.wait(TRY_SECONDS)

    def _wait_and_hold(self, own: psycopg.Connection) -> None:
        while not self._stop.is_set() and not self._take(own):
            self._stop.wait(TRY_SECONDS)
        if self._stop.is_set():
            return
        log.info("engine role taken")
        self._be_active(own)

    def _take(self, own: psycopg.Connection) -> bool:
        if self._is_standby and not self._nobody_holds(own):
            return False
        row = own.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
        return bool(row and row[0])

    def _nobody_holds(self, own: psycopg.Connection) -> bool:
        """Whether the lock has been free for as long as a prices process would need to take it."""
        held = own.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s"
            " AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCK_KEY],
        ).fetchone()
        if held:
            self._free_since = None
            return False
        self._free_since = self._free_since or time.monotonic()
        return time.monotonic() - self._free_since >= PATIENCE_SECONDS

    def _be_active(self, own: psycopg.Connection) -> None:
        engine = Engine()
        own.execute("SELECT pg_advisory_lock(%s::int, %s::int)", recovery.lock_key(engine.owner))
        if self._left is not None:
            self._left.save_watermarks(at=clock.now())
        self._left = engine.book
        try:
            engine.start()
            self.engine = engine
            prices.start_feeds()
            if self._on_active is not None:
                self._on_active()
            while not self._stop.wait(TRY_SECONDS):
                own.execute("SELECT 1")  # the lock lives as long as this session
        finally:
            self.engine = None
            prices.stop_feeds()
            engine.stop()


def own_connection() -> psycopg.Connection:
    """A connection outside the pool, for session locks that live as long as it does."""
    parameters = connection.get_connection_params()
    parameters.pop("pool", None)
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    parameters["options"] = ""
    return psycopg.connect(**parameters, autocommit=True)
