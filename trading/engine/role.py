"""The engine role: one active engine, by a session advisory lock on a connection of its own; the others stand by.

A prices process tries twice a second. An exits process tries only when nobody has held the lock for two seconds: then
the prices processes are dead, and it feeds itself. It gives the role back when one of them has waited for ten, because
orders and the price pass share its interpreter. Whoever gets the lock loads the book, starts the feeds and
consumes from the queue `prices`. There is no fencing token: peaks move by GREATEST within a generation, latest prices
by time, and exit orders are unique, so two engines for a moment waste requests, never money.

The session ends by itself when its holder is silent for three seconds, so that a frozen process or a machine that is
cut off hands over like a killed one. A process that wakes after that finds out with its next word, half a second later
at most; until then it decides nothing, because its own last word is too old.
"""

import logging
import threading
import time
from collections.abc import Callable

import psycopg

from nexgent import clock
from nexgent.held_session import SILENCE_SECONDS, open_session
from prices import services as prices
from trading.engine import recovery
from trading.engine.book import Book
from trading.engine.threads import turn
from trading.engine.watch import Engine

log = logging.getLogger(__name__)
LOCK_KEY = 0x6E657867  # "nexg"
WAITING_KEY = LOCK_KEY + 1
"""Shared by all prices processes that wait for the role, so that an exits process sees them."""
TRY_SECONDS = 0.5
PATIENCE_SECONDS = 2.0
"""How long an exits process waits for a prices process before it takes the role over."""
GIVE_BACK_SECONDS = 10.0
"""How long a prices process has waited when an exits process gives the role back: one that dies again and again is not
believed at once, and nobody watches for half a second at each change.
"""
AGAIN_SECONDS = 1.0
"""How long until feeds that did not start, or a broker that did not take the wish to answer the prices' queue, are
asked again."""
UNSURE_SECONDS = 0.05
"""How long an engine that may have lost its role waits before it looks again; what came in stays where it is."""


class HeldEngine(Engine):
    """An engine that decides only while nobody else can hold its role.

    PostgreSQL keeps the lock for three seconds from each word of the holder. A process that was frozen for longer wakes
    with the prices of before: others may have raised stops on newer ones meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held_until = time.monotonic() + SILENCE_SECONDS

    def held_since(self, asked_at: float) -> None:
        """The session answered a question of that moment (`time.monotonic`)."""
        self._held_until = asked_at + SILENCE_SECONDS

    def step(self) -> int:
        if time.monotonic() >= self._held_until:
            self._stop.wait(UNSURE_SECONDS)
            return 0
        return super().step()


class Role:
    """Holds or waits for the engine role until stopped."""

    def __init__(
        self,
        *,
        is_standby: bool,
        on_active: Callable[[], None] = lambda: None,
        on_passive: Callable[[], None] = lambda: None,
    ) -> None:
        self._is_standby = is_standby
        self._on_active = on_active
        self._on_passive = on_passive
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-role", daemon=True)
        self._free_since: float | None = None
        self._waiting_since: float | None = None
        self._supplying = threading.Lock()
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
            with turn("engine role"):
                self._save_left()
                with open_session(silence_seconds=SILENCE_SECONDS) as own:
                    self._wait_and_hold(own)
            self._stop.wait(TRY_SECONDS)

    def _save_left(self) -> None:
        """Before the session is opened: it may take longer than the session may be silent, and needs no role."""
        if self._left is not None:
            self._left.save_watermarks(at=clock.now())
            self._left = None

    def _wait_and_hold(self, own: psycopg.Connection) -> None:
        if not self._is_standby:
            own.execute("SELECT pg_advisory_lock_shared(%s)", [WAITING_KEY])
        while not self._stop.is_set() and not self._take(own):
            self._stop.wait(TRY_SECONDS)
        if self._stop.is_set():
            return
        if not self._is_standby:
            own.execute("SELECT pg_advisory_unlock_shared(%s)", [WAITING_KEY])
        log.info("engine role taken")
        self._free_since = self._waiting_since = None
        self._be_active(own)

    def _take(self, own: psycopg.Connection) -> bool:
        if self._is_standby and not self._nobody_holds(own):
            return False
        row = own.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
        return bool(row and row[0])

    def _nobody_holds(self, own: psycopg.Connection) -> bool:
        """Whether the lock has been free for as long as a prices process would need to take it."""
        self._free_since = _since(self._free_since, is_so=not _is_held(own, LOCK_KEY))
        return _is_over(PATIENCE_SECONDS, self._free_since)

    def _is_wanted_back(self, own: psycopg.Connection) -> bool:
        """Whether a prices process has waited long enough for a role that an exits process holds."""
        self._waiting_since = _since(self._waiting_since, is_so=self._is_standby and _is_held(own, WAITING_KEY))
        return _is_over(GIVE_BACK_SECONDS, self._waiting_since)

    def _be_active(self, own: psycopg.Connection) -> None:
        engine = HeldEngine()
        own.execute("SELECT pg_advisory_lock(%s::int, %s::int)", recovery.lock_key(engine.owner))
        self._left = engine.book
        try:
            engine.start()
            self.engine = engine
            threading.Thread(target=self._supply, args=(engine,), name="engine-role-supply", daemon=True).start()
            while not self._stop.wait(TRY_SECONDS):
                _say(own, engine)
                if self._is_wanted_back(own):
                    log.info("engine role given back")
                    break
        finally:
            self.engine = None
            engine.stop()  # first, so that it decides nothing more: feeds end with their calls
            own.close()  # from here on another may have the role
            with self._supplying:
                prices.stop_feeds()
            threading.Thread(target=self._leave, name="engine-role-leave", daemon=True).start()

    def _supply(self, engine: Engine) -> None:
        """Start the feeds and have the worker answer the queue `prices` too. Beside the role: it must say its word in
        time, and waits for no database, provider or broker.
        """
        while self.engine is engine:
            with turn("the active engine is not supplied"):
                with self._supplying:
                    if self.engine is engine:
                        prices.start_feeds()
                if self.engine is engine:
                    self._on_active()
                return
            self._stop.wait(AGAIN_SECONDS)

    def _leave(self) -> None:
        """Have the worker leave the queue `prices`. Beside the role as well: the broker may be away."""
        with turn("the worker keeps the prices' queue"):
            if self.engine is None:
                self._on_passive()


def _say(own: psycopg.Connection, engine: HeldEngine) -> None:
    """The word that keeps the session, and with it the lock, for as long again."""
    asked_at = time.monotonic()
    own.execute("SELECT 1")
    engine.held_since(asked_at)


def _is_held(own: psycopg.Connection, key: int) -> bool:
    """Whether any session of this database holds the advisory lock, alone or shared."""
    held = own.execute(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s"
        " AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [key],
    )
    return held.fetchone() is not None


def _since(before: float | None, *, is_so: bool) -> float | None:
    """Since when (`time.monotonic`) something has been so without a break; None while it is not."""
    return (before or time.monotonic()) if is_so else None


def _is_over(seconds: float, since: float | None) -> bool:
    return since is not None and time.monotonic() - since >= seconds
