"""Threads for calls that leave the process, at most so many of one venue at once; and a clock for what comes later.

A venue that hangs holds its own places and no others. What only waits (an order that takes a minute to land, a lock
that somebody holds) holds no thread at all.
"""

import heapq
import itertools
import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from trading.engine.threads import OneThread

log = logging.getLogger(__name__)
THREADS = 160
IDLE_SECONDS = 5.0
"""A thread with nothing to do for so long ends: each that has worked keeps memory for itself."""
CALLS_PER_VENUE_MAX = 128
AGAIN_SECONDS = 1.0
"""So long a call waits that found no thread at all, before one is asked for again."""

Work = Callable[[], None]
"""What a thread does; it handles its own failures."""


class Calls:
    """The threads of one drain."""

    def __init__(self, name: str, *, threads: int = THREADS, most: int = CALLS_PER_VENUE_MAX) -> None:
        self._later = _Later(f"{name}-later")
        self._threads = _Threads(f"{name}-call", most=threads, later=self._later.add)
        self._most = most
        self._running: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Work]] = defaultdict(deque)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin the clock. Raises `RuntimeError` when the system has no thread to give."""
        self._later.start()

    def venue(self, profile: str, work: Work) -> None:
        """Call a venue in a thread of its own; beyond the venue's limit the call waits for its turn."""
        with self._lock:
            if self._running[profile] >= self._most:
                self._waiting[profile].append(work)
                return
            self._running[profile] += 1
        self._threads.start(lambda: self._run(profile, work))

    def running(self, profile: str) -> int:
        """Calls of a venue that are under way."""
        return self._running[profile]

    def alone(self, work: Work) -> None:
        """Do something in a thread of its own that is no venue's call."""
        self._threads.start(work)

    def after(self, seconds: float, work: Work) -> None:
        """Do something quick in so many seconds."""
        self._later.add(seconds, work)

    def stop(self) -> None:
        """Begin nothing more."""
        self._later.stop()
        self._threads.stop()

    def _run(self, profile: str, work: Work) -> None:
        try:
            work()
        finally:
            with self._lock:
                queue = self._waiting[profile]
                following = queue.popleft() if queue else None
                if following is None:
                    self._running[profile] -= 1
            if following is not None:
                self._threads.start(lambda: self._run(profile, following))


class _Threads:
    """Threads on demand. The one that became idle last works next, so that there are never more than are needed."""

    def __init__(self, name: str, *, most: int, later: Callable[[float, Work], None]) -> None:
        self._name = name
        self._most = most
        self._later = later
        self._number = itertools.count()
        self._count = 0
        self._idle: list[SimpleQueue[Work | None]] = []
        self._waiting: deque[Work] = deque()
        self._lock = threading.Lock()
        self._is_stopped = False

    def start(self, work: Work) -> None:
        with self._lock:
            if self._is_stopped:
                log.info("no call is begun any more")  # its lease expires, another process goes on
            elif self._idle:
                self._idle.pop().put(work)
            elif self._count >= self._most:
                self._waiting.append(work)
            elif not self._begin(work):
                self._waiting.append(work)
                self._later(AGAIN_SECONDS, self._catch_up)

    def _catch_up(self) -> None:
        """Begin what waits because there was no thread for it, if no other took it meanwhile."""
        with self._lock:
            work = self._waiting.popleft() if self._waiting else None
        if work is not None:
            self.start(work)

    def _begin(self, work: Work) -> bool:
        """Give work to a new thread; False when the system has none to give: the next free one takes it, or a new one
        a second later.
        """
        thread = threading.Thread(target=self._work, args=[work], name=f"{self._name}-{next(self._number)}")
        try:
            thread.start()
        except RuntimeError as problem:
            log.warning("a call waits for a thread: %s", problem)
            return False
        self._count += 1
        return True

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            self._waiting.clear()
            while self._idle:
                self._idle.pop().put(None)

    def _work(self, work: Work | None) -> None:
        own: SimpleQueue[Work | None] = SimpleQueue()
        while work is not None:
            try:
                work()
            except Exception:
                log.exception("a call failed")
            work = None  # an idle thread keeps nothing of it
            work = self._next(own)

    def _next(self, own: "SimpleQueue[Work | None]") -> Work | None:
        """What to do next; None: end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._is_stopped:
                return None
            self._idle.append(own)
        try:
            return own.get(timeout=IDLE_SECONDS)
        except Empty:
            with self._lock:
                if own in self._idle:
                    self._idle.remove(own)
                    self._count -= 1
                    return None
        return own.get()  # it came at the last moment


class _Later(OneThread):
    """A heap of what is due when, and the thread that starts it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._due: list[tuple[float, int, Work]] = []
        self._numbers = itertools.count()

    def add(self, seconds: float, work: Work) -> None:
        with self._wake:
            self.start()
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), work))
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._is_stopped and not (self._due and self._due[0][0] <= time.monotonic()):
                    self._wake.wait(max(0.0, self._due[0][0] - time.monotonic()) if self._due else None)
                if self._is_stopped:
                    return
                _, _, work = heapq.heappop(self._due)
            try:
                work()
            except Exception:  # the others that are due need this thread
                log.exception("what was due failed")
